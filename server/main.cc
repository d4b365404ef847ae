// bifd, the daemon. What it does is in daemon.h; this file picks the engine.
#include <cstdio>

#include "server/config.h"
#include "server/daemon.h"
#include "src/engine/engine.h"

int main(int argc, char** argv) {
  const bif::server::CommandLine line = bif::server::ParseCommandLine(argc, argv);
  if (line.exit_code.has_value()) {
    std::fputs(line.message.c_str(), *line.exit_code == 0 ? stdout : stderr);
    return *line.exit_code;
  }
  return bif::server::RunDaemon(line.config, bif::engine::MakeTorchEngine);
}
