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

absl::StatusOr<v1::ReloadResponse> Client::Reload() {
  return UnaryCall<v1::Admin>(*connection_, Repeatable::kYes, &v1::Admin::Stub::Reload,
                              v1::ReloadRequest());
}
absl::Status Client::Drain() {
  return UnaryCall<v1::Admin>(*connection_, Repeatable::kNo, &v1::Admin::Stub::Drain,
                              v1::DrainRequest())
      .status();
}

absl::StatusOr<v1::BackupResponse> Client::Backup(
    const v1::BackupRequest& request,
    const std::function<void(const v1::BackupResponse&)>& update) {
  v1::BackupResponse last;
  CLIENT_RETURN_IF_ERROR(connection_->Call(connection_->options.stream_deadline, Repeatable::kNo,
                                           [&](grpc::ClientContext& context) -> absl::Status {
                                             auto stub = v1::Admin::NewStub(connection_->channel);
                                             auto reader = stub->Backup(&context, request);
                                             return ReadAll<v1::BackupResponse>(
                                                 context, *reader,
                                                 [&](const v1::BackupResponse& response) {
                                                   last = response;
                                                   if (!response.done() && update) update(response);
                                                   return absl::OkStatus();
                                                 });
                                           }));
  if (!last.done()) return absl::InternalError("the server ended the stream without a backup");
  return last;
}

absl::Status Client::Scrub(const v1::ScrubRequest& request,
                           absl::FunctionRef<absl::Status(const v1::ScrubResponse&)> use) {
  bool done = false;
  CLIENT_RETURN_IF_ERROR(connection_->Call(
      connection_->options.stream_deadline, Repeatable::kNo,
      [&](grpc::ClientContext& context) -> absl::Status {
        auto stub = v1::Admin::NewStub(connection_->channel);
        auto reader = stub->Scrub(&context, request);
        return ReadAll<v1::ScrubResponse>(context, *reader, [&](const v1::ScrubResponse& response) {
          done = response.done();
          return use(response);
        });
      }));
  return done ? absl::OkStatus()
              : absl::InternalError("the server ended the stream before all was read");
}

absl::StatusOr<v1::Tenant> Client::PutTenant(const v1::Tenant& tenant) {
  v1::PutTenantRequest request;
  *request.mutable_tenant() = tenant;
  return UnaryCall<v1::Admin>(*connection_, Repeatable::kYes, &v1::Admin::Stub::PutTenant, request);
}
absl::StatusOr<v1::ListTenantsResponse> Client::ListTenants() {
  return UnaryCall<v1::Admin>(*connection_, Repeatable::kYes, &v1::Admin::Stub::ListTenants,
                              v1::ListTenantsRequest());
}
absl::StatusOr<v1::CreateTokenResponse> Client::CreateToken(const v1::CreateTokenRequest& request) {
  return UnaryCall<v1::Admin>(*connection_, Repeatable::kNo, &v1::Admin::Stub::CreateToken,
                              request);
}
absl::StatusOr<v1::ListTokensResponse> Client::ListTokens(const std::string& tenant) {
  v1::ListTokensRequest request;
  request.set_tenant(tenant);
  return UnaryCall<v1::Admin>(*connection_, Repeatable::kYes, &v1::Admin::Stub::ListTokens,
                              request);
}
absl::Status Client::RevokeToken(const std::string& id) {
  v1::RevokeTokenRequest request;
  request.set_id(id);
  return UnaryCall<v1::Admin>(*connection_, Repeatable::kNo, &v1::Admin::Stub::RevokeToken, request)
      .status();
}
absl::Status Client::Share(const std::string& name, const std::string& tenant) {
  v1::ShareRequest request;
  request.set_name(name);
  request.set_tenant(tenant);
  return UnaryCall<v1::Sharing>(*connection_, Repeatable::kYes, &v1::Sharing::Stub::Share, request)
      .status();
}
absl::Status Client::Unshare(const std::string& name, const std::string& tenant) {
  v1::UnshareRequest request;
  request.set_name(name);
  request.set_tenant(tenant);
  return UnaryCall<v1::Sharing>(*connection_, Repeatable::kYes, &v1::Sharing::Stub::Unshare,
                                request)
      .status();
}
absl::StatusOr<v1::ListSharesResponse> Client::ListShares() {
  return UnaryCall<v1::Sharing>(*connection_, Repeatable::kYes, &v1::Sharing::Stub::ListShares,
                                v1::ListSharesRequest());
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
