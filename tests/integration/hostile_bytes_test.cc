// Clients that send what is no request: bytes that are not HTTP/2, frames that make no sense,
// messages that are no protobuf or too large, floods of headers.
#include <gtest/gtest.h>

#include "tests/integration/hostile_fixture.h"

namespace bif::server::testing {
namespace {

using namespace bif::testing;

constexpr int kUnimplemented = 12;
constexpr int kInvalidArgument = 3;

class HostileBytes : public HostileClients {
 protected:
  // Opens one call, sends `frames` on its stream 1 and gives the status of its trailers; -1 if the
  // server ended the stream or the connection without any.
  int StatusAfter(const std::string& method, const std::string& frames) {
    RawConnection connection = Connect();
    EXPECT_TRUE(connection.Send(Opening() + CallOpening(1, method) + frames));
    const auto end = connection.AwaitFrame(
        [](const Frame& frame) { return IsTrailers(frame) || frame.type == FrameType::kReset; });
    return end && IsTrailers(*end) ? StatusOf(*end) : -1;
  }
};

// What is not HTTP/2 has no status: the connection is closed.
TEST_F(HostileBytes, WhatIsNotHttp2IsHungUpOn) {
  SeededBytes random(1);
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"), std::string(100'000, '\0'),
        std::string("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 11) + random.Bytes(512),  // TLS
        std::string("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n"), random.Bytes(10), random.Bytes(100'000)}) {
    RawConnection connection = Connect();
    connection.Send(bytes);
    EXPECT_TRUE(connection.AwaitClosed()) << bytes.substr(0, 20);
  }
  ExpectUnharmed();
}

TEST_F(HostileBytes, GarbageAfterTheOpeningHarmsNobody) {
  SeededBytes random(2);
  for (int attack = 0; attack < 300; ++attack) {
    RawConnection connection = Connect();
    std::string bytes = Opening();
    for (int frame = 0; frame < 20; ++frame) {
      if (frame % 5 == 0) bytes += CallOpening(static_cast<uint32_t>(2 * frame + 1), "bif.v1.A/B");
      // Types 0 to 9 are known; a stream that is or is not open; flags of any kind.
      bytes += FrameBytes(static_cast<FrameType>(random.Below(12)),
                          static_cast<uint8_t>(random.Below(256)),
                          static_cast<uint32_t>(random.Below(40)), random.Bytes(random.Below(300)));
    }
    connection.Send(bytes);
    if (attack % 2 == 0) connection.Reset();
  }
  ExpectUnharmed();
}

TEST_F(HostileBytes, FramesThatAreLongerThanAgreedAreHungUpOn) {
  RawConnection connection = Connect();
  connection.Send(Opening() +
                  FrameBytes(FrameType::kHeaders, kEndHeaders, 1, std::string((1 << 24) - 1, 'x')));
  EXPECT_TRUE(connection.AwaitClosed());
  ExpectUnharmed();
}

// UNIMPLEMENTED: so gRPC's callback API answers bytes that are not the request's message.
TEST_F(HostileBytes, AMessageThatIsNoProtobufIsUnimplemented) {
  for (const char* method : {"bif.v1.Datasets/GetDataset", "bif.v1.Datasets/ListDatasets",
                             "bif.v1.Datasets/CreateDataset", "bif.v1.Attribution/Attribute",
                             "bif.v1.Attribution/ScoreMatrix", "bif.v1.Attribution/TraceSamples",
                             "bif.v1.Posteriors/CreatePosterior"}) {
    EXPECT_EQ(StatusAfter(method, MessageFrame(1, "\xff\xff\xff\xff\xff", kEndStream)),
              kUnimplemented)
        << method;
  }
  ExpectUnharmed();
}

TEST_F(HostileBytes, RandomMessagesAreRefusedAndNeverAnInternalError) {
  SeededBytes random(3);
  for (const char* method : {"bif.v1.Datasets/GetSample", "bif.v1.Datasets/ImportSamples",
                             "bif.v1.Datasets/DeleteDataset", "bif.v1.Datasets/CreateDataset",
                             "bif.v1.Attribution/TraceSamples", "bif.v1.Posteriors/CreatePosterior",
                             "bif.v1.Posteriors/GetDiagnostics"}) {
    for (int i = 0; i < 50; ++i) {
      const CallEnd end = server_.CallWithBytes(method, random.Bytes(1 + random.Below(30)));
      EXPECT_TRUE(end.code == absl::StatusCode::kUnimplemented ||
                  end.code == absl::StatusCode::kInvalidArgument ||
                  end.code == absl::StatusCode::kNotFound)
          << method << " " << end;
    }
  }
  ExpectUnharmed();
}

// INVALID_ARGUMENT: a damaged message in the middle of a stream must not pass for its end, or half
// of an upload would become visible.
TEST_F(HostileBytes, ADamagedMessageInAnUploadIsRefusedAndNothingOfItIsKept) {
  const std::string dataset = MakeDataset(server_, "damaged", 0);
  v1::AppendSamplesRequest good;
  good.set_dataset(dataset);
  *good.add_samples() = RegressionSample(1, "1");
  v1::AppendSamplesRequest more;
  *more.add_samples() = RegressionSample(2, "2");
  const std::string first = MessageFrame(1, good.SerializeAsString());
  const std::string bad = MessageFrame(1, "\xff\xff\xff\xff\xff");
  const std::string second = MessageFrame(1, more.SerializeAsString());
  for (const std::string& frames :
       {first + bad + StreamEnd(1), first + bad + second + StreamEnd(1), bad + StreamEnd(1)}) {
    EXPECT_EQ(StatusAfter("bif.v1.Datasets/AppendSamples", frames), kInvalidArgument);
    EXPECT_EQ(SamplesOf(dataset), 0);
  }
  // The same without the damage is taken.
  EXPECT_EQ(StatusAfter("bif.v1.Datasets/AppendSamples", first + second + StreamEnd(1)), 0);
  EXPECT_EQ(SamplesOf(dataset), 2);
  ExpectUnharmed();
}

// RESOURCE_EXHAUSTED: 4 MiB a message is the documented limit.
TEST_F(HostileBytes, AMessageAboveTheLimitIsResourceExhausted) {
  EXPECT_EQ(server_.CallWithBytes("bif.v1.Datasets/GetDataset", std::string(5 << 20, 'x')).code,
            absl::StatusCode::kResourceExhausted);
  ExpectUnharmed();
}

TEST_F(HostileBytes, HeadersWithoutEndHarmNobody) {
  for (const size_t value_bytes : {size_t{200}, size_t{200'000}}) {
    RawConnection connection = Connect();
    std::string block = HeaderBlock(CallHeaders("bif.v1.Datasets/GetDataset"));
    ASSERT_TRUE(connection.Send(Opening() + FrameBytes(FrameType::kHeaders, 0, 1, block)));
    block.clear();
    while (block.size() < 1 << 20) block += HeaderBlock({{"flood", std::string(value_bytes, 'x')}});
    for (size_t at = 0; at < block.size(); at += 16 << 10) {
      if (!connection.Send(FrameBytes(FrameType::kContinuation, 0, 1, block.substr(at, 16 << 10))))
        break;
    }
  }
  ExpectUnharmed();
}

}  // namespace
}  // namespace bif::server::testing
