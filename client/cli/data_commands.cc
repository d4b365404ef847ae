// bifctl backup, bifctl scrub: the data that the server keeps.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "client/cli/commands.h"
#include "client/cli/options.h"
#include "client/cli/output.h"
#include "client/cli/progress.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

void PrintBackup(Session& session, const v1::BackupRequest& request,
                 const v1::BackupResponse& response) {
  if (session.json) {
    PrintJson(session.out, response);
    return;
  }
  if (session.quiet) {
    session.out << request.directory() << "\n";
    return;
  }
  Fields fields;
  fields.Add("backup", request.directory())
      .Add("files", Count(response.files()))
      .Add("size", Bytes(response.bytes()))
      .Add("copied", Bytes(response.copied_bytes()))
      .Print(session.out);
  for (const std::string& file : response.missing_files())
    session.err << "not in it, because it was missing: " << file << "\n";
  session.err << "to restore it on a machine where no daemon uses DIRECTORY: bifd restore "
              << request.directory() << " DIRECTORY\n";
}

absl::Status RunBackup(Session& session, const v1::BackupRequest& request) {
  v1::BackupResponse response;
  {
    Progress progress(session);
    CLIENT_ASSIGN_OR_RETURN(
        response, session.client().Backup(request, [&](const v1::BackupResponse& message) {
          progress.Update({.stage = "backup",
                           .done = message.bytes_done(),
                           .total = message.bytes(),
                           .unit = "B"});
        }));
  }
  PrintBackup(session, request, response);
  if (response.missing_files().empty()) return absl::OkStatus();
  return absl::DataLossError(
      "the backup is complete but for files that were missing before; bifctl scrub says whose");
}

void PrintDamage(Session& session, const v1::ScrubResponse::Damage& damage) {
  session.out << damage.object() << "\n  what is wrong: " << damage.problem()
              << "\n  what to do: " << damage.advice() << "\n";
}

absl::Status RunScrub(Session& session, const v1::ScrubRequest& request) {
  v1::ScrubResponse last;
  {
    Progress progress(session);
    CLIENT_RETURN_IF_ERROR(
        session.client().Scrub(request, [&](const v1::ScrubResponse& response) -> absl::Status {
          if (session.json) {
            if (response.done() || !response.damages().empty())
              PrintJsonLine(session.out, response);
          } else {
            for (const auto& damage : response.damages()) PrintDamage(session, damage);
          }
          progress.Update({.stage = "scrub", .note = Bytes(response.bytes())});
          last = response;
          return absl::OkStatus();
        }));
  }
  if (!session.json && !session.quiet) {
    session.err << Count(last.objects()) << " objects, " << Bytes(last.bytes()) << ", "
                << Count(last.damaged()) << " damaged\n";
  }
  if (last.damaged() == 0) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("damaged: ", last.damaged(), " of ", last.objects(),
                                          " objects that the server keeps"));
}

}  // namespace

void AddDataCommands(CLI::App& root, Action& action) {
  auto backup = std::make_shared<v1::BackupRequest>();
  CLI::App* backup_command = root.add_subcommand(
      "backup", "Copies all of the server's data, as it is at one moment, while work goes on");
  backup_command
      ->add_option_function<std::string>(
          "DIRECTORY", [backup](const std::string& path) { backup->set_directory(path); },
          "a new folder on the server's machine, absolute")
      ->required();
  backup_command->add_flag_function(
      "--copy", [backup](int64_t) { backup->set_copy(true); },
      "copy every byte, also where hard links would do: they share the disk's faults");
  On(backup_command, action, [backup](Session& session) { return RunBackup(session, *backup); });

  auto scrub = std::make_shared<v1::ScrubRequest>();
  CLI::App* scrub_command = root.add_subcommand(
      "scrub",
      "Reads all of the server's data and compares it with its checksums; exits with 1 if "
      "something is damaged");
  scrub_command
      ->add_option_function<double>(
          "--mib-per-second", [scrub](double rate) { scrub->set_mib_per_second(rate); },
          "read at most so fast (default: as fast as the disk allows)")
      ->check(CLI::PositiveNumber);
  On(scrub_command, action, [scrub](Session& session) { return RunScrub(session, *scrub); });
}

}  // namespace bif::client
