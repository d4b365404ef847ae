#include "client/load/schedule.h"

#include <cmath>

namespace bif::client::load {

absl::Duration PoissonArrivals::Next() {
  // The gaps of a Poisson process are exponential; 1 - u is in (0, 1], whose logarithm is finite.
  seconds_ += -std::log(1 - random_.Uniform()) / rate_;
  return absl::Seconds(seconds_);
}

}  // namespace bif::client::load
