#include "absl/time/clock.h"
#include "bif/v1/admin.grpc.pb.h"
#include "server/convert_common.h"
#include "server/data_streams.h"
#include "server/server_stream_call.h"
#include "server/services.h"
#include "server/unary_call.h"
#include "src/base/status.h"
#include "src/observe/log.h"
#include "src/observe/process.h"

namespace bif::server {
namespace {

void ToProto(const jobs::Token& token, v1::Token* proto) {
  proto->set_id(token.id);
  proto->set_tenant(token.tenant);
  proto->set_role(static_cast<v1::Role>(token.role));
  proto->set_description(token.description);
  server::ToProto(token.create_time, proto->mutable_create_time());
  if (token.expire_time) server::ToProto(*token.expire_time, proto->mutable_expire_time());
}

jobs::Tenant FromProto(const v1::Tenant& proto) {
  jobs::Tenant tenant;
  tenant.id = proto.id();
  tenant.display_name = proto.display_name();
  tenant.weight = proto.weight() == 0 ? 1 : proto.weight();
  tenant.limits = {proto.limits().requests_per_second(), proto.limits().running_operations(),
                   proto.limits().device_seconds_per_day(), proto.limits().stored_bytes()};
  return tenant;
}

class AdminService final : public v1::Admin::CallbackService {
 public:
  AdminService(CallRuntime& runtime, const ServerDescription& description)
      : runtime_(runtime), description_(description), tenants_(runtime.jobs.tenants()) {}

  grpc::ServerUnaryReactor* GetServerInfo(grpc::CallbackServerContext* context,
                                          const v1::GetServerInfoRequest* request,
                                          v1::ServerInfo* response) override {
    return StartUnary(
        runtime_, context, "bif.v1.Admin/GetServerInfo", request, response,
        [=, this](const Caller& caller) -> absl::Status {
          const engine::EngineInfo& engine = runtime_.jobs.engine().info();
          response->set_version(description_.version);
          response->set_device(engine.device);
          response->set_numerics(engine.numerics);
          server::ToProto(absl::Now() - description_.start_time, response->mutable_uptime());
          if (caller.role < jobs::Role::kAdmin) return absl::OkStatus();
          // Of the machine: only for those who look after it.
          BIF_ASSIGN_OR_RETURN(const int64_t free_bytes, runtime_.jobs.store().FreeDiskBytes());
          response->set_data_directory(description_.data_directory);
          response->set_free_disk_bytes(free_bytes);
          response->set_resident_bytes(observe::ResidentBytes());
          return absl::OkStatus();
        });
  }

  grpc::ServerUnaryReactor* PutTenant(grpc::CallbackServerContext* context,
                                      const v1::PutTenantRequest* request,
                                      v1::Tenant* response) override {
    return StartUnary(runtime_, context, "bif.v1.Admin/PutTenant", request, response,
                      [=, this](const Caller&) -> absl::Status {
                        BIF_ASSIGN_OR_RETURN(const jobs::Tenant tenant,
                                             tenants_.Put(FromProto(request->tenant())));
                        return Tell(tenant, response);
                      });
  }

  grpc::ServerUnaryReactor* GetTenant(grpc::CallbackServerContext* context,
                                      const v1::GetTenantRequest* request,
                                      v1::Tenant* response) override {
    return StartUnary(runtime_, context, "bif.v1.Admin/GetTenant", request, response,
                      [=, this](const Caller&) -> absl::Status {
                        BIF_ASSIGN_OR_RETURN(const jobs::Tenant tenant,
                                             tenants_.Get(request->id()));
                        return Tell(tenant, response);
                      });
  }

  grpc::ServerUnaryReactor* ListTenants(grpc::CallbackServerContext* context,
                                        const v1::ListTenantsRequest* request,
                                        v1::ListTenantsResponse* response) override {
    return StartUnary(runtime_, context, "bif.v1.Admin/ListTenants", request, response,
                      [=, this](const Caller&) -> absl::Status {
                        for (const jobs::Tenant& tenant : tenants_.List())
                          BIF_RETURN_IF_ERROR(Tell(tenant, response->add_tenants()));
                        return absl::OkStatus();
                      });
  }

  grpc::ServerUnaryReactor* CreateToken(grpc::CallbackServerContext* context,
                                        const v1::CreateTokenRequest* request,
                                        v1::CreateTokenResponse* response) override {
    return StartUnary(
        runtime_, context, "bif.v1.Admin/CreateToken", request, response,
        [=, this](const Caller&) -> absl::Status {
          BIF_ASSIGN_OR_RETURN(
              const jobs::NewToken made,
              tenants_.CreateToken({request->tenant(), static_cast<jobs::Role>(request->role()),
                                    request->description(),
                                    server::FromProto(request->lifetime())}));
          observe::LogInfo("token made", {{"token", made.token.id}, {"for", made.token.tenant}});
          ToProto(made.token, response->mutable_token());
          response->set_secret(made.secret);
          return absl::OkStatus();
        });
  }

  grpc::ServerUnaryReactor* ListTokens(grpc::CallbackServerContext* context,
                                       const v1::ListTokensRequest* request,
                                       v1::ListTokensResponse* response) override {
    return StartUnary(runtime_, context, "bif.v1.Admin/ListTokens", request, response,
                      [=, this](const Caller&) -> absl::Status {
                        for (const jobs::Token& token : tenants_.ListTokens(request->tenant()))
                          ToProto(token, response->add_tokens());
                        return absl::OkStatus();
                      });
  }

  grpc::ServerUnaryReactor* RevokeToken(grpc::CallbackServerContext* context,
                                        const v1::RevokeTokenRequest* request,
                                        google::protobuf::Empty* response) override {
    return StartUnary(runtime_, context, "bif.v1.Admin/RevokeToken", request, response,
                      [=, this](const Caller&) {
                        observe::LogInfo("token revoked", {{"token", request->id()}});
                        return tenants_.RevokeToken(request->id());
                      });
  }

  grpc::ServerUnaryReactor* Reload(grpc::CallbackServerContext* context,
                                   const v1::ReloadRequest* request,
                                   v1::ReloadResponse* response) override {
    return StartUnary(runtime_, context, "bif.v1.Admin/Reload", request, response,
                      [=, this](const Caller&) -> absl::Status {
                        if (!description_.controls.reload)
                          return absl::UnimplementedError("this server has no configuration");
                        BIF_ASSIGN_OR_RETURN(const std::vector<ConfigChange> changes,
                                             description_.controls.reload());
                        for (const ConfigChange& change : changes) {
                          v1::ReloadResponse::Change* out = response->add_changes();
                          out->set_field(change.field);
                          out->set_before(change.before);
                          out->set_after(change.after);
                          out->set_needs_restart(change.needs_restart);
                        }
                        return absl::OkStatus();
                      });
  }

  grpc::ServerUnaryReactor* Drain(grpc::CallbackServerContext* context,
                                  const v1::DrainRequest* request,
                                  google::protobuf::Empty* response) override {
    return StartUnary(runtime_, context, "bif.v1.Admin/Drain", request, response,
                      [this](const Caller& caller) -> absl::Status {
                        if (!description_.controls.drain)
                          return absl::UnimplementedError("this server ends with its process");
                        observe::LogInfo("asked to drain", {{"tenant", caller.tenant}});
                        description_.controls.drain();
                        return absl::OkStatus();
                      });
  }

  grpc::ServerWriteReactor<v1::BackupResponse>* Backup(grpc::CallbackServerContext* context,
                                                       const v1::BackupRequest* request) override {
    return ServerStreamCall<v1::BackupResponse>::Start(
        runtime_, context, "bif.v1.Admin/Backup", request,
        [=, this](const Caller&, StreamWriter<v1::BackupResponse>& writer) {
          return ProduceBackup(runtime_.jobs, *request, writer);
        });
  }

  grpc::ServerWriteReactor<v1::ScrubResponse>* Scrub(grpc::CallbackServerContext* context,
                                                     const v1::ScrubRequest* request) override {
    return ServerStreamCall<v1::ScrubResponse>::Start(
        runtime_, context, "bif.v1.Admin/Scrub", request,
        [=, this](const Caller&, StreamWriter<v1::ScrubResponse>& writer) {
          return ProduceScrub(runtime_.jobs, *request, writer);
        });
  }

 private:
  absl::Status Tell(const jobs::Tenant& tenant, v1::Tenant* proto) {
    BIF_ASSIGN_OR_RETURN(const jobs::TenantUsage usage, runtime_.jobs.admission().Usage(tenant.id));
    proto->set_id(tenant.id);
    proto->set_display_name(tenant.display_name);
    proto->set_weight(tenant.weight);
    v1::TenantLimits* limits = proto->mutable_limits();
    limits->set_requests_per_second(tenant.limits.requests_per_second);
    limits->set_running_operations(tenant.limits.running_operations);
    limits->set_device_seconds_per_day(tenant.limits.device_seconds_per_day);
    limits->set_stored_bytes(tenant.limits.stored_bytes);
    server::ToProto(tenant.create_time, proto->mutable_create_time());
    v1::TenantUsage* used = proto->mutable_usage();
    used->set_running_operations(usage.running_operations);
    used->set_device_seconds_today(absl::ToDoubleSeconds(usage.device_time_today));
    used->set_device_seconds_reserved(absl::ToDoubleSeconds(usage.device_time_reserved));
    used->set_stored_bytes(usage.stored_bytes);
    return absl::OkStatus();
  }

  CallRuntime& runtime_;
  const ServerDescription description_;
  jobs::Tenants& tenants_;
};

class SharingService final : public v1::Sharing::CallbackService {
 public:
  explicit SharingService(CallRuntime& runtime)
      : runtime_(runtime), tenants_(runtime.jobs.tenants()) {}

  grpc::ServerUnaryReactor* Share(grpc::CallbackServerContext* context,
                                  const v1::ShareRequest* request,
                                  google::protobuf::Empty* response) override {
    return StartUnary(runtime_, context, "bif.v1.Sharing/Share", request, response,
                      [=, this](const Caller& caller) -> absl::Status {
                        BIF_ASSIGN_OR_RETURN(const std::string name, FullName(request->name()));
                        if (request->tenant() == caller.tenant)
                          return FieldError("tenant", "is your own");
                        return tenants_.Grant(name, request->tenant());
                      });
  }

  grpc::ServerUnaryReactor* Unshare(grpc::CallbackServerContext* context,
                                    const v1::UnshareRequest* request,
                                    google::protobuf::Empty* response) override {
    return StartUnary(
        runtime_, context, "bif.v1.Sharing/Unshare", request, response, [=, this](const Caller&) {
          // The resource may be gone: then its share can still be taken back.
          const auto name = FullName(request->name());
          return tenants_.Withdraw(name.ok() ? *name : request->name(), request->tenant());
        });
  }

  grpc::ServerUnaryReactor* ListShares(grpc::CallbackServerContext* context,
                                       const v1::ListSharesRequest* request,
                                       v1::ListSharesResponse* response) override {
    return StartUnary(runtime_, context, "bif.v1.Sharing/ListShares", request, response,
                      [=, this](const Caller& caller) {
                        for (const jobs::Share& share : tenants_.Shares(caller.tenant)) {
                          v1::SharedResource* proto = response->add_shares();
                          proto->set_name(share.name);
                          proto->set_tenant(share.grantee);
                        }
                        return absl::OkStatus();
                      });
  }

 private:
  // The one name under which a resource that exists is shared, however it was named.
  absl::StatusOr<std::string> FullName(const std::string& name) {
    if (name.rfind("posteriors/", 0) == 0) {
      BIF_ASSIGN_OR_RETURN(const jobs::Posterior posterior, runtime_.jobs.posteriors().Get(name));
      return posterior.name;
    }
    if (name.rfind("datasets/", 0) == 0) {
      BIF_ASSIGN_OR_RETURN(const jobs::Dataset dataset, runtime_.jobs.datasets().Get(name));
      return dataset.name;
    }
    return FieldError("name", "must be that of a dataset or a posterior");
  }

  CallRuntime& runtime_;
  jobs::Tenants& tenants_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeAdminService(CallRuntime& runtime,
                                                const ServerDescription& description) {
  return std::make_unique<AdminService>(runtime, description);
}

std::unique_ptr<grpc::Service> MakeSharingService(CallRuntime& runtime) {
  return std::make_unique<SharingService>(runtime);
}

}  // namespace bif::server
