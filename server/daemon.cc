#include "server/daemon.h"

#include <array>
#include <filesystem>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/job_metrics.h"
#include "server/server.h"
#include "src/base/status.h"
#include "src/jobs/jobs.h"
#include "src/observe/metrics_endpoint.h"
#include "src/storage/store.h"

namespace bif::server {
namespace {

constexpr int64_t kMib = int64_t{1} << 20;

// Readers see the old content or the new one, never half of it. Not durable: it speaks of this run
// only.
absl::Status ReplaceFile(const std::string& path, const std::string& content) {
  const std::string temporary = path + ".new";
  std::ofstream out(temporary, std::ios::trunc);
  out << content;
  out.close();
  std::error_code error;
  if (out) std::filesystem::rename(temporary, path, error);
  if (!out || error)
    return absl::UnavailableError("cannot write " + path + ": is the folder there and writable?");
  return absl::OkStatus();
}

void RemoveQuietly(const std::string& path) {
  std::error_code ignored;
  if (!path.empty()) std::filesystem::remove(path, ignored);
}

storage::StoreOptions StoreOptionsOf(const DaemonConfig& config) {
  storage::StoreOptions options;
  options.root = config.data_directory;
  options.memory_bytes = config.memory_mib * kMib / 4;
  return options;
}

jobs::JobsOptions JobsOptionsOf(const DaemonConfig& config) {
  jobs::JobsOptions options;
  options.allowed_roots = config.allowed_roots;
  options.executor.stuck_after = config.device_stuck;
  options.queries.trace_cache_bytes = config.memory_mib * kMib * 3 / 8;
  options.queries.draw_cache_bytes = config.memory_mib * kMib * 3 / 8;
  options.scrub.period = absl::Hours(config.scrub_hours);
  return options;
}

}  // namespace

// In the order of making; destroyed in reverse.
struct Daemon::Impl {
  DaemonConfig config;
  std::string endpoint_file;
  observe::Metrics metrics;
  std::unique_ptr<engine::Engine> engine;
  std::unique_ptr<storage::Store> store;
  std::unique_ptr<jobs::Jobs> jobs;
  std::unique_ptr<observe::MetricsEndpoint> metrics_endpoint;
  std::unique_ptr<Server> server;
};

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(const DaemonConfig& config,
                                                      const EngineFactory& make_engine,
                                                      const ServerControls& controls) {
  auto impl = std::make_unique<Impl>();
  impl->config = config;
  const absl::Time start = absl::Now();

  // The directory before the engine: a second daemon is refused at once, and not after LibTorch has
  // been loaded.
  BIF_ASSIGN_OR_RETURN(impl->store, storage::OpenStore(StoreOptionsOf(config)));
  const storage::RecoveryReport& recovery = impl->store->recovery();
  observe::LogInfo("data directory open", {{"path", config.data_directory},
                                           {"swept_files", recovery.swept_files},
                                           {"swept_bytes", recovery.swept_bytes},
                                           {"seconds", recovery.seconds}});
  BIF_ASSIGN_OR_RETURN(impl->engine,
                       make_engine({.device = config.device, .threads = config.threads}));
  jobs::JobsOptions jobs_options = JobsOptionsOf(config);
  std::array<observe::Histogram, jobs::kPriorities> waits;  // made once: every step adds to one
  for (size_t p = 0; p < waits.size(); ++p) {
    waits[p] = impl->metrics.GetHistogram(
        "bif_device_queue_wait_seconds", "Time between a task's turns on the device",
        observe::LatencyBuckets(), {{"class", jobs::PriorityName(static_cast<jobs::Priority>(p))}});
  }
  jobs_options.executor.on_turn = [waits](jobs::Priority priority, absl::Duration waited) mutable {
    waits[static_cast<size_t>(priority)].Observe(absl::ToDoubleSeconds(waited));
  };
  const absl::Time recovery_start = absl::Now();
  BIF_ASSIGN_OR_RETURN(impl->jobs, jobs::Jobs::Start(*impl->store, *impl->engine, jobs_options));
  observe::LogInfo("recovered", {{"operations", impl->jobs->operations().recovered()},
                                 {"seconds", absl::ToDoubleSeconds(absl::Now() - recovery_start)}});

  ExportJobMetrics(*impl->jobs, impl->metrics);
  if (!config.metrics.empty()) {
    BIF_ASSIGN_OR_RETURN(impl->metrics_endpoint,
                         observe::MetricsEndpoint::Start(config.metrics, impl->metrics));
  }
  const ServerDescription description{.version = VersionText(),
                                      .data_directory = config.data_directory,
                                      .start_time = start,
                                      .controls = controls};
  BIF_ASSIGN_OR_RETURN(impl->server,
                       Server::Start({.listen = config.listen,
                                      .tls = config.tls,
                                      .operator_socket = config.data_directory + "/operator.sock",
                                      .tokens_required = config.require_tokens},
                                     description, *impl->jobs, impl->metrics));

  impl->endpoint_file = config.data_directory + "/endpoint";
  BIF_RETURN_IF_ERROR(ReplaceFile(impl->endpoint_file, impl->server->address() + "\n"));
  if (!config.port_file.empty()) {
    BIF_RETURN_IF_ERROR(ReplaceFile(config.port_file, absl::StrCat(impl->server->port(), "\n")));
  }
  std::unique_ptr<Daemon> daemon(new Daemon(std::move(impl)));
  observe::LogInfo("serving", {{"address", daemon->address()},
                               {"metrics_port", daemon->metrics_port()},
                               {"device", config.device},
                               {"numerics", daemon->impl_->engine->info().numerics},
                               {"version", VersionText()},
                               {"seconds", absl::ToDoubleSeconds(absl::Now() - start)}});
  return daemon;
}

Daemon::Daemon(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

Daemon::~Daemon() {
  Hurry();
  Stop();
  impl_->metrics.RemoveRefreshers();
}

std::string Daemon::address() const { return impl_->server->address(); }
int Daemon::port() const { return impl_->server->port(); }
int Daemon::metrics_port() const {
  return impl_->metrics_endpoint == nullptr ? 0 : impl_->metrics_endpoint->port();
}

void Daemon::Stop() {
  RemoveQuietly(impl_->endpoint_file);
  RemoveQuietly(impl_->config.port_file);
  impl_->server->StartDraining();
  impl_->jobs->Drain();  // at the next draw boundary; what has been sampled is committed
  impl_->server->Stop(impl_->config.drain_time);
}

void Daemon::Hurry() { impl_->server->CancelCalls(); }

}  // namespace bif::server
