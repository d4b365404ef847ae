#include "server/reload.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace bif::server {

Reloader::Reloader(DaemonConfig running, std::function<CommandLine()> reread)
    : reread_(std::move(reread)), running_(std::move(running)) {}

DaemonConfig Reloader::running() const {
  absl::MutexLock lock(&mutex_);
  return running_;
}

absl::StatusOr<std::vector<ConfigChange>> Reloader::Reload() {
  absl::MutexLock lock(&mutex_);
  const CommandLine reread = reread_();
  if (reread.exit_code.has_value()) {
    const std::string mistake = reread.message.substr(0, reread.message.find('\n'));
    observe::LogError("configuration not reloaded", {{"error", mistake}});
    return absl::FailedPreconditionError(
        absl::StrCat("nothing was changed: ", mistake, "; correct it and reload again"));
  }
  std::vector<ConfigChange> changes = ConfigChanges(running_, reread.config);
  running_.log_level = reread.config.log_level;
  running_.log_format = reread.config.log_format;
  observe::SetLogging(running_.log_level, running_.log_format);
  for (const ConfigChange& change : changes) {
    if (change.needs_restart) {
      observe::LogWarning(
          "a change waits for a restart",
          {{"field", change.field}, {"running", change.before}, {"file", change.after}});
    } else {
      observe::LogInfo(
          "a change is applied",
          {{"field", change.field}, {"before", change.before}, {"after", change.after}});
    }
  }
  observe::LogInfo("configuration reloaded", {{"changes", changes.size()}});
  return changes;
}

}  // namespace bif::server
