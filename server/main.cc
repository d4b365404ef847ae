// bifd, the daemon. What it does is in daemon.h; this file picks the engine.
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <iostream>

#include "absl/synchronization/mutex.h"
#include "server/config.h"
#include "server/daemon.h"
#include "server/offline.h"
#include "src/engine/engine.h"

namespace {

// LibTorch's OpenMP threads spin for milliseconds while they wait for each other, unless the
// environment says otherwise when the library is loaded, which is before main. A spinning thread
// holds the core that scoring, the store or another process needs; one that sleeps at once makes
// every operator dearer. So the process starts itself again with a spin of some microseconds,
// unless its user has chosen (docs/decisions/waiting_threads_sleep.md).
void LetWaitingThreadsSleepSoon(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  char self[4096];
  const ssize_t length = readlink("/proc/self/exe", self, sizeof(self) - 1);
  if (length <= 0 || setenv("GOMP_SPINCOUNT", "3000", 1) != 0) return;
  self[length] = '\0';
  execv(self,
        argv);  // where this fails, waiting threads spin: slower beside neighbours, never wrong
}

}  // namespace

int main(int argc, char** argv) {
  if (const auto exit_code = bif::server::RunOfflineCommand(argc, argv, std::cout, std::cerr))
    return *exit_code;
  LetWaitingThreadsSleepSoon(argv);
  // The distribution's Abseil looks for cycles of locks: every lock, gRPC's too, is then taken
  // under one global lock, at ten times its price, and a cycle ends the process. Tests keep
  // looking.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const auto read = [argc, argv] { return bif::server::ParseCommandLine(argc, argv); };
  const bif::server::CommandLine line = read();
  if (line.exit_code.has_value()) {
    std::fputs(line.message.c_str(), *line.exit_code == 0 ? stdout : stderr);
    return *line.exit_code;
  }
  return bif::server::RunDaemon(line.config, read, bif::engine::MakeTorchEngine);
}
