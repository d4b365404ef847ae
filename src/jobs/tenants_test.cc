// Tenants, tokens, shares and limits: what is refused, what survives a restart, and that one tenant
// sees nothing of another's.
#include "src/jobs/tenants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "src/base/retry_after.h"
#include "src/base/status.h"
#include "tests/support/queries_fixture.h"

namespace bif::jobs {
namespace {

class TenantsTest : public QueriesFixture {
 protected:
  Tenants& tenants() { return jobs_->tenants(); }
  Admission& admission() { return jobs_->admission(); }
  void MakeTenant(const std::string& id, const TenantLimits& limits = {}) {
    const auto made = tenants().Put({id, "", 1, limits, {}});
    ASSERT_TRUE(made.ok()) << made.status();
  }
};

TEST_F(TenantsTest, ATokenIsKnownByItsSecretAloneUntilItIsRevoked) {
  MakeTenant("vision");
  const auto made = tenants().CreateToken({"vision", Role::kSubmit, "ci", {}});
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_GE(made->secret.size(), 40u);
  for (int restart = 0; restart < 2; ++restart) {
    const auto token = tenants().Authenticate(made->secret);
    ASSERT_TRUE(token.ok()) << token.status();
    EXPECT_EQ(token->tenant, "vision");
    EXPECT_EQ(token->role, Role::kSubmit);
    Restart();
  }
  EXPECT_TRUE(absl::IsUnauthenticated(tenants().Authenticate(made->secret + "x").status()));
  EXPECT_TRUE(absl::IsUnauthenticated(tenants().Authenticate("").status()));
  EXPECT_TRUE(absl::IsUnauthenticated(tenants().Authenticate(made->token.id).status()));
  EXPECT_TRUE(tenants().RevokeToken(made->token.id).ok());
  EXPECT_TRUE(absl::IsUnauthenticated(tenants().Authenticate(made->secret).status()));
  EXPECT_TRUE(absl::IsNotFound(tenants().RevokeToken(made->token.id)));
  Restart();
  EXPECT_TRUE(absl::IsUnauthenticated(tenants().Authenticate(made->secret).status()));
}

TEST_F(TenantsTest, ATokenExpires) {
  const auto made = tenants().CreateToken({kDefaultTenant, Role::kRead, "", absl::Hours(1)});
  ASSERT_TRUE(made.ok());
  EXPECT_TRUE(tenants().Authenticate(made->secret).ok());
  clock_.Advance(absl::Hours(1));
  const absl::Status status = tenants().Authenticate(made->secret).status();
  EXPECT_TRUE(absl::IsUnauthenticated(status));
  EXPECT_EQ(Reason(status), "TOKEN_EXPIRED");
}

TEST_F(TenantsTest, TheSecretIsNotOnDisk) {
  const auto made = tenants().CreateToken({kDefaultTenant, Role::kRead, "", {}});
  ASSERT_TRUE(made.ok());
  const auto records =
      store_->catalog().ScanBytes(storage::KindPrefix(storage::RecordKind::kToken), "", 100);
  ASSERT_TRUE(records.ok());
  ASSERT_EQ(records->size(), 1u);
  EXPECT_THAT((*records)[0].first, ::testing::Not(::testing::HasSubstr(made->secret)));
  EXPECT_THAT((*records)[0].second, ::testing::Not(::testing::HasSubstr(made->secret)));
}

TEST_F(TenantsTest, WrongTenantsAndTokensAreRefusedByField) {
  EXPECT_EQ(FieldPath(tenants().Put({"No", "", 1, {}, {}}).status()), "tenant.id");
  EXPECT_EQ(FieldPath(tenants().Put({"a~b", "", 1, {}, {}}).status()), "tenant.id");
  EXPECT_EQ(FieldPath(tenants().Put({"a", "", 0, {}, {}}).status()), "tenant.weight");
  EXPECT_EQ(FieldPath(tenants().Put({"a", "", 1, {-1, 0, 0, 0}, {}}).status()), "tenant.limits");
  EXPECT_TRUE(absl::IsNotFound(tenants().CreateToken({"nobody", Role::kRead, "", {}}).status()));
  EXPECT_EQ(
      FieldPath(
          tenants().CreateToken({kDefaultTenant, Role::kRead, "", absl::Seconds(-1)}).status()),
      "lifetime");
}

TEST_F(TenantsTest, SharesAreKeptAndWithdrawn) {
  MakeTenant("vision");
  MakeTenant("text");
  EXPECT_FALSE(tenants().IsShared("datasets/vision~a", "text"));
  EXPECT_TRUE(tenants().Grant("datasets/vision~a", "text").ok());
  EXPECT_TRUE(tenants().Grant("datasets/vision~a", "text").ok());
  Restart();
  EXPECT_TRUE(tenants().IsShared("datasets/vision~a", "text"));
  EXPECT_FALSE(tenants().IsShared("datasets/vision~a", kDefaultTenant));
  EXPECT_EQ(tenants().Shares("vision").size(), 1u);
  EXPECT_EQ(tenants().Shares("text").size(), 1u);
  EXPECT_TRUE(tenants().Shares(kDefaultTenant).empty());
  EXPECT_TRUE(tenants().Withdraw("datasets/vision~a", "text").ok());
  EXPECT_FALSE(tenants().IsShared("datasets/vision~a", "text"));
  EXPECT_TRUE(absl::IsNotFound(tenants().Grant("datasets/vision~a", "nobody")));
}

TEST_F(TenantsTest, RequestsAreRefusedAboveTheRateAndTheDelayIsWhenTheNextOnePasses) {
  MakeTenant("busy", {.requests_per_second = 4});
  int admitted = 0;
  absl::Status refused;
  while ((refused = admission().AdmitRequest("busy")).ok()) ++admitted;
  EXPECT_EQ(admitted, 8);  // two seconds' worth at once
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_EQ(Reason(refused), "REQUEST_RATE");
  ASSERT_TRUE(RetryAfter(refused).has_value());
  EXPECT_TRUE(admission().AdmitRequest(kDefaultTenant).ok());
  clock_.Advance(*RetryAfter(refused) - absl::Milliseconds(1));
  EXPECT_FALSE(admission().AdmitRequest("busy").ok());
  clock_.Advance(absl::Milliseconds(2));
  EXPECT_TRUE(admission().AdmitRequest("busy").ok());
}

TEST_F(TenantsTest, OperationsAreReservedUntilTheyEnd) {
  MakeTenant("a", {.running_operations = 1});
  auto first = admission().AdmitOperation("a", {});
  ASSERT_TRUE(first.ok());
  const absl::Status refused = admission().AdmitOperation("a", {}).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_EQ(Reason(refused), "OPERATIONS");
  EXPECT_TRUE(admission().AdmitOperation("b", {}).ok());
  first->reset();
  EXPECT_TRUE(admission().AdmitOperation("a", {}).ok());
}

TEST_F(TenantsTest, TheDelayComesFromHowFastOperationsEnded) {
  MakeTenant("a", {.running_operations = 1});
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(admission().AdmitOperation("a", {}).ok());  // ends at once
    clock_.Advance(absl::Seconds(20));
  }
  const auto running = admission().AdmitOperation("a", {});
  EXPECT_EQ(RetryAfter(admission().AdmitOperation("a", {}).status()), absl::Seconds(20));
}

TEST_F(TenantsTest, DeviceTimeIsReservedThenCountedAndBackTheNextDay) {
  MakeTenant("a", {.device_seconds_per_day = 100});
  CostEstimate estimate;
  estimate.duration = absl::Seconds(60);
  auto first = admission().AdmitOperation("a", estimate);
  ASSERT_TRUE(first.ok());
  const absl::Status refused = admission().AdmitOperation("a", estimate).status();
  EXPECT_EQ(Reason(refused), "DEVICE_TIME");
  admission().AddDeviceTime("a", absl::Seconds(30));
  first->reset();  // it needed less than it had reserved
  EXPECT_TRUE(admission().AdmitOperation("a", estimate).ok());
  admission().AddDeviceTime("a", absl::Seconds(30));
  ASSERT_TRUE(admission().KeepUsage().ok());
  Restart();
  const absl::Status spent = admission().AdmitOperation("a", estimate).status();
  EXPECT_EQ(Reason(spent), "DEVICE_TIME");
  ASSERT_TRUE(RetryAfter(spent).has_value());
  clock_.Advance(*RetryAfter(spent));
  EXPECT_TRUE(admission().AdmitOperation("a", estimate).ok());
  estimate.duration = absl::Seconds(101);
  EXPECT_EQ(Reason(admission().AdmitOperation("a", estimate).status()), "DEVICE_TIME_TOO_LARGE");
}

TEST_F(TenantsTest, StoredBytesCountSamplesAndComeBackWhenTheyAreDeleted) {
  // A row is four features and a target: 20 bytes.
  MakeTenant("a", {.stored_bytes = 2000});
  const std::string dataset = MakeDataset("a~data", 100);
  EXPECT_EQ(admission().Usage("a")->stored_bytes, 2000);
  EXPECT_EQ(admission().Usage(kDefaultTenant)->stored_bytes, 0);
  auto append = jobs_->datasets().StartAppend({"a", ""}, dataset);
  ASSERT_TRUE(append.ok());
  ASSERT_TRUE((*append)->Add(SomeRows(1, 9), {"more"}).ok());
  const absl::Status refused = (*append)->Commit().status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_EQ(Reason(refused), "STORED_BYTES");
  ASSERT_TRUE(jobs_->datasets().DeleteSamples(dataset, {"r1", "r2"}).ok());
  append = jobs_->datasets().StartAppend({"a", ""}, dataset);
  ASSERT_TRUE((*append)->Add(SomeRows(1, 9), {"more"}).ok());
  EXPECT_TRUE((*append)->Commit().ok());
}

TEST_F(TenantsTest, TheSamePosteriorOfTwoTenantsIsTwo) {
  MakeTenant("vision");
  SampleIt();  // the default tenant's
  const std::string path =
      WriteFile("again.pt2", testing::FakeProgramFile(4, 0, {0.5f, -0.25f, 1.0f, 0.0f}));
  const engine::ProgramSource source = testing::FakeProgram(path);
  ProgramSpec program;
  program.request.tenant = "vision";
  program.loss = source.loss;
  program.target_column = source.target_column;
  program.inputs = source.inputs;
  const auto made = jobs_->checkpoints().CreateProgram(program, path);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_THAT(made->name, ::testing::StartsWith("programs/vision~"));
  EXPECT_THAT(made->digest, ::testing::Not(::testing::HasSubstr("~")));
  const auto checkpoint = jobs_->checkpoints().CreateCheckpoint({{"vision", ""}, "", made->name});
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  PosteriorSpec spec;
  spec.request.tenant = "vision";
  spec.checkpoint = checkpoint->name;
  spec.dataset = MakeDataset("vision~train", kTrainingRows);
  spec.settings = SomeSettings();
  spec.settings.chains = kChains;
  spec.settings.draws_per_chain = kDraws;
  const int64_t steps = engine_.hooks().advance_calls;
  const auto operation = jobs_->posteriors().Create(spec);
  ASSERT_TRUE(operation.ok()) << operation.status();
  EXPECT_THAT(operation->name, ::testing::StartsWith("operations/vision~"));
  ASSERT_TRUE(WaitFor(operation->name).error.ok());
  EXPECT_GT(engine_.hooks().advance_calls, steps);  // sampled for itself: a quick end would tell

  PageRequest theirs;
  theirs.tenant = "vision";
  for (const auto& [page, names] : {std::pair{PageRequest{}, 1}, {theirs, 1}}) {
    EXPECT_EQ(jobs_->posteriors().List(page)->items.size(), static_cast<size_t>(names));
    EXPECT_EQ(jobs_->datasets().List(page)->items.size(), static_cast<size_t>(names));
    EXPECT_EQ(jobs_->checkpoints().ListCheckpoints(page)->items.size(), static_cast<size_t>(names));
    EXPECT_EQ(jobs_->operations().List(page)->items.size(), static_cast<size_t>(names));
  }
  EXPECT_NE(jobs_->posteriors().List({})->items[0].name,
            jobs_->posteriors().List(theirs)->items[0].name);
}

TEST_F(TenantsTest, InlineQueriesTellNobodyWhatAnotherTenantAsked) {
  SampleIt();
  AttributeRequest request = Ask(Inline(1));
  EXPECT_EQ(Answer(request).rows_evaluated, 1u);
  EXPECT_EQ(Answer(request).rows_evaluated, 0u);
  request.queries.tenant = "vision";
  EXPECT_EQ(Answer(request).rows_evaluated, 1u);  // as if nobody had asked
  EXPECT_EQ(Answer(request).rows_evaluated, 0u);
}

TEST_F(TenantsTest, DoneOperationsAreForgottenInTime) {
  SampleIt();
  ASSERT_EQ(jobs_->operations().List({})->items.size(), 1u);
  ASSERT_TRUE(jobs_->operations().Forget(clock_.Now() - absl::Hours(1)).ok());
  EXPECT_EQ(jobs_->operations().List({})->items.size(), 1u);
  clock_.Advance(absl::Hours(2));
  ASSERT_TRUE(jobs_->operations().Forget(clock_.Now() - absl::Hours(1)).ok());
  EXPECT_TRUE(jobs_->operations().List({})->items.empty());
}

}  // namespace
}  // namespace bif::jobs
