// The gRPC server: all services on one listener, with health and reflection, and an orderly end.
//
// Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/services.h"
#include "src/jobs/jobs.h"
#include "src/observe/metrics.h"

namespace grpc {
class Channel;
}

namespace bif::server {

struct ServerOptions {
  std::string listen = "127.0.0.1:7311";  // a loopback address; port 0 takes any free one
  // A Unix socket in a folder that only the daemon's user may enter: who comes through it is an
  // administrator. Empty: none.
  std::string operator_socket;
  bool tokens_required = false;    // elsewhere
  int call_threads = 8;            // for short calls
  int stream_threads = 96;         // streams that are produced at once, most of them waiting
  size_t max_queued_calls = 1024;  // more are refused with RESOURCE_EXHAUSTED
  size_t max_queued_streams = 512;
  int max_receive_bytes = 4 << 20;  // a message
};

class Server {
 public:
  // Serves from the moment it returns, so recovery had better be over. `jobs` and `metrics` must
  // outlive the server. INVALID_ARGUMENT for an address that is not loopback; UNAVAILABLE for a
  // port that is taken.
  static absl::StatusOr<std::unique_ptr<Server>> Start(const ServerOptions& options,
                                                       const ServerDescription& description,
                                                       jobs::Jobs& jobs, observe::Metrics& metrics);
  ~Server();  // stops at once

  int port() const;
  std::string address() const;  // host:port

  // Refuses new calls with UNAVAILABLE, reports NOT_SERVING, and ends the calls that only wait.
  // Calls that work go on.
  void StartDraining();
  // Waits for the calls that live, at most `grace`, then cancels what is left and waits for its
  // end. No call lives when it returns. Repeating it is harmless.
  void Stop(absl::Duration grace);
  // Cancels all calls: Stop, perhaps running on another thread, then returns soon.
  void CancelCalls();

  size_t live_calls() const;

  // A channel within the process, for tests.
  std::shared_ptr<grpc::Channel> InProcessChannel();

 private:
  struct Impl;
  explicit Server(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Splits host:port ("127.0.0.1:7311", "[::1]:0", "localhost:80") and refuses hosts that are not
// loopback: the traffic is not encrypted and callers are not asked who they are.
struct LoopbackAddress {
  std::string host;  // as gRPC writes it, with brackets if it is IPv6
  int port = 0;
};
absl::StatusOr<LoopbackAddress> ParseLoopbackAddress(const std::string& address);

}  // namespace bif::server
