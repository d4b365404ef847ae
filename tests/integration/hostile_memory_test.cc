// Clients that send more than they may, as fast as the server lets them.
#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/integration/hostile_fixture.h"

namespace bif::server::testing {
namespace {

using namespace bif::testing;

constexpr int kResourceExhausted = 8;

// Sends DATA on stream 1 within the windows that the server grants, as a client library would.
class Sender {
 public:
  explicit Sender(RawConnection connection) : connection_(std::move(connection)) {}

  RawConnection& connection() { return connection_; }

  // Until the server ends the stream or the connection, or has taken so many bytes; gives how many
  // it has taken.
  int64_t Send(int64_t at_most) {
    const std::string frame = FrameBytes(FrameType::kData, 0, 1, std::string(kChunk, 'x'));
    int64_t sent = 0;
    while (sent < at_most) {
      if (std::min(of_connection_, of_stream_) < kChunk) {
        if (!TakeFrame()) return sent;
        continue;
      }
      if (!connection_.Send(frame)) return sent;
      of_connection_ -= kChunk;
      of_stream_ -= kChunk;
      sent += kChunk;
    }
    return sent;
  }

 private:
  static constexpr int64_t kChunk = 16 << 10;

  bool TakeFrame() {
    const std::optional<Frame> frame = connection_.NextFrame();
    if (!frame) return false;
    if (IsTrailers(*frame) || frame->type == FrameType::kReset ||
        frame->type == FrameType::kGoAway) {
      return false;
    }
    if (frame->type == FrameType::kWindowUpdate) {
      (frame->stream == 0 ? of_connection_ : of_stream_) += NumberIn(frame->payload);
    }
    if (frame->type == FrameType::kSettings && frame->flags != kAck) TakeSettings(frame->payload);
    return true;
  }
  void TakeSettings(const std::string& payload) {
    for (size_t at = 0; at + 6 <= payload.size(); at += 6) {
      if (NumberIn(payload.substr(at, 2)) != kInitialWindowSize) continue;
      const int64_t window = NumberIn(payload.substr(at + 2, 4));
      of_stream_ += window - initial_window_;
      initial_window_ = window;
    }
    connection_.Send(FrameBytes(FrameType::kSettings, kAck, 0, ""));
  }

  RawConnection connection_;
  int64_t of_connection_ = 65535;
  int64_t of_stream_ = 65535;
  int64_t initial_window_ = 65535;
};

class HostileMemory : public HostileClients {
 protected:
  // Of connections that end under such attacks, gRPC 1.51 now and then notices one only when it
  // asks for a sign of life.
  HostileMemory() : HostileClients({.keepalive = absl::Seconds(1)}) {}
};

// The stream is reset, long before the message is complete.
TEST_F(HostileMemory, AMessageThatClaimsGigabytesIsNotTaken) {
  for (const char* method : {"bif.v1.Datasets/GetDataset", "bif.v1.Datasets/AppendSamples"}) {
    Sender sender(Connect());
    const std::string claim("\0\x7f\xff\xff\xff", 5);
    ASSERT_TRUE(sender.connection().Send(Opening() + CallOpening(1, method) +
                                         FrameBytes(FrameType::kData, 0, 1, claim)));
    EXPECT_LT(sender.Send(1 << 30), 100 << 20) << method;
    ExpectUnharmed();
  }
}

// Nothing comes after the claim: the call waits, holds no thread and ends with its client.
TEST_F(HostileMemory, MessagesThatAreOnlyClaimedCostNothing) {
  const std::string claim("\0\x7f\xff\xff\xff", 5);
  std::string attack = Opening();
  for (uint32_t stream = 1; stream < 400; stream += 2) {
    attack += CallOpening(stream, "bif.v1.Datasets/AppendSamples") +
              FrameBytes(FrameType::kData, 0, stream, claim);
  }
  std::vector<RawConnection> connections;
  for (int i = 0; i < 10; ++i) {
    connections.push_back(Connect());
    ASSERT_TRUE(connections.back().Send(attack));
  }
  MakeDataset(server_, "meanwhile", 3);
  connections.clear();
  ExpectUnharmed();
}

// A call of GetDataset on stream 1 with `count` more header fields of so many bytes each, in as
// many frames as they take.
std::string FloodOfHeaders(int count, size_t bytes) {
  Headers headers = CallHeaders("bif.v1.Datasets/GetDataset");
  for (int i = 0; i < count; ++i)
    headers.push_back({"flood-" + std::to_string(i), std::string(bytes, 'x')});
  const std::string block = HeaderBlock(headers);
  constexpr size_t kFrame = 16 << 10;
  std::string frames;
  for (size_t at = 0; at < block.size(); at += kFrame) {
    const bool last = at + kFrame >= block.size();
    frames += FrameBytes(at == 0 ? FrameType::kHeaders : FrameType::kContinuation,
                         last ? kEndHeaders : 0, 1, block.substr(at, kFrame));
  }
  return frames;
}

// RESOURCE_EXHAUSTED: 16 KiB of headers a call is the limit.
TEST_F(HostileMemory, AFloodOfHeadersIsResourceExhausted) {
  RawConnection connection = Connect();
  ASSERT_TRUE(connection.Send(Opening()));
  ASSERT_TRUE(connection.AwaitFrame(FrameType::kSettings).has_value());
  connection.Send(FrameBytes(FrameType::kSettings, kAck, 0, ""));
  ASSERT_TRUE(connection.Send(FloodOfHeaders(1000, 100)));
  const auto end = connection.AwaitFrame(IsTrailers);
  ASSERT_TRUE(end.has_value());
  EXPECT_EQ(StatusOf(*end), kResourceExhausted);
  ExpectUnharmed();
}

// No status: gRPC 1.51 holds a client to the limit only once the client has acknowledged it, and no
// setting changes that. What such a client sent is given back when it leaves.
TEST_F(HostileMemory, HeadersOfAClientThatNeverAgreesToTheLimitGoWhenItGoes) {
  const std::string attack = Opening() + FloodOfHeaders(8000, 1000);
  for (int i = 0; i < 40; ++i) {
    RawConnection connection = Connect();
    ASSERT_TRUE(connection.Send(attack));
  }
  ExpectUnharmed();
}

}  // namespace
}  // namespace bif::server::testing
