#include "server/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "server/call_runtime.h"
#include "server/tls_credentials.h"
#include "src/base/status.h"
#include "src/observe/log.h"

namespace bif::server {
namespace {

constexpr size_t kLongestSocketPath = 100;  // the system's limit is 107
constexpr int kIdleConnectionMillis = 30 * 60 * 1000;
// All headers of a call together. gRPC skips what is beyond and refuses the call.
constexpr int kMaxMetadataBytes = 16 << 10;
// Told to clients, which then queue their own calls; one that goes on nevertheless loses its
// connection. Above what the queues take, so that an honest client hears RESOURCE_EXHAUSTED.
constexpr int kMaxStreamsOfAConnection = 2000;
// A client may ask for signs of life every 10 s while it has a call; more often is forgiven twice.
constexpr int kMinPingIntervalMillis = 10 * 1000;
constexpr int kMaxPingStrikes = 2;

int Millis(absl::Duration duration) {
  return static_cast<int>(absl::ToInt64Milliseconds(duration));
}

// Services of grpc.health.v1. A daemon that drains is alive and takes no work, so the two are told
// apart; the empty name is the one that clients ask for who know of no other.
constexpr const char* kReadiness[] = {"", "readiness"};
constexpr char kLiveness[] = "liveness";

void SetChannelArguments(const ServerOptions& options, grpc::ServerBuilder& builder) {
  // With SO_REUSEPORT a second daemon would take half of the connections, silently.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleConnectionMillis);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, Millis(options.handshake_limit));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, Millis(options.keepalive));
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreamsOfAConnection);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             kMinPingIntervalMillis);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, kMaxPingStrikes);
  builder.SetMaxReceiveMessageSize(options.max_receive_bytes);
}

}  // namespace

struct Server::Impl {
  Impl(const ServerOptions& options, bool tokens_required, jobs::Jobs& jobs,
       observe::Metrics& metrics)
      : calls({.threads = options.call_threads, .max_queued = options.max_queued_calls}),
        streams({.threads = options.stream_threads, .max_queued = options.max_queued_streams}),
        registry(metrics, options.max_live_calls),
        gate(jobs.tenants(), jobs.admission(), tokens_required),
        runtime{jobs, registry, gate, calls, streams, metrics, options.stall_limit},
        ready(metrics.GetGauge("bif_ready", "1 while the daemon takes calls, else 0")) {}

  // It takes work unless it drains or its device hangs; then health and gauge say so.
  void SetDraining() {
    absl::MutexLock lock(&ready_mutex);
    draining = true;
    TellReadiness();
  }
  void SetStuck(bool device_hangs) {
    absl::MutexLock lock(&ready_mutex);
    stuck = device_hangs;
    TellReadiness();
  }
  void TellReadiness() ABSL_EXCLUSIVE_LOCKS_REQUIRED(ready_mutex) {
    for (const char* service : kReadiness)
      server->GetHealthCheckService()->SetServingStatus(service, !draining && !stuck);
    ready.Set(!draining && !stuck ? 1 : 0);
  }

  jobs::WorkerPool calls;
  jobs::WorkerPool streams;
  CallRegistry registry;
  Gatekeeper gate;
  CallRuntime runtime;
  observe::Gauge ready;
  absl::Mutex ready_mutex;  // guards why it may not be ready
  bool draining ABSL_GUARDED_BY(ready_mutex) = false;
  bool stuck ABSL_GUARDED_BY(ready_mutex) = false;
  std::vector<std::unique_ptr<grpc::Service>> services;
  std::shared_ptr<grpc::ServerCredentials> credentials;
  std::string host;
  int port = 0;
  std::unique_ptr<grpc::Server> server;  // before all else to go: its calls use the rest
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      const ServerDescription& description,
                                                      jobs::Jobs& jobs, observe::Metrics& metrics) {
  BIF_ASSIGN_OR_RETURN(const ListenAddress address, options.tls.enabled()
                                                        ? ParseListenAddress(options.listen)
                                                        : ParseLoopbackAddress(options.listen));
  std::shared_ptr<grpc::ServerCredentials> credentials = grpc::InsecureServerCredentials();
  if (options.tls.enabled()) {
    BIF_ASSIGN_OR_RETURN(credentials, TlsCredentials(options.tls, metrics));
  }

  // Beyond the machine anybody may come, so everybody says who they are.
  const bool tokens_required = options.tokens_required || !address.loopback;
  if (tokens_required && !options.tokens_required)
    observe::LogInfo("tokens are required: the address is not loopback");
  auto impl = std::make_unique<Impl>(options, tokens_required, jobs, metrics);
  impl->credentials = credentials;
  CallRuntime& runtime = impl->runtime;
  impl->services.push_back(MakeCheckpointsService(runtime));
  impl->services.push_back(MakeDatasetsService(runtime));
  impl->services.push_back(MakePosteriorsService(runtime));
  impl->services.push_back(MakeAttributionService(runtime));
  impl->services.push_back(MakeOperationsService(runtime));
  impl->services.push_back(MakeOperationWatcherService(runtime));
  impl->services.push_back(MakeAdminService(runtime, description));
  impl->services.push_back(MakeSharingService(runtime));

  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  SetChannelArguments(options, builder);
  for (const auto& service : impl->services) builder.RegisterService(service.get());
  int bound_port = 0;
  builder.AddListeningPort(options.listen, credentials, &bound_port);
  if (options.operator_socket.size() > kLongestSocketPath) {
    observe::LogWarning("no operator's socket: its path is too long for the system",
                        {{"path", options.operator_socket}});
  } else if (!options.operator_socket.empty()) {
    builder.AddListeningPort("unix:" + options.operator_socket, grpc::InsecureServerCredentials());
  }
  impl->server = builder.BuildAndStart();
  if (impl->server == nullptr || bound_port == 0) {
    return absl::UnavailableError(
        absl::StrCat("cannot listen on ", options.listen,
                     ": is another daemon there? Name another port, or port 0 for any free one"));
  }
  impl->server->GetHealthCheckService()->SetServingStatus(kLiveness, true);
  impl->SetStuck(false);
  jobs.executor().OnStuck([server = impl.get()](bool stuck) { server->SetStuck(stuck); });
  impl->host = address.host;
  impl->port = bound_port;
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::~Server() {
  impl_->runtime.jobs.executor().OnStuck({});
  StartDraining();
  CancelCalls();
  Stop(absl::ZeroDuration());
}

int Server::port() const { return impl_->port; }
std::string Server::address() const { return absl::StrCat(impl_->host, ":", impl_->port); }

void Server::StartDraining() {
  impl_->SetDraining();
  impl_->registry.StartDraining();
}

void Server::Stop(absl::Duration grace) {
  impl_->registry.AwaitEnd(grace);
  impl_->server->Shutdown(
      absl::ToChronoTime(absl::Now()));  // cancels what is left and waits for its OnDone
  impl_->streams.Drain();
  impl_->calls.Drain();
}

size_t Server::live_calls() const { return impl_->registry.live(); }

void Server::CancelCalls() { impl_->registry.CancelAll(); }

std::shared_ptr<grpc::Channel> Server::InProcessChannel() {
  return impl_->server->InProcessChannel(grpc::ChannelArguments());
}

}  // namespace bif::server
