// The gRPC server: all services on one listener, with health and reflection, and an orderly end.
//
// Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/certificates.h"
#include "server/services.h"
#include "src/jobs/jobs.h"
#include "src/observe/metrics.h"

namespace grpc {
class Channel;
}

namespace bif::server {

struct ServerOptions {
  // Port 0 takes any free one. Without TLS a loopback address; elsewhere tokens are required.
  std::string listen = "127.0.0.1:7311";
  TlsFiles tls;
  // A Unix socket in a folder that only the daemon's user may enter: who comes through it is an
  // administrator. Empty: none.
  std::string operator_socket;
  bool tokens_required = false;    // elsewhere
  int call_threads = 8;            // for short calls
  int stream_threads = 96;         // streams that are produced at once, most of them waiting
  size_t max_queued_calls = 1024;  // more are refused with RESOURCE_EXHAUSTED
  size_t max_queued_streams = 512;
  size_t max_live_calls = 4096;  // that wait, work or listen; more are RESOURCE_EXHAUSTED
  // A reader of a stream that takes nothing for so long loses the call: it holds a stream thread.
  absl::Duration stall_limit = absl::Minutes(2);
  // A connection that has not begun to speak HTTP/2 by then is closed.
  absl::Duration handshake_limit = absl::Seconds(10);
  // How often a silent peer is asked whether it is there: one that vanished loses its calls.
  absl::Duration keepalive = absl::Minutes(1);
  int max_receive_bytes = 4 << 20;  // a message
};

class Server {
 public:
  // Serves from the moment it returns, so recovery had better be over. Readiness follows the device
  // (DeviceExecutor::OnStuck). `jobs` and `metrics` must outlive the server. INVALID_ARGUMENT for
  // an address that is not loopback, without TLS, or a certificate that cannot be used; UNAVAILABLE
  // for a port that is taken.
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

// host:port taken apart: "127.0.0.1:7311", "[::1]:0", "bif.example:80".
struct ListenAddress {
  std::string host;  // as gRPC writes it, with brackets if it is IPv6
  int port = 0;
  bool loopback = false;
};
absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& address);
// The same, but INVALID_ARGUMENT if it is not loopback: for what is neither encrypted nor asks
// callers who they are.
absl::StatusOr<ListenAddress> ParseLoopbackAddress(const std::string& address);

}  // namespace bif::server
