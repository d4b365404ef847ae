#include "client/internal/connection.h"

#include <chrono>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/error.h"
#include "google/rpc/status.pb.h"
#include "grpcpp/create_channel.h"
#include "grpcpp/security/credentials.h"

namespace bif::client {
namespace {

// Larger than any message that the API allows (1 MiB blocks, pages of samples with tensors).
constexpr int kMaxReceiveBytes = 64 << 20;

std::shared_ptr<grpc::Channel> OpenChannel(
    const std::string& server, const std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  // One retry policy only, ours.
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  // gRPC waits a second and more before it dials again; a server that restarts should be found
  // sooner.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2000);
  return grpc::CreateCustomChannel(server, credentials, arguments);
}

}  // namespace

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  google::rpc::Status rpc;
  if (status.error_details().empty() || !rpc.ParseFromString(status.error_details())) rpc.Clear();
  rpc.set_code(static_cast<int>(status.error_code()));
  rpc.set_message(status.error_message());
  return StatusFromRpc(rpc);
}

bool Connection::WaitBeforeRetry(const absl::Status& status, Repeatable repeatable, int attempts,
                                 absl::Time deadline) const {
  absl::BitGen random;
  const auto delay =
      DelayBeforeRetry(options.retry, status, repeatable == Repeatable::kYes, attempts,
                       deadline - absl::Now(), absl::Uniform(random, 0.0, 1.0));
  if (!delay) return false;
  if (options.sleep) {
    options.sleep(*delay);
  } else {
    absl::SleepFor(*delay);
  }
  return true;
}

void Connection::Prepare(grpc::ClientContext& context, absl::Time deadline) const {
  if (deadline != absl::InfiniteFuture()) context.set_deadline(absl::ToChronoTime(deadline));
  if (!options.token.empty()) context.AddMetadata("authorization", "Bearer " + options.token);
}

absl::Status Connection::Call(absl::Duration budget, const Repeatable& repeatable,
                              absl::FunctionRef<absl::Status(grpc::ClientContext&)> attempt) const {
  if (!usable.ok()) return usable;
  const absl::Time deadline = absl::Now() + budget;
  for (int attempts = 1;; ++attempts) {
    grpc::ClientContext context;
    Prepare(context, deadline);
    absl::Status status = attempt(context);
    if (status.ok()) return status;
    if (!WaitBeforeRetry(status, repeatable, attempts, deadline)) return status;
  }
}

Client::Client(ClientOptions options) : connection_(std::make_unique<Connection>()) {
  auto credentials = CredentialsOf(options.tls, options.server);
  connection_->usable = credentials.status();
  connection_->channel = OpenChannel(
      options.server, credentials.ok() ? *credentials : grpc::InsecureChannelCredentials());
  connection_->options = std::move(options);
}

Client::~Client() = default;

}  // namespace bif::client
