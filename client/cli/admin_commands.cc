// bifctl admin put-tenant|tenants|create-token|tokens|revoke-token, and share|unshare|shares
#include <memory>
#include <string>

#include "client/cli/commands.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

void PrintTenant(Session& session, const v1::Tenant& tenant) {
  const auto limit = [](double value) {
    return value == 0 ? std::string("none") : std::to_string(value);
  };
  Fields fields;
  fields.Add("tenant", tenant.id())
      .Add("weight", std::to_string(tenant.weight()))
      .Add("operations", std::to_string(tenant.usage().running_operations()) + " of " +
                             limit(tenant.limits().running_operations()))
      .Add("device seconds today", std::to_string(tenant.usage().device_seconds_today()) + " of " +
                                       limit(tenant.limits().device_seconds_per_day()))
      .Add("stored", Bytes(tenant.usage().stored_bytes()))
      .Add("requests a second", limit(tenant.limits().requests_per_second()))
      .Print(session.out);
}

void AddTenantCommands(CLI::App& admin, Action& action) {
  auto tenant = std::make_shared<v1::Tenant>();
  CLI::App* put = admin.add_subcommand(
      "put-tenant", "Makes a tenant or changes it; limits that are not given are lifted");
  put->add_option_function<std::string>(
         "ID", [tenant](const std::string& id) { tenant->set_id(id); },
         "a-z, 0-9 and -, beginning with a letter")
      ->required();
  put->add_option_function<double>(
      "--weight", [tenant](double weight) { tenant->set_weight(weight); },
      "share of device time, beside the other tenants' (default: 1)");
  put->add_option_function<double>(
      "--requests-per-second",
      [tenant](double v) { tenant->mutable_limits()->set_requests_per_second(v); }, "at most");
  put->add_option_function<uint32_t>(
      "--operations", [tenant](uint32_t v) { tenant->mutable_limits()->set_running_operations(v); },
      "that run or wait at a time, at most");
  put->add_option_function<double>(
      "--device-seconds-per-day",
      [tenant](double v) { tenant->mutable_limits()->set_device_seconds_per_day(v); }, "at most");
  put->add_option_function<int64_t>(
      "--stored-bytes", [tenant](int64_t v) { tenant->mutable_limits()->set_stored_bytes(v); },
      "at most");
  On(put, action, [tenant](Session& session) -> absl::Status {
    CLIENT_ASSIGN_OR_RETURN(const v1::Tenant made, session.client().PutTenant(*tenant));
    if (session.json) {
      PrintJson(session.out, made);
    } else {
      PrintTenant(session, made);
    }
    return absl::OkStatus();
  });
  On(admin.add_subcommand("tenants", "All tenants, with what they use"), action,
     [](Session& session) -> absl::Status {
       CLIENT_ASSIGN_OR_RETURN(const v1::ListTenantsResponse all, session.client().ListTenants());
       if (session.json) {
         PrintJson(session.out, all);
         return absl::OkStatus();
       }
       for (const v1::Tenant& one : all.tenants()) PrintTenant(session, one);
       return absl::OkStatus();
     });
}

void AddTokenCommands(CLI::App& admin, Action& action) {
  auto request = std::make_shared<v1::CreateTokenRequest>();
  request->set_role(v1::READ);
  CLI::App* create = admin.add_subcommand("create-token", "Makes a token and prints it, once");
  create
      ->add_option_function<std::string>(
          "TENANT", [request](const std::string& id) { request->set_tenant(id); }, "whose it is")
      ->required();
  AddEnumOption(
      create, "--role", v1::Role_descriptor(),
      [request](int role) { request->set_role(static_cast<v1::Role>(role)); },
      "read, submit or admin (default: read)");
  create->add_option_function<std::string>(
      "--description", [request](const std::string& t) { request->set_description(t); },
      "who uses it");
  create->add_option_function<double>(
      "--days",
      [request](double days) {
        request->mutable_lifetime()->set_seconds(static_cast<int64_t>(days * 86400));
      },
      "until it expires (default: never)");
  On(create, action, [request](Session& session) -> absl::Status {
    CLIENT_ASSIGN_OR_RETURN(const v1::CreateTokenResponse made,
                            session.client().CreateToken(*request));
    if (session.json) {
      PrintJson(session.out, made);
    } else {
      session.out << made.secret() << "\n";
    }
    return absl::OkStatus();
  });

  auto tenant = std::make_shared<std::string>();
  CLI::App* list = admin.add_subcommand("tokens", "Tokens, without their secrets");
  list->add_option("--tenant", *tenant, "of this tenant alone");
  On(list, action, [tenant](Session& session) -> absl::Status {
    CLIENT_ASSIGN_OR_RETURN(const v1::ListTokensResponse all, session.client().ListTokens(*tenant));
    if (session.json) {
      PrintJson(session.out, all);
      return absl::OkStatus();
    }
    for (const v1::Token& token : all.tokens()) {
      session.out << token.id() << "  " << token.tenant() << "  " << v1::Role_Name(token.role())
                  << "  " << token.description() << "\n";
    }
    return absl::OkStatus();
  });

  auto id = std::make_shared<std::string>();
  CLI::App* revoke = admin.add_subcommand("revoke-token", "From the next call on");
  revoke->add_option("ID", *id, "as 'admin tokens' shows it")->required();
  On(revoke, action, [id](Session& session) -> absl::Status {
    CLIENT_RETURN_IF_ERROR(session.client().RevokeToken(*id));
    PrintDone(session, "revoked", *id);
    return absl::OkStatus();
  });
}

void AddProcessCommands(CLI::App& admin, Action& action) {
  On(admin.add_subcommand("reload", "Reads the daemon's configuration again, as SIGHUP does"),
     action, [](Session& session) -> absl::Status {
       CLIENT_ASSIGN_OR_RETURN(const v1::ReloadResponse response, session.client().Reload());
       if (session.json) {
         PrintJson(session.out, response);
         return absl::OkStatus();
       }
       for (const v1::ReloadResponse::Change& change : response.changes()) {
         session.out << change.field() << ": " << change.before() << " -> " << change.after()
                     << (change.needs_restart() ? "  (waits for a restart)" : "") << "\n";
       }
       if (response.changes().empty() && !session.quiet)
         session.err << "the configuration is as it was\n";
       return absl::OkStatus();
     });
  On(admin.add_subcommand("drain", "Begins to stop the daemon, as SIGTERM does"), action,
     [](Session& session) -> absl::Status {
       CLIENT_RETURN_IF_ERROR(session.client().Drain());
       if (!session.quiet)
         session.err << "the daemon takes no new work, keeps what it has sampled, and ends\n";
       return absl::OkStatus();
     });
}

void AddSharingCommands(CLI::App& root, Action& action) {
  auto name = std::make_shared<std::string>();
  auto with = std::make_shared<std::string>();
  for (const bool share : {true, false}) {
    CLI::App* command = root.add_subcommand(
        share ? "share" : "unshare",
        share ? "Lets another tenant read a dataset or posterior" : "Takes that back");
    command->add_option("NAME", *name, "datasets/... or posteriors/...")->required();
    command->add_option("TENANT", *with, "the other tenant")->required();
    On(command, action, [name, with, share](Session& session) -> absl::Status {
      CLIENT_RETURN_IF_ERROR(share ? session.client().Share(*name, *with)
                                   : session.client().Unshare(*name, *with));
      PrintDone(session, share ? "shared" : "unshared", *name);
      return absl::OkStatus();
    });
  }
  On(root.add_subcommand("shares", "What this tenant shares, and what is shared with it"), action,
     [](Session& session) -> absl::Status {
       CLIENT_ASSIGN_OR_RETURN(const v1::ListSharesResponse all, session.client().ListShares());
       if (session.json) {
         PrintJson(session.out, all);
         return absl::OkStatus();
       }
       for (const v1::SharedResource& share : all.shares())
         session.out << share.name() << "  " << share.tenant() << "\n";
       return absl::OkStatus();
     });
}

}  // namespace

void AddAdminCommands(CLI::App& root, Action& action) {
  CLI::App* admin = AddNoun(root, "admin", "Tenants and their tokens; reload and drain");
  AddTenantCommands(*admin, action);
  AddTokenCommands(*admin, action);
  AddProcessCommands(*admin, action);
  AddSharingCommands(root, action);
}

}  // namespace bif::client
