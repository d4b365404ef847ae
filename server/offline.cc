#include "server/offline.h"

#include <CLI/CLI.hpp>
#include <sstream>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "src/storage/fsck.h"
#include "src/storage/restore.h"

namespace bif::server {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitDamaged = 1;
constexpr int kExitFailed = 1;
constexpr int kExitNotChecked = 2;
constexpr int kExitUsage = 2;

void PrintDamage(std::ostream& out, const storage::Damage& damage) {
  out << "damaged: " << damage.object << "\n  what is wrong: " << damage.problem
      << "\n  what to do: " << damage.advice << "\n";
}

int Fsck(const std::string& directory, std::ostream& out, std::ostream& err) {
  const absl::Time start = absl::Now();
  int64_t leftover_bytes = 0;
  storage::FsckOptions options;
  options.check.on_damage = [&](const storage::Damage& damage) { PrintDamage(out, damage); };
  options.on_leftover = [&](const std::string& object, int64_t bytes) {
    leftover_bytes += bytes;
    out << "left over: " << object << " (" << bytes << " bytes)\n";
  };
  const absl::StatusOr<storage::FsckReport> report = storage::CheckDirectory(directory, options);
  if (!report.ok()) {
    err << "bifd fsck: not checked: " << std::string(report.status().message()) << "\n";
    return kExitNotChecked;
  }
  if (report->leftovers > 0)
    out << "what is left over does no harm: the next start of bifd on this directory removes it, "
        << leftover_bytes << " bytes of files\n";
  out << absl::StrFormat("%d objects, %d bytes, %d damaged, %d left over, %.1f s\n",
                         report->summary.objects, report->summary.bytes, report->summary.damaged,
                         report->leftovers, absl::ToDoubleSeconds(absl::Now() - start));
  return report->clean() ? kExitOk : kExitDamaged;
}

int Restore(const storage::RestoreOptions& given, std::ostream& out, std::ostream& err) {
  const absl::Time start = absl::Now();
  storage::RestoreOptions options = given;
  options.on_damage = [&](const storage::Damage& damage) { PrintDamage(out, damage); };
  const absl::StatusOr<storage::RestoreReport> report = storage::RestoreBackup(options);
  if (!report.ok()) {
    err << "bifd restore: " << std::string(report.status().message()) << "\n";
    return kExitFailed;
  }
  out << absl::StrFormat("restored the backup of %s: %d files, %d bytes, %d damaged, %.1f s\n",
                         report->backup_time, report->files, report->bytes, report->damaged,
                         absl::ToDoubleSeconds(absl::Now() - start))
      << "start it with: bifd --data " << options.data_directory << "\n";
  return kExitOk;
}

// Parses the words behind `bifd COMMAND`; an exit code if nothing is to be done any more.
std::optional<int> Parse(CLI::App& app, int argc, const char* const* argv, std::ostream& out,
                         std::ostream& err) {
  try {
    app.parse(argc - 1, argv + 1);
    return std::nullopt;
  } catch (const CLI::Success& help) {
    app.exit(help, out, out);
    return kExitOk;
  } catch (const CLI::ParseError& error) {
    err << app.get_name() << ": " << error.what() << "; " << app.get_name()
        << " --help says how it is used\n";
    return kExitUsage;
  }
}

int FsckCommand(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  CLI::App app{
      "Reads everything in a data directory or a backup that no daemon works on, and says what is "
      "damaged or left over. Changes nothing. Exit codes: 0 clean, 1 damaged, 2 not checked.",
      "bifd fsck"};
  std::string directory;
  app.add_option("DIRECTORY", directory, "a data directory or a backup")->required();
  if (const auto exit_code = Parse(app, argc, argv, out, err)) return *exit_code;
  return Fsck(directory, out, err);
}

int RestoreCommand(int argc, const char* const* argv, std::ostream& out, std::ostream& err) {
  CLI::App app{
      "Makes a data directory of a backup: checks that it is complete, copies it, and reads every "
      "byte of the copy. Exit codes: 0 restored, 1 not, 2 the command line is wrong.",
      "bifd restore"};
  storage::RestoreOptions options;
  app.add_option("BACKUP", options.backup, "what bifctl backup made")->required();
  app.add_option("DIRECTORY", options.data_directory, "a new or an empty folder")->required();
  app.add_flag("--keep-damaged", options.keep_damaged,
               "where the backup is damaged, restore it all the same");
  if (const auto exit_code = Parse(app, argc, argv, out, err)) return *exit_code;
  return Restore(options, out, err);
}

}  // namespace

std::optional<int> RunOfflineCommand(int argc, const char* const* argv, std::ostream& out,
                                     std::ostream& err) {
  const std::string_view command = argc > 1 ? argv[1] : "";
  if (command == "fsck") return FsckCommand(argc, argv, out, err);
  if (command == "restore") return RestoreCommand(argc, argv, out, err);
  return std::nullopt;
}

}  // namespace bif::server
