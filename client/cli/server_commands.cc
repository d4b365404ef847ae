// bifctl server info, bifctl health
#include <memory>
#include <string>

#include "client/cli/commands.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/status_macros.h"

namespace bif::client {

void AddServerCommands(CLI::App& root, Action& action) {
  CLI::App* noun = AddNoun(root, "server", "The server itself");
  On(noun->add_subcommand("info", "Version, device, free disk, memory"), action,
     [](Session& session) -> absl::Status {
       CLIENT_ASSIGN_OR_RETURN(const v1::ServerInfo info, session.client().GetServerInfo());
       if (session.json) {
         PrintJson(session.out, info);
         return absl::OkStatus();
       }
       Fields fields;
       fields.Add("version", info.version())
           .Add("device", info.device())
           .Add("numerics", info.numerics())
           .Add("data directory", info.data_directory())
           .Add("free disk", Bytes(info.free_disk_bytes()))
           .Add("resident memory", Bytes(info.resident_bytes()))
           .Add("up for", DurationText(info.uptime()))
           .Print(session.out);
       return absl::OkStatus();
     });

  auto service = std::make_shared<std::string>();
  CLI::App* health =
      root.add_subcommand("health", "Whether the server serves; exits with 1 if not");
  health->add_option("--service", *service, "of one gRPC service, e.g. bif.v1.Attribution");
  On(health, action, [service](Session& session) -> absl::Status {
    CLIENT_ASSIGN_OR_RETURN(const bool serving, session.client().IsServing(*service));
    if (session.json) {
      session.out << (serving ? "{\"status\": \"SERVING\"}\n" : "{\"status\": \"NOT_SERVING\"}\n");
    } else if (!session.quiet) {
      session.out << (serving ? "serving\n" : "not serving\n");
    }
    return serving ? absl::OkStatus() : absl::UnavailableError("it answers, but does not serve");
  });
}

}  // namespace bif::client
