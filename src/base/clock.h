// Time as a dependency, so that tests decide what time it is. Thread-safe.
#pragma once

#include "absl/time/time.h"

namespace bif {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual absl::Time Now() = 0;

  static Clock& System();  // the wall clock; lives for ever
};

// A clock that stands still until it is moved. Starts at the Unix epoch plus one day.
class FakeClock : public Clock {
 public:
  FakeClock();
  ~FakeClock() override;
  absl::Time Now() override;
  void Advance(absl::Duration duration);

 private:
  struct State;
  State* state_;
};

}  // namespace bif
