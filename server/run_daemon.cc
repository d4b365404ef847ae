#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>
#include <thread>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "server/daemon.h"
#include "server/reload.h"

namespace bif::server {
namespace {

// Beyond the drain time: for calls that look at their cancel token late, and for closing the store.
constexpr absl::Duration kCutOffAfterDrain = absl::Seconds(20);
constexpr int kExitCutOff = 2;

// Signals are taken by the main thread with sigwait, so no code runs in a handler. Threads that are
// made later inherit the mask.
sigset_t BlockSignals() {
  signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, number);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

// Waits for SIGTERM or SIGINT, gives its number, and calls `on_hangup` for every SIGHUP until then.
int AwaitTermination(const sigset_t& signals, const std::function<void()>& on_hangup) {
  while (true) {
    int received = 0;
    if (sigwait(&signals, &received) != 0) continue;
    if (received != SIGHUP) return received;
    on_hangup();
  }
}

// Whether a signal came within the time.
bool SignalWithin(const sigset_t& signals, absl::Duration time) {
  const timespec wait = absl::ToTimespec(time);
  return sigtimedwait(&signals, nullptr, &wait) > 0;
}

// The process ends whatever hangs: what was acknowledged is on disk, and start-up sweeps the rest.
[[noreturn]] void CutOff(const char* why) {
  observe::LogError(why, {{"consequence", "ending without waiting"}});
  _exit(kExitCutOff);
}

}  // namespace

int RunDaemon(const DaemonConfig& config, const std::function<CommandLine()>& reread,
              const EngineFactory& make_engine) {
  observe::SetLogging(config.log_level, config.log_format);
  sigset_t signals = BlockSignals();

  Reloader reloader(config, reread);
  const ServerControls controls{.reload = [&reloader] { return reloader.Reload(); },
                                .drain = [] { kill(getpid(), SIGTERM); }};
  absl::StatusOr<std::unique_ptr<Daemon>> daemon = Daemon::Start(config, make_engine, controls);
  if (!daemon.ok()) {
    std::fprintf(stderr, "bifd: %s\n", std::string(daemon.status().message()).c_str());
    return 1;
  }
  if ((*daemon)->metrics_port() != 0) {
    std::printf("metrics on http://127.0.0.1:%d/metrics\n", (*daemon)->metrics_port());
  }
  std::printf("listening on %s\n", (*daemon)->address().c_str());
  std::fflush(stdout);

  const int received = AwaitTermination(signals, [&] { (void)reloader.Reload(); });
  sigdelset(&signals, SIGHUP);  // stays blocked: a reload must not hurry the end
  observe::LogInfo("stopping", {{"signal", strsignal(received)}});
  const absl::Time cut_off = absl::Now() + config.drain_time + kCutOffAfterDrain;
  absl::Notification stopped;
  absl::Mutex mutex;  // guards `live`: a signal must not hurry what is gone
  Daemon* live = daemon->get();
  std::thread stopper([&] {
    (*daemon)->Stop();
    {
      absl::MutexLock lock(&mutex);
      live = nullptr;
    }
    daemon->reset();
    stopped.Notify();
  });
  int further_signals = 0;
  while (!stopped.WaitForNotificationWithTimeout(absl::Milliseconds(20))) {
    if (absl::Now() > cut_off) CutOff("stopping took too long");
    if (!SignalWithin(signals, absl::Milliseconds(20))) continue;
    if (++further_signals > 1) CutOff("a third signal");
    observe::LogInfo("hurrying", {{"signals", 2}});
    absl::MutexLock lock(&mutex);
    if (live != nullptr) live->Hurry();
  }
  stopper.join();
  observe::LogInfo("stopped");
  return 0;
}

}  // namespace bif::server
