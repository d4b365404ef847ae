#include "server/data_streams.h"

#include <cmath>
#include <utility>

#include "absl/time/clock.h"
#include "src/base/status.h"
#include "src/observe/log.h"

namespace bif::server {
namespace {

constexpr double kMib = 1 << 20;
constexpr int64_t kObjectsAMessage = 64;  // of progress; most objects take less than a millisecond

}  // namespace

absl::Status ProduceBackup(jobs::Jobs& jobs, const v1::BackupRequest& request,
                           StreamWriter<v1::BackupResponse>& writer) {
  const absl::Time start = absl::Now();
  storage::BackupOptions options;
  options.directory = request.directory();
  options.copy = request.copy();
  options.cancel = writer.cancel();
  options.on_progress = [&writer](const storage::BackupProgress& progress) {
    v1::BackupResponse message;
    message.set_files_done(progress.files_done);
    message.set_files(progress.files);
    message.set_bytes_done(progress.bytes_done);
    message.set_bytes(progress.bytes);
    writer.WriteProgress(std::move(message));
  };
  BIF_ASSIGN_OR_RETURN(const storage::BackupReport report, jobs.store().Backup(options));
  observe::LogInfo("backup made", {{"directory", request.directory()},
                                   {"files", report.files},
                                   {"bytes", report.bytes},
                                   {"copied_bytes", report.copied_bytes},
                                   {"seconds", absl::ToDoubleSeconds(absl::Now() - start)}});
  v1::BackupResponse last;
  last.set_done(true);
  last.set_files_done(report.files);
  last.set_files(report.files);
  last.set_bytes_done(report.bytes);
  last.set_bytes(report.bytes);
  last.set_copied_bytes(report.copied_bytes);
  for (const std::string& path : report.missing) {
    observe::LogError("a file that the catalog names is missing", {{"file", path}});
    last.add_missing_files(path);
  }
  return writer.Write(std::move(last));
}

absl::Status ProduceScrub(jobs::Jobs& jobs, const v1::ScrubRequest& request,
                          StreamWriter<v1::ScrubResponse>& writer) {
  if (!std::isfinite(request.mib_per_second()) || request.mib_per_second() < 0 ||
      request.mib_per_second() > 1e9) {
    return FieldError("mib_per_second", "must be a number from 0 (no bound) to 1e9");
  }
  storage::CheckSummary last_seen;
  const auto message_of = [](const storage::CheckSummary& summary) {
    v1::ScrubResponse message;
    message.set_objects(summary.objects);
    message.set_bytes(summary.bytes);
    message.set_damaged(summary.damaged);
    return message;
  };
  storage::CheckOptions options;
  options.bytes_per_second = static_cast<int64_t>(request.mib_per_second() * kMib);
  options.cancel = writer.cancel();
  options.on_progress = [&](const storage::CheckSummary& summary) {
    last_seen = summary;
    if (summary.objects % kObjectsAMessage == 1) writer.WriteProgress(message_of(summary));
  };
  options.on_damage = [&](const storage::Damage& damage) {
    ++last_seen.damaged;
    v1::ScrubResponse message = message_of(last_seen);
    v1::ScrubResponse::Damage* told = message.add_damages();
    told->set_object(damage.object);
    told->set_problem(damage.problem);
    told->set_advice(damage.advice);
    // A reader that has gone cancels the scrub by itself.
    writer.Write(std::move(message)).IgnoreError();
  };
  BIF_ASSIGN_OR_RETURN(const storage::CheckSummary summary, jobs.scrubber().Run(options));
  v1::ScrubResponse last = message_of(summary);
  last.set_done(true);
  return writer.Write(std::move(last));
}

}  // namespace bif::server
