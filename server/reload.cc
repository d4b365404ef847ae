#include "server/reload.h"

namespace bif::server {

void Reload(const CommandLine& reread, DaemonConfig& running) {
  if (reread.exit_code.has_value()) {
    observe::LogError("configuration not reloaded",
                      {{"error", reread.message.substr(0, reread.message.find('\n'))}});
    return;
  }
  const std::vector<ConfigChange> changes = ConfigChanges(running, reread.config);
  running.log_level = reread.config.log_level;
  running.log_format = reread.config.log_format;
  observe::SetLogging(running.log_level, running.log_format);
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
}

}  // namespace bif::server
