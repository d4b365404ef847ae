// Clients that take more than their share: of connections, pings, streams, or patience.
#include <gtest/gtest.h>

#include "tests/integration/hostile_fixture.h"

namespace bif::server::testing {
namespace {

using namespace bif::testing;

constexpr int kResourceExhausted = 8;
constexpr char kAppend[] = "bif.v1.Datasets/AppendSamples";

class HostileConnections : public HostileClients {
 protected:
  using HostileClients::HostileClients;
};

class ImpatientServer : public HostileClients {
 protected:
  ImpatientServer()
      : HostileClients({.max_live_calls = 500,
                        .stall_limit = absl::Milliseconds(300),
                        .handshake_limit = absl::Milliseconds(300)}) {}
};

TEST_F(ImpatientServer, FiveHundredSilentConnectionsKeepNobodyOutAndAreClosed) {
  AllowOpenFiles(4096);  // 500 here, 500 in the server
  std::vector<RawConnection> silent;
  for (int i = 0; i < 500; ++i) silent.push_back(Connect());
  ExpectUnharmed();
  for (RawConnection& connection : silent) EXPECT_TRUE(connection.AwaitClosed());
  ExpectUnharmed();
}

TEST_F(HostileConnections, OnePingIsAnswered) {
  RawConnection connection = Connect();
  ASSERT_TRUE(connection.Send(Opening() + FrameBytes(FrameType::kPing, 0, 0, "12345678")));
  const auto pong = connection.AwaitFrame(FrameType::kPing);
  ASSERT_TRUE(pong.has_value());
  EXPECT_EQ(pong->flags, kAck);
  EXPECT_EQ(pong->payload, "12345678");
  ExpectUnharmed();
}

// GOAWAY with ENHANCE_YOUR_CALM (11), then the end of the connection.
TEST_F(HostileConnections, AFloodOfPingsIsToldToGoAway) {
  RawConnection connection = Connect();
  std::string flood = Opening();
  for (int i = 0; i < 1000; ++i) flood += FrameBytes(FrameType::kPing, 0, 0, "12345678");
  connection.Send(flood);
  const auto end = connection.AwaitFrame([](const Frame& frame) {
    return frame.type == FrameType::kGoAway &&
           frame.payload.substr(4, 4) == std::string("\0\0\0\x0b", 4);
  });
  EXPECT_TRUE(end.has_value());
  EXPECT_TRUE(connection.AwaitClosed());
  ExpectUnharmed();
}

std::string ManyCalls(int count) {
  std::string bytes;
  for (int i = 0; i < count; ++i) bytes += CallOpening(static_cast<uint32_t>(2 * i + 1), kAppend);
  return bytes;
}

// A client that was told how many streams it may have, and opens more, loses the connection.
TEST_F(HostileConnections, MoreStreamsThanAgreedEndTheConnection) {
  RawConnection connection = Connect();
  ASSERT_TRUE(connection.Send(Opening()));
  ASSERT_TRUE(connection.AwaitFrame(FrameType::kSettings).has_value());
  connection.Send(FrameBytes(FrameType::kSettings, kAck, 0, ""));
  connection.Send(ManyCalls(5000));
  EXPECT_TRUE(connection.AwaitClosed());
  ExpectUnharmed();
}

// RESOURCE_EXHAUSTED: one that never agreed to the number meets the bound on all calls.
TEST_F(ImpatientServer, ThousandsOfUploadsThatSendNothingAreResourceExhausted) {
  RawConnection connection = Connect();
  ASSERT_TRUE(connection.Send(Opening() + ManyCalls(1500)));
  for (int refused = 0; refused < 1000; ++refused) {
    const auto end = connection.AwaitFrame(IsTrailers);
    ASSERT_TRUE(end.has_value()) << refused;
    if (refused == 0) {  // later trailers refer to this one's fields
      EXPECT_EQ(StatusOf(*end), kResourceExhausted);
    }
  }
  ExpectLiveCalls(500);
  connection.Close();
  ExpectUnharmed();
}

TEST_F(HostileConnections, StreamsThatAreOpenedAndResetAtOnceLeaveNothing) {
  const std::string cancel("\0\0\0\x08", 4);
  for (int round = 0; round < 10; ++round) {
    RawConnection connection = Connect();
    std::string bytes = Opening();
    for (uint32_t stream = 1; stream < 2000; stream += 2)
      bytes += CallOpening(stream, kAppend) + FrameBytes(FrameType::kReset, 0, stream, cancel);
    connection.Send(bytes);
    if (round % 2 == 1) ExpectUnharmed();
  }
  ExpectUnharmed();
}

// The call ends with DEADLINE_EXCEEDED in the server's metrics; the reader sees its stream reset.
TEST_F(ImpatientServer, ReadersThatTakeNothingLoseTheirCallsAndOthersAreServed) {
  v1::ScoreMatrixRequest request;
  request.set_posterior(MakePosterior(server_, 3000));
  *request.mutable_queries()->add_inline_() = RegressionSample(5000, "");
  {
    auto stream = server_.Read("bif.v1.Attribution/ScoreMatrix", request);
    int blocks = 0;
    for (v1::ScoreMatrixResponse block; stream->Next(block);) ++blocks;
    EXPECT_TRUE(stream->Finish().ok());
    ASSERT_GT(blocks, 4) << "more than may wait unsent, or the attack is none";
  }
  constexpr int kReaders = 24;  // more than there are threads for streams
  std::vector<RawConnection> readers;
  for (int i = 0; i < kReaders; ++i) {
    readers.push_back(Connect());
    ASSERT_TRUE(readers.back().Send(Opening({{kInitialWindowSize, 0}}) +
                                    CallOpening(1, "bif.v1.Attribution/ScoreMatrix") +
                                    MessageFrame(1, request.SerializeAsString(), kEndStream)));
  }
  Answer(request.posterior(), 6000);
  for (RawConnection& reader : readers)
    EXPECT_TRUE(reader.AwaitFrame(FrameType::kReset).has_value());
  ExpectUnharmed();  // with the connections still open
  EXPECT_NE(server_.MetricsText().find("bif_requests_total{code=\"DEADLINE_EXCEEDED\",method=\"bif."
                                       "v1.Attribution/ScoreMatrix\"} 24"),
            std::string::npos);
}

}  // namespace
}  // namespace bif::server::testing
