// Which calls a load consists of, and in which proportion.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "client/load/random.h"

namespace bif::client::load {

enum class Method {
  kStoredTopK,  // Attribute of a stored sample of the posterior's own dataset: a look-up
  kNewQuery,    // Attribute of an inline sample that the server has never seen: an evaluation
  kHealth,      // grpc.health.v1 Check: what the network and gRPC take
};

inline constexpr Method kMethods[] = {Method::kStoredTopK, Method::kNewQuery, Method::kHealth};

absl::string_view MethodName(Method method);  // as in --mix: stored-top-k

struct MixPart {
  Method method;
  uint64_t weight;  // above 0
  friend bool operator==(const MixPart&, const MixPart&) = default;
};
using Mix = std::vector<MixPart>;

// "stored-top-k=8,new-query=1,health=1". INVALID_ARGUMENT for an unknown or repeated name, a weight
// that is not a whole number from 0 to 1,000,000, and a mix of nothing. Parts of weight 0 are left
// out; a name without a weight has weight 1.
absl::StatusOr<Mix> ParseMix(absl::string_view text);

bool Contains(const Mix& mix, Method method);

// One method, each with its share's probability. `mix` must not be empty.
Method Pick(const Mix& mix, Random& random);

}  // namespace bif::client::load
