// A server on the fake engine behind a real TCP port, and what has to hold after every attack on
// it.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "tests/integration/raw_connection.h"
#include "tests/support/server/linear_regression.h"

namespace bif::server::testing {

class HostileClients : public ::testing::Test {
 protected:
  explicit HostileClients(const ServerOptions& options = {});

  // The server says SERVING within 10 s, has closed its end of all connections that were closed at
  // this end within 30 s, and so has taken in whatever they brought; has no call any more, and has
  // grown by less than kMaxGrowthBytes since the test began.
  void ExpectUnharmed();

  // Waits until at most so many calls live.
  void ExpectLiveCalls(size_t at_most);

  bif::testing::RawConnection Connect();
  // The whole answer to a question about sample `row`, whose trace the server does not have before
  // the first time.
  v1::AttributeResponse Answer(const std::string& posterior, int row);
  v1::AttributeRequest Question(const std::string& posterior, int row) const;
  int64_t SamplesOf(const std::string& dataset);

  // The test's clients live in the same process, which the bound includes.
  static constexpr int64_t kMaxGrowthBytes = 128 << 20;

  TestServer server_;

 private:
  int sockets_at_start_ = 0;
  int64_t resident_at_start_ = 0;
};

// Numbers that are the same at every run.
class SeededBytes {
 public:
  explicit SeededBytes(uint64_t seed) : state_(seed) {}
  uint64_t Below(uint64_t bound);
  std::string Bytes(size_t count);

 private:
  uint64_t state_;
};

}  // namespace bif::server::testing
