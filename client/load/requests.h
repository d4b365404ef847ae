// The calls of a run, one after the other: which method, and with which request.
//
// Thread-compatible; the driver's thread alone uses it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bif/v1/attribution.pb.h"
#include "client/client.h"
#include "client/load/mix.h"
#include "client/load/random.h"

namespace bif::client::load {

struct RequestOptions {
  std::string posterior;
  std::string dataset;  // whose samples are asked about; empty: the one the posterior stands on
  Mix mix;
  uint32_t top_k = 10;
  int64_t samples = 1000;  // how many stored samples are asked about in turn, at most
  uint64_t seed = 1;
};

class Requests {
 public:
  // Reads the dataset's first samples, with their tensors if the mix has new queries. Errors are
  // the server's; FAILED_PRECONDITION for a dataset without samples, or without a tensor that new
  // queries could change. A mix of health checks alone asks the server nothing.
  static absl::StatusOr<Requests> Make(Client& client, const RequestOptions& options);

  struct Request {
    Method method;
    v1::AttributeRequest attribute;  // of kStoredTopK and kNewQuery
  };
  Request Next();

 private:
  explicit Requests(const RequestOptions& options) : options_(options), random_(options.seed) {}

  RequestOptions options_;
  Random random_;
  std::vector<v1::Sample> samples_;
  size_t next_stored_ = 0;
};

}  // namespace bif::client::load
