// Serves `GET /metrics` over HTTP for as long as it lives. Thread-compatible.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "src/observe/metrics.h"

namespace prometheus {
class Exposer;
}

namespace bif::observe {

class MetricsEndpoint {
 public:
  // `address` is host:port; port 0 takes any free one. `metrics` must outlive the endpoint.
  // UNAVAILABLE if the address cannot be listened on.
  static absl::StatusOr<std::unique_ptr<MetricsEndpoint>> Start(const std::string& address,
                                                                Metrics& metrics);
  ~MetricsEndpoint();

  int port() const;

 private:
  explicit MetricsEndpoint(std::unique_ptr<prometheus::Exposer> exposer);
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace bif::observe
