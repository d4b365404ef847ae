// Makes calls without waiting for their answers, over several connections in turn, and beside them
// holds connections that do nothing. Nothing is repeated: what fails counts as failed.
//
// Thread-compatible; `done` is called on threads of gRPC's. Must outlive its calls.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/load/record.h"
#include "client/load/requests.h"
#include "client/load/run_clock.h"
#include "client/tls.h"

namespace grpc {
class Channel;
}

namespace bif::client::load {

struct CallerOptions {
  std::string server;
  std::string token;  // sent with every call; empty: none
  TlsFiles tls;
  int connections = 1;
  int idle_connections = 0;
  absl::Duration deadline = absl::Seconds(60);  // of a call, from when it is sent
};

class Caller {
 public:
  // Opens all connections and waits for them. UNAVAILABLE if one cannot be opened.
  static absl::StatusOr<std::unique_ptr<Caller>> Connect(const CallerOptions& options);

  using Done = std::function<void(const CallRecord&)>;
  // Stamps `sent`, the messages' times and the status on `record`, whose `intended` is the
  // caller's, and hands it to `done` once the call has ended. `clock` must outlive the call.
  void Start(Requests::Request request, CallRecord record, RunClock& clock, Done done);

 private:
  explicit Caller(const CallerOptions& options) : options_(options) {}
  absl::Status Open(int count, std::vector<std::shared_ptr<grpc::Channel>>& channels);

  const CallerOptions options_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::vector<std::shared_ptr<grpc::Channel>> idle_channels_;
  size_t next_channel_ = 0;
};

}  // namespace bif::client::load
