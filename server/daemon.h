// The daemon as an object: everything that main.cc starts, in order, and ends, in reverse.
//
//   engine and data directory -> jobs (recovery) -> metrics over HTTP -> gRPC server ->
//   <data>/endpoint
//
// Thread-safe after Start.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/config.h"
#include "server/services.h"
#include "src/engine/engine.h"

namespace bif::server {

// Makes the engine; main.cc gives LibTorch's, tests a fake one.
using EngineFactory =
    std::function<absl::StatusOr<std::unique_ptr<engine::Engine>>(const engine::EngineOptions&)>;

class Daemon {
 public:
  // Returns once the daemon serves. FAILED_PRECONDITION if another daemon has the data directory.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(const DaemonConfig& config,
                                                       const EngineFactory& make_engine,
                                                       const ServerControls& controls = {});
  ~Daemon();  // stops at once, if Stop has not been called

  std::string address() const;  // host:port of the gRPC listener
  int port() const;
  int metrics_port() const;  // 0: off

  // Refuses new calls, commits what has been sampled, lets calls end for at most the config's drain
  // time. Repeating it is harmless.
  void Stop();
  // Makes Stop, running on another thread, hurry: cancels the calls that live.
  void Hurry();

 private:
  struct Impl;
  explicit Daemon(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Runs a daemon until SIGTERM, SIGINT or Admin.Drain; a second signal hurries it. SIGHUP and
// Admin.Reload call `reread` and apply what can change while it runs (reload.h). Gives the
// process's exit code: 0 after an orderly end, 1 if it could not start (the reason is on stderr), 2
// if it had to be cut off.
int RunDaemon(const DaemonConfig& config, const std::function<CommandLine()>& reread,
              const EngineFactory& make_engine);

}  // namespace bif::server
