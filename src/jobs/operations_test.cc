#include "src/jobs/operations.h"

#include "absl/synchronization/notification.h"
#include "src/base/status.h"
#include "tests/support/jobs_fixture.h"

namespace bif::jobs {
namespace {

// A catalog on a disk that can be full.
class FillableCatalog : public storage::Catalog {
 public:
  explicit FillableCatalog(storage::Catalog& catalog) : catalog_(catalog) {}
  bool full = false;

  absl::Status Commit(const storage::WriteSet& writes) override {
    return full ? absl::ResourceExhaustedError("no space") : catalog_.Commit(writes);
  }
  absl::StatusOr<std::string> GetBytes(const storage::RecordKey& key) override {
    return catalog_.GetBytes(key);
  }
  absl::StatusOr<uint32_t> GetU32(const storage::RecordKey& key) override {
    return catalog_.GetU32(key);
  }
  absl::StatusOr<std::vector<std::optional<uint32_t>>> GetU32s(
      const std::vector<storage::RecordKey>& keys) override {
    return catalog_.GetU32s(keys);
  }
  absl::StatusOr<std::vector<std::pair<std::string, std::string>>> ScanBytes(
      const storage::RecordKey& prefix, const std::string& after, size_t limit) override {
    return catalog_.ScanBytes(prefix, after, limit);
  }
  absl::StatusOr<uint64_t> NextNumber(const std::string& counter) override {
    return catalog_.NextNumber(counter);
  }

 private:
  storage::Catalog& catalog_;
};

// An operation manager on a store, without any job.
class OperationsTest : public ::testing::Test {
 protected:
  OperationsTest() { Open(); }

  void Open() {
    manager_.reset();
    store_.reset();
    storage::StoreOptions options;
    options.root = data_ / "store";
    options.min_free_disk_bytes = 0;
    store_ = *storage::OpenStore(options);
    catalog_ = std::make_unique<FillableCatalog>(store_->catalog());
    manager_ = std::make_unique<OperationManager>(*catalog_, clock_, options_);
    ASSERT_TRUE(manager_->Recover().ok());
  }

  std::shared_ptr<RunningOperation> Create(const std::string& kind = kTraceOperation) {
    const std::string id = *manager_->NewId();
    absl::StatusOr<std::shared_ptr<RunningOperation>> made =
        manager_->Create(id, kind, std::string(64, 'a'), "the request", {});
    EXPECT_TRUE(made.ok()) << made.status();
    return *made;
  }

  testing::TempDir data_;
  FakeClock clock_;
  OperationManager::Options options_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<FillableCatalog> catalog_;
  std::unique_ptr<OperationManager> manager_;
};

TEST_F(OperationsTest, AnOperationTellsItsProgressAndItsEnd) {
  const auto running = Create();
  const std::string name = "operations/" + running->id();
  EXPECT_EQ(manager_->Get(name)->progress.stage, "queued");
  EXPECT_EQ(manager_->Get(name)->target, "posteriors/aaaaaaaaaaaa");
  OperationProgress progress;
  progress.stage = "tracing";
  progress.draws_done = 3;
  running->Report(progress);
  const Operation during = *manager_->Get(name);
  EXPECT_EQ(during.progress.draws_done, 3u);
  EXPECT_GT(during.sequence, 1u);
  clock_.Advance(absl::Seconds(5));
  running->Finish(absl::OkStatus(), {.rows_traced = 7, .rows_already_there = 2});
  running->Finish(absl::InternalError("too late"), {});
  const Operation done = *manager_->Get(name);
  EXPECT_TRUE(done.done);
  EXPECT_TRUE(done.error.ok());
  EXPECT_EQ(done.result.rows_traced, 7);
  EXPECT_EQ(done.result.rows_already_there, 2);
  EXPECT_EQ(done.end_time - done.create_time, absl::Seconds(5));
  EXPECT_GT(done.sequence, during.sequence);
}

TEST_F(OperationsTest, WhatWasNotDoneIsHandedToItsKindAfterARestart) {
  const auto unfinished = Create(kTraceOperation);
  const auto finished = Create(kPosteriorOperation);
  const std::string id = unfinished->id();
  finished->Finish(absl::FailedPreconditionError("all chains diverged"), {});
  ASSERT_TRUE(manager_->Cancel("operations/" + id).ok());
  Open();
  EXPECT_TRUE(manager_->TakeUnfinished(kPosteriorOperation).empty());
  const auto taken = manager_->TakeUnfinished(kTraceOperation);
  ASSERT_EQ(taken.size(), 1u);
  EXPECT_EQ(taken[0]->id(), id);
  EXPECT_EQ(taken[0]->request(), "the request");
  EXPECT_TRUE(taken[0]->cancel().cancelled());
  EXPECT_TRUE(manager_->TakeUnfinished(kTraceOperation).empty());
  const Operation failed = *manager_->Get("operations/" + finished->id());
  EXPECT_EQ(failed.error, absl::FailedPreconditionError("all chains diverged"));
}

TEST_F(OperationsTest, AnEndThatFoundTheDiskFullIsStoredBeforeAnythingNewStarts) {
  const auto running = Create();
  const std::string name = "operations/" + running->id();
  const std::string next = *manager_->NewId();
  catalog_->full = true;
  running->Finish(absl::OkStatus(), {});
  EXPECT_TRUE(absl::IsResourceExhausted(manager_->Get(name)->error)) << "its caller hears so";
  EXPECT_TRUE(absl::IsResourceExhausted(manager_->StoreEnds()));
  EXPECT_TRUE(absl::IsResourceExhausted(
      manager_->Create(next, kTraceOperation, std::string(64, 'a'), "", {}).status()));

  catalog_->full = false;
  ASSERT_TRUE(manager_->Create(next, kTraceOperation, std::string(64, 'a'), "", {}).ok());
  Open();
  const auto unfinished = manager_->TakeUnfinished(kTraceOperation);
  ASSERT_EQ(unfinished.size(), 1u) << "what has ended does not run once more";
  EXPECT_EQ(unfinished[0]->id(), next);
  EXPECT_TRUE(absl::IsResourceExhausted(manager_->Get(name)->error)) << "and ended as it was told";
}

TEST_F(OperationsTest, AnEndThatWasDeletedBeforeItCouldBeStoredStaysDeleted) {
  const auto running = Create();
  const std::string name = "operations/" + running->id();
  catalog_->full = true;
  running->Finish(absl::OkStatus(), {});
  catalog_->full = false;
  ASSERT_TRUE(manager_->Delete(name).ok());
  ASSERT_TRUE(manager_->StoreEnds().ok());
  EXPECT_TRUE(absl::IsNotFound(manager_->Get(name).status()));
}

TEST_F(OperationsTest, WatchersAreCalledOnceAtTheNextChange) {
  const auto running = Create();
  const std::string name = "operations/" + running->id();
  std::vector<uint64_t> seen;
  const auto record = [&seen](const Operation& operation) { seen.push_back(operation.sequence); };
  EXPECT_EQ(*manager_->NotifyOnChange(name, 0, record), 0u);  // there is news already
  ASSERT_EQ(seen, std::vector<uint64_t>{1});
  EXPECT_GT(*manager_->NotifyOnChange(name, 1, record), 0u);
  const uint64_t stopped = *manager_->NotifyOnChange(name, 1, record);
  EXPECT_TRUE(manager_->StopNotifying(stopped));
  running->Report({});
  running->Report({});
  EXPECT_EQ(seen, (std::vector<uint64_t>{1, 2}));
  EXPECT_FALSE(manager_->StopNotifying(stopped));
  // The end counts as a change whatever sequence the watcher has seen.
  EXPECT_GT(*manager_->NotifyOnChange(name, 1000, record), 0u);
  running->Finish(absl::OkStatus(), {});
  EXPECT_EQ(seen, (std::vector<uint64_t>{1, 2, 4}));
  EXPECT_TRUE(absl::IsNotFound(manager_->NotifyOnChange("operations/1", 0, record).status()));
}

TEST_F(OperationsTest, WatchersHearFromAManagerThatGoesAway) {
  const auto running = Create();
  bool called = false;
  ASSERT_TRUE(manager_
                  ->NotifyOnChange("operations/" + running->id(), 1,
                                   [&](const Operation& operation) {
                                     called = true;
                                     EXPECT_FALSE(operation.done);
                                   })
                  .ok());
  manager_.reset();
  EXPECT_TRUE(called);
}

TEST_F(OperationsTest, WaitGivesUpAtItsDeadline) {
  const auto running = Create();
  const std::string name = "operations/" + running->id();
  EXPECT_FALSE(manager_->Wait(name, absl::InfinitePast())->done);
  std::thread finisher([&] { running->Finish(absl::OkStatus(), {}); });
  EXPECT_TRUE(manager_->Wait(name, absl::InfiniteFuture())->done);
  finisher.join();
}

TEST_F(OperationsTest, ARunningOperationIsNotDeleted) {
  const auto running = Create();
  const std::string name = "operations/" + running->id();
  EXPECT_TRUE(absl::IsFailedPrecondition(manager_->Delete(name)));
  running->Finish(absl::OkStatus(), {});
  EXPECT_TRUE(manager_->Cancel(name).ok());  // too late, and harmless
  EXPECT_TRUE(manager_->Delete(name).ok());
  EXPECT_TRUE(absl::IsNotFound(manager_->Get(name).status()));
}

TEST_F(OperationsTest, PagesComeInTheOrderOfCreation) {
  std::vector<std::string> names;
  for (int i = 0; i < 5; ++i) names.push_back("operations/" + Create()->id());
  std::vector<std::string> listed;
  PageRequest request{2, ""};
  do {
    const Page<Operation> page = *manager_->List(request);
    EXPECT_LE(page.items.size(), 2u);
    for (const Operation& operation : page.items) listed.push_back(operation.name);
    request.page_token = page.next_page_token;
  } while (!request.page_token.empty());
  EXPECT_EQ(listed, names);
}

TEST_F(OperationsTest, TooManyAtOnceAreRefused) {
  options_.max_running = 1;
  Open();
  const auto running = Create();
  EXPECT_TRUE(absl::IsResourceExhausted(
      manager_->Create(*manager_->NewId(), kTraceOperation, "k", "", {}).status()));
  running->Finish(absl::OkStatus(), {});
  EXPECT_TRUE(manager_->Create(*manager_->NewId(), kTraceOperation, "k", "", {}).ok());
}

TEST_F(OperationsTest, ARequestIdStandsForOneBody) {
  RequestIds ids(store_->catalog());
  const RequestId request{"default", "r-1"};
  const Digest body = Sha256Of("body");
  EXPECT_EQ(*ids.Find(request, body), std::nullopt);
  storage::WriteSet writes;
  ids.Remember(request, body, "made", clock_.Now(), writes);
  ASSERT_TRUE(store_->catalog().Commit(writes).ok());
  EXPECT_EQ(*ids.Find(request, body), "made");
  const absl::Status other = ids.Find(request, Sha256Of("another body")).status();
  EXPECT_TRUE(absl::IsInvalidArgument(other));
  EXPECT_EQ(FieldPath(other), "request_id");
  EXPECT_EQ(*ids.Find({"another tenant", "r-1"}, Sha256Of("another body")), std::nullopt);
  EXPECT_EQ(*ids.Find({"default", ""}, body), std::nullopt);
}

}  // namespace
}  // namespace bif::jobs
