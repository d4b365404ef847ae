// What SIGHUP does: takes from a configuration that was read again what can change while the daemon
// runs, and says in the log what has to wait for a restart.
#pragma once

#include "server/config.h"

namespace bif::server {

// Changes `running` and what it stands for. A mistake in what was read leaves everything as it is
// and is logged. To be called by one thread at a time.
void Reload(const CommandLine& reread, DaemonConfig& running);

}  // namespace bif::server
