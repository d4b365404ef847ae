#include "absl/time/clock.h"
#include "bif/v1/admin.grpc.pb.h"
#include "server/convert_common.h"
#include "server/services.h"
#include "server/unary_call.h"
#include "src/observe/process.h"

namespace bif::server {
namespace {

class AdminService final : public v1::Admin::CallbackService {
 public:
  AdminService(CallRuntime& runtime, const ServerDescription& description)
      : runtime_(runtime), description_(description) {}

  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext*,
                                          const v1::GetServerInfoRequest*,
                                          v1::ServerInfo* response) override {
    return StartUnary(runtime_, "bif.v1.Admin/GetServerInfo", [=, this]() -> absl::Status {
      const engine::EngineInfo& engine = runtime_.jobs.engine().info();
      BIF_ASSIGN_OR_RETURN(const int64_t free_bytes, runtime_.jobs.store().FreeDiskBytes());
      response->set_version(description_.version);
      response->set_device(engine.device);
      response->set_numerics(engine.numerics);
      response->set_data_directory(description_.data_directory);
      response->set_free_disk_bytes(free_bytes);
      ToProto(absl::Now() - description_.start_time, response->mutable_uptime());
      response->set_resident_bytes(observe::ResidentBytes());
      return absl::OkStatus();
    });
  }

 private:
  CallRuntime& runtime_;
  const ServerDescription description_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAdminService(CallRuntime& runtime,
                                                const ServerDescription& description) {
  return std::make_unique<AdminService>(runtime, description);
}

}  // namespace bif::server
