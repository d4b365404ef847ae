// Conversations with the real daemon, changed at random on their way: bytes of valid calls that
// were flipped, cut, doubled, moved, spliced with those of other calls. The daemon lives, says
// SERVING, answers as before, holds no more memory, and meets no error that it does not understand.
//
//   BIF_CRASH_SEED=1234 wire_test         one run again
//   BIF_WIRE_ATTACKS=1000000 wire_test    a night of it
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <stdexcept>

#include "absl/strings/str_cat.h"
#include "tests/crash/process_usage.h"
#include "tests/crash/questions.h"
#include "tests/crash/replay.h"
#include "tests/integration/raw_connection.h"
#include "tests/integration/small_classifier.h"
#include "tests/support/temp_dir.h"

namespace bif::testing {
namespace {

namespace v1 = ::bif::v1;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kRows = 40;
constexpr int64_t kMaxGrowthBytes = 128 << 20;

// The bytes of one connection with one call, piece by piece.
struct Conversation {
  std::string method;
  std::string bytes;
};

Conversation CallOf(const std::string& method, const google::protobuf::MessageLite& request) {
  return {method, Opening({{kInitialWindowSize, 1 << 20}}) + CallOpening(1, method) +
                      MessageFrame(1, request.SerializeAsString(), kEndStream)};
}

// One of each shape that a call may have; none that deletes, or takes the daemon elsewhere.
std::vector<Conversation> Conversations(const v1::CreatePosteriorRequest& sampled,
                                        const std::string& posterior) {
  std::vector<Conversation> all;
  all.push_back(CallOf("bif.v1.Attribution/Attribute", AskAboutNewImage(posterior, 1)));
  v1::ScoreMatrixRequest scores;
  scores.set_posterior(posterior);
  scores.mutable_queries()->set_dataset("datasets/train");
  scores.mutable_queries()->add_sample_ids("3");
  scores.set_standard_errors(true);
  all.push_back(CallOf("bif.v1.Attribution/ScoreMatrix", scores));
  v1::SelfInfluenceRequest self_influence;
  self_influence.set_posterior(posterior);
  all.push_back(CallOf("bif.v1.Attribution/SelfInfluence", self_influence));
  v1::ExportTracesRequest traces;
  traces.set_posterior(posterior);
  traces.mutable_samples()->set_dataset("datasets/train");
  all.push_back(CallOf("bif.v1.Attribution/ExportTraces", traces));
  v1::TraceSamplesRequest trace;
  trace.set_posterior(posterior);
  trace.set_dataset("datasets/train");
  trace.add_sample_ids("5");
  all.push_back(CallOf("bif.v1.Attribution/TraceSamples", trace));
  v1::CreatePosteriorRequest dry_run = sampled;
  dry_run.set_validate_only(true);
  all.push_back(CallOf("bif.v1.Posteriors/CreatePosterior", dry_run));
  v1::GetPosteriorRequest get;
  get.set_name(posterior);
  all.push_back(CallOf("bif.v1.Posteriors/GetPosterior", get));
  v1::ListSamplesRequest list;
  list.set_dataset("datasets/train");
  list.set_page_size(7);
  all.push_back(CallOf("bif.v1.Datasets/ListSamples", list));
  v1::AppendSamplesRequest append;
  append.set_dataset("datasets/extra");
  *append.add_samples() = ImageSample("", 1);
  append.mutable_samples(0)->set_id("first");
  Conversation upload = CallOf("bif.v1.Datasets/AppendSamples", append);
  v1::AppendSamplesRequest more;
  *more.add_samples() = ImageSample("second", 2);
  upload.bytes = Opening() + CallOpening(1, upload.method) +
                 MessageFrame(1, append.SerializeAsString()) +
                 MessageFrame(1, more.SerializeAsString()) + StreamEnd(1);
  all.push_back(upload);
  return all;
}

// One small change. `other` is what bytes are taken from.
void Change(Choices& choices, const std::string& other, std::string& bytes) {
  if (bytes.empty()) return;
  const auto place = [&choices](const std::string& text) {
    return static_cast<size_t>(choices.Next() % (text.size() + 1));
  };
  const size_t at = place(bytes);
  const auto length = static_cast<size_t>(choices.Between(1, 64));
  switch (choices.Between(0, 7)) {
    case 0:
      bytes[at % bytes.size()] =
          static_cast<char>(bytes[at % bytes.size()] ^ (1 << choices.Between(0, 7)));
      break;
    case 1:
      bytes[at % bytes.size()] = static_cast<char>(choices.Between(0, 255));
      break;
    case 2:
      bytes.erase(at, length);
      break;
    case 3:
      bytes.insert(at, std::string(bytes.substr(place(bytes), length)));
      break;
    case 4:
      for (size_t i = 0; i < length; ++i)
        bytes.insert(at, 1, static_cast<char>(choices.Between(0, 255)));
      break;
    case 5:
      bytes.resize(at);
      break;
    case 6:
      bytes = bytes.substr(0, at) + other.substr(place(other));
      break;
    default:  // a number where one may stand
      for (size_t i = at; i < std::min(bytes.size(), at + 4); ++i)
        bytes[i] = static_cast<char>(choices.Between(0, 1) == 0 ? 0 : 0xff);
  }
}

class Wire : public ::testing::Test {
 protected:
  Wire()
      : daemon_(scratch_ / "data", {"--allow-root=" + scratch_.path()}),
        client_(ClientOf(daemon_)),
        sampled_(PrepareClassifier(client_, scratch_.path(), kRows, 10)),
        posterior_(SamplePosterior(client_, sampled_)) {
    if (!client_.CreateDataset(ImageDataset("extra")).ok()) throw std::runtime_error("no dataset");
    conversations_ = Conversations(sampled_, posterior_);
  }

  int port() const { return std::stoi(daemon_.address().substr(daemon_.address().rfind(':') + 1)); }
  std::string Scores() {
    const auto digest = ScoresDigest(client_, posterior_, "datasets/train", {"1", "2", "3"});
    return digest.ok() ? *digest : digest.status().ToString();
  }

  TempDir scratch_;
  DaemonProcess daemon_;
  client::Client client_;
  const v1::CreatePosteriorRequest sampled_;
  const std::string posterior_;
  std::vector<Conversation> conversations_;
};

// What is changed is valid: else the daemon would refuse it whatever becomes of it.
TEST_F(Wire, AConversationThatNobodyChangedIsAnswered) {
  for (const Conversation& conversation : conversations_) {
    RawConnection connection(port());
    ASSERT_TRUE(connection.Send(conversation.bytes));
    const auto end = connection.AwaitFrame(
        [](const Frame& frame) { return IsTrailers(frame) || frame.type == FrameType::kReset; });
    ASSERT_TRUE(end.has_value()) << conversation.method;
    EXPECT_TRUE(IsTrailers(*end)) << conversation.method;
    EXPECT_EQ(StatusOf(*end), 0) << conversation.method << " " << end->payload;
  }
}

TEST_F(Wire, ChangedConversationsHarmNobody) {
  const uint64_t seed = SeedOfRun();
  SCOPED_TRACE(absl::StrCat("BIF_CRASH_SEED=", seed));
  const int attacks = FromEnvironment("BIF_WIRE_ATTACKS", 4000);
  constexpr int kRound = 500;
  const std::string scores = Scores();
  int64_t resident = 0;
  int taken = 0;  // attacks whose bytes the daemon took to the end
  for (int attack = 0; attack < attacks; ++attack) {
    Choices choices(seed, static_cast<uint64_t>(attack));
    const auto any = [&]() -> const std::string& {
      return conversations_[choices.Next() % conversations_.size()].bytes;
    };
    std::string bytes = any();
    for (int changes = choices.Between(1, 8); changes > 0; --changes) Change(choices, any(), bytes);
    RawConnection connection(port());
    taken += connection.Send(bytes) ? 1 : 0;
    if (choices.Between(0, 3) == 0) connection.NextFrame();  // its settings, or its end
    if (choices.Between(0, 1) == 0) connection.Reset();
    if ((attack + 1) % kRound != 0 && attack + 1 != attacks) continue;
    const auto serving = client_.IsServing();
    ASSERT_TRUE(serving.ok() && *serving) << "attack " << attack << ": " << serving.status();
    EXPECT_EQ(Scores(), scores) << "attack " << attack;
    const Usage usage = UsageOf(daemon_.pid(), scratch_ / "data");
    if (resident == 0) resident = usage.resident_bytes;  // after a warm-up
    EXPECT_LT(usage.resident_bytes - resident, kMaxGrowthBytes) << "attack " << attack;
  }
  EXPECT_GT(taken, attacks / 2) << "the daemon was talked to at all";
  EXPECT_THAT(daemon_.log(), Not(HasSubstr("incident"))) << "an error that was not understood";
  const auto train = client_.GetDataset("datasets/train");
  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_EQ(train->samples(), kRows);
  daemon_.Signal(SIGTERM);
  EXPECT_EQ(daemon_.AwaitExit(), 0) << daemon_.log();
}

}  // namespace
}  // namespace bif::testing
