// bifd, the daemon. What it does is in daemon.h; this file picks the engine.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "server/config.h"
#include "server/daemon.h"
#include "src/engine/engine.h"

namespace {

// LibTorch's OpenMP threads spin while they wait for each other, unless OMP_WAIT_POLICY says
// otherwise when the library is loaded, which is before main. A spinning thread holds the core that
// scoring, the store or another process needs: beside one busy neighbour on two cores a query of
// 0.1 s took 2 to 10 s. So the process starts itself again with the policy set, unless its user has
// chosen one.
void LetWaitingThreadsSleep(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  char self[4096];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
  if (length <= 0 || setenv("OMP_WAIT_POLICY", "PASSIVE", 1) != 0) return;
  self[length] = '\0';
  execv(self,
        argv);  // where this fails, waiting threads spin: slower beside neighbours, never wrong
}

}  // namespace

int main(int argc, char** argv) {
  LetWaitingThreadsSleep(argv);
  const auto read = [argc, argv] { return bif::server::ParseCommandLine(argc, argv); };
  const bif::server::CommandLine line = read();
  if (line.exit_code.has_value()) {
    std::fputs(line.message.c_str(), *line.exit_code == 0 ? stdout : stderr);
    return *line.exit_code;
  }
  return bif::server::RunDaemon(line.config, read, bif::engine::MakeTorchEngine);
}
