#include "server/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <grpcpp/impl/service_type.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/call_runtime.h"
#include "src/observe/log.h"

namespace bif::server {
namespace {

constexpr size_t kLongestSocketPath = 100;  // the system's limit is 107
constexpr int kIdleConnectionMillis = 30 * 60 * 1000;
constexpr int kHandshakeMillis = 10 * 1000;
constexpr int kKeepaliveMillis =
    60 * 1000;  // a peer that vanished is noticed, and its call cancelled

void SetChannelArguments(const ServerOptions& options, grpc::ServerBuilder& builder) {
  // With SO_REUSEPORT a second daemon would take half of the connections, silently.
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONNECTION_IDLE_MS, kIdleConnectionMillis);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS, kHandshakeMillis);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMillis);
  builder.SetMaxReceiveMessageSize(options.max_receive_bytes);
}

}  // namespace

struct Server::Impl {
  Impl(const ServerOptions& options, jobs::Jobs& jobs, observe::Metrics& metrics)
      : calls({.threads = options.call_threads, .max_queued = options.max_queued_calls}),
        streams({.threads = options.stream_threads, .max_queued = options.max_queued_streams}),
        registry(metrics),
        gate(jobs.tenants(), jobs.admission(), options.tokens_required),
        runtime{jobs, registry, gate, calls, streams, metrics} {}

  jobs::WorkerPool calls;
  jobs::WorkerPool streams;
  CallRegistry registry;
  Gatekeeper gate;
  CallRuntime runtime;
  std::vector<std::unique_ptr<grpc::Service>> services;
  std::string host;
  int port = 0;
  std::unique_ptr<grpc::Server> server;  // before all else to go: its calls use the rest
};

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options,
                                                      const ServerDescription& description,
                                                      jobs::Jobs& jobs, observe::Metrics& metrics) {
  absl::StatusOr<LoopbackAddress> address = ParseLoopbackAddress(options.listen);
  if (!address.ok()) return address.status();

  auto impl = std::make_unique<Impl>(options, jobs, metrics);
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
  builder.AddListeningPort(options.listen, grpc::InsecureServerCredentials(), &bound_port);
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
  impl->host = address->host;
  impl->port = bound_port;
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::~Server() {
  StartDraining();
  CancelCalls();
  Stop(absl::ZeroDuration());
}

int Server::port() const { return impl_->port; }
std::string Server::address() const { return absl::StrCat(impl_->host, ":", impl_->port); }

void Server::StartDraining() {
  impl_->server->GetHealthCheckService()->SetServingStatus(false);
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
