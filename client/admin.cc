// Client: the server itself.
#include "absl/strings/str_cat.h"
#include "bif/v1/admin.grpc.pb.h"
#include "client/client.h"
#include "client/internal/connection.h"
#include "client/status_macros.h"
#include "google/protobuf/empty.pb.h"
#include "google/protobuf/unknown_field_set.h"
#include "grpcpp/impl/codegen/client_unary_call.h"
#include "grpcpp/impl/codegen/rpc_method.h"

namespace bif::client {
namespace {

// grpc.health.v1 is two messages with one field each: HealthCheckRequest{string service = 1} and
// HealthCheckResponse{enum status = 1}, SERVING being 1. Read as unknown fields they need no
// generated code.
constexpr int kServiceField = 1;
constexpr int kStatusField = 1;
constexpr uint64_t kServing = 1;

}  // namespace

absl::StatusOr<v1::ServerInfo> Client::GetServerInfo() {
  return UnaryCall<v1::Admin>(*connection_, Repeatable::kYes, &v1::Admin::Stub::GetServerInfo,
                              v1::GetServerInfoRequest());
}

absl::StatusOr<bool> Client::IsServing(const std::string& service) {
  google::protobuf::Empty request;
  if (!service.empty()) {
    google::protobuf::Empty::GetReflection()->MutableUnknownFields(&request)->AddLengthDelimited(
        kServiceField, service);
  }
  google::protobuf::Empty response;
  CLIENT_RETURN_IF_ERROR(connection_->Call(
      connection_->options.call_deadline, Repeatable::kYes, [&](grpc::ClientContext& context) {
        response.Clear();
        const grpc::internal::RpcMethod method("/grpc.health.v1.Health/Check",
                                               grpc::internal::RpcMethod::NORMAL_RPC);
        return FromGrpc(grpc::internal::BlockingUnaryCall(connection_->channel.get(), method,
                                                          &context, request, &response));
      }));
  const auto& fields = google::protobuf::Empty::GetReflection()->GetUnknownFields(response);
  for (int i = 0; i < fields.field_count(); ++i) {
    const auto& field = fields.field(i);
    if (field.number() == kStatusField &&
        field.type() == google::protobuf::UnknownField::TYPE_VARINT) {
      return field.varint() == kServing;
    }
  }
  return false;
}

}  // namespace bif::client
