#include "server/call_runtime.h"

#include <exception>
#include <new>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/observe/log.h"

namespace bif::server {

absl::Status LetIn(CallRuntime& runtime, const grpc::CallbackServerContext& context,
                   const std::string& method, google::protobuf::Message* request, Caller& caller) {
  BIF_RETURN_IF_ERROR(runtime.registry.Admit());
  BIF_ASSIGN_OR_RETURN(caller, runtime.gate.Admit(context, method));
  return request == nullptr ? absl::OkStatus() : runtime.gate.Qualify(caller, method, *request);
}

absl::Status RunGuarded(const std::string& method, const Caller& caller,
                        absl::FunctionRef<absl::Status()> work) {
  observe::ScopedLogFields fields{
      {"method", method}, {"tenant", caller.tenant}, {"trace", caller.trace_id}};
  try {
    return work();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError("the server has too little memory for this call now");
  } catch (const std::exception& error) {
    return absl::InternalError(absl::StrCat("exception: ", error.what()));
  }
}

}  // namespace bif::server
