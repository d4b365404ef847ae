// Clients that vanish: every phase of an upload and of an attribution, in an orderly way, as when a
// process is killed, and with a reset.
#include <gtest/gtest.h>

#include <set>

#include "absl/synchronization/notification.h"
#include "tests/integration/hostile_fixture.h"

namespace bif::server::testing {
namespace {

using namespace bif::testing;

class HostileVanishing : public HostileClients {
 protected:
  // Sends the first `bytes` of `script` on a new connection, then vanishes.
  void VanishAfter(const std::string& script, size_t bytes, bool reset) {
    RawConnection connection = Connect();
    EXPECT_TRUE(connection.Send(std::string_view(script).substr(0, bytes)));
    reset ? connection.Reset() : connection.Close();
  }
};

std::string UploadOpening() { return Opening() + CallOpening(1, "bif.v1.Datasets/AppendSamples"); }

std::string UploadMessage(const std::string& dataset, int number) {
  v1::AppendSamplesRequest request;
  if (number == 0) request.set_dataset(dataset);
  for (int i = 0; i < 2; ++i)
    *request.add_samples() = RegressionSample(i, std::to_string(2 * number + i));
  return MessageFrame(1, request.SerializeAsString());
}

// The call ends with CANCELLED, which nobody hears.
TEST_F(HostileVanishing, AnUploadThatWasNotEndedIsNeverVisible) {
  const std::string dataset = MakeDataset(server_, "cut", 0);
  std::string script = UploadOpening();
  std::set<size_t> cuts = {0, kPreface.size(), script.size()};
  for (int message = 0; message < 3; ++message) {
    script += UploadMessage(dataset, message);
    cuts.insert(script.size());
  }
  for (size_t cut = 1; cut < script.size(); cut += 41) cuts.insert(cut);
  for (const size_t cut : cuts) {
    for (const bool reset : {false, true}) VanishAfter(script, cut, reset);
  }
  ExpectUnharmed();
  EXPECT_EQ(SamplesOf(dataset), 0);
}

TEST_F(HostileVanishing, AnUploadThatWasEndedIsVisibleWholeOrNotAtAll) {
  for (int attempt = 0; attempt < 20; ++attempt) {
    const std::string dataset = MakeDataset(server_, "ended-" + std::to_string(attempt), 0);
    std::string script = UploadOpening();
    for (int message = 0; message < 3; ++message) script += UploadMessage(dataset, message);
    script += StreamEnd(1);
    VanishAfter(script, script.size(), attempt % 2 == 0);
    ExpectUnharmed();
    const int64_t samples = SamplesOf(dataset);
    EXPECT_TRUE(samples == 0 || samples == 6) << samples;
  }
}

std::string AttributeScript(const v1::AttributeRequest& request) {
  return Opening() + CallOpening(1, "bif.v1.Attribution/Attribute") +
         MessageFrame(1, request.SerializeAsString(), kEndStream);
}

TEST_F(HostileVanishing, WhoeverLeavesAnAttributionChangesNoAnswer) {
  const std::string posterior = MakePosterior(server_, 50);
  const std::string before = Answer(posterior, 1000).rankings(0).SerializeAsString();
  int row = 2000;  // a new query each time, so that there is something to evaluate
  const size_t length = AttributeScript(Question(posterior, row)).size();
  for (size_t cut = 1; cut <= length;
       cut += cut + 29 > length && cut < length ? length - cut : 29) {
    for (const bool reset : {false, true})
      VanishAfter(AttributeScript(Question(posterior, ++row)), cut, reset);
  }
  // And while the answer arrives: after its headers, after a message.
  for (int frames = 1; frames <= 4; ++frames) {
    RawConnection connection = Connect();
    ASSERT_TRUE(connection.Send(AttributeScript(Question(posterior, ++row))));
    for (int i = 0; i < frames; ++i) ASSERT_TRUE(connection.NextFrame().has_value());
    connection.Reset();
  }
  ExpectUnharmed();
  EXPECT_EQ(Answer(posterior, 1000).rankings(0).SerializeAsString(), before);
  Answer(posterior, row);  // the query that nobody waited for is answered when somebody does
  ExpectUnharmed();
}

TEST_F(HostileVanishing, ACallIsGivenUpWhileTheDeviceEvaluatesItsQuery) {
  const std::string posterior = MakePosterior(server_, 50);
  struct Gate {
    absl::Notification arrived, release;
  };
  const auto gate = std::make_shared<Gate>();
  server_.engine().hooks().on_observe = [gate](int64_t) {
    if (!gate->arrived.HasBeenNotified()) gate->arrived.Notify();
    gate->release.WaitForNotification();
    return absl::OkStatus();
  };
  const std::string script = AttributeScript(Question(posterior, 2000));
  RawConnection evaluated = Connect();
  ASSERT_TRUE(evaluated.Send(script));
  gate->arrived.WaitForNotification();
  RawConnection queued = Connect();  // waits for the device behind the first
  ASSERT_TRUE(queued.Send(AttributeScript(Question(posterior, 2001))));
  evaluated.Reset();
  queued.Close();
  gate->release.Notify();
  ExpectUnharmed();
  Answer(posterior, 2000);
  ExpectUnharmed();
}

}  // namespace
}  // namespace bif::server::testing
