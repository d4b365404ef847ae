// A client who makes one posterior longer, again and again, and sometimes changes their mind: so it
// is resumed as often as the run has extensions, cancellations and kills.
#pragma once

#include <string>

#include "tests/crash/lane.h"

namespace bif::testing {

class ExtendingLane : public Lane {
 public:
  ExtendingLane(ServedDaemon& daemon, Ledger& ledger, uint64_t seed, int number,
                std::string posterior, uint32_t draws)
      : Lane(daemon, ledger, seed, number), posterior_(std::move(posterior)), draws_(draws) {}

  uint32_t draws() const { return draws_; }  // a chain, after Run

 private:
  void Round(int round) override;
  void Finish() override;  // what a cancelled extension left out
  void Extend(const std::string& request_id, bool cancel);

  const std::string posterior_;
  uint32_t draws_;  // that were asked for
};

}  // namespace bif::testing
