// The manager of posteriors on the fake engine: keys, single flight, refusals, deletion, recovery.
#include "src/jobs/posteriors.h"

#include <filesystem>
#include <thread>

#include "absl/synchronization/notification.h"
#include "src/base/status.h"
#include "tests/support/jobs_fixture.h"

namespace bif::jobs {
namespace {

class PosteriorsTest : public JobsFixture {
 protected:
  PosteriorsTest() {
    checkpoint_ = MakeCheckpoint();
    dataset_ = MakeDataset("train", 10);
  }
  Posteriors& posteriors() { return jobs_->posteriors(); }
  PosteriorSpec Spec(const engine::SamplerSettings& settings = SomeSettings()) {
    return {{}, "", checkpoint_, dataset_, settings};
  }
  // The path of the field at fault.
  std::string Refused(const PosteriorSpec& spec) {
    const absl::Status status = posteriors().Create(spec).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_EQ(posteriors().Estimate(spec).status(), status);
    EXPECT_TRUE(posteriors().List({})->items.empty());
    EXPECT_TRUE(jobs_->operations().List({})->items.empty());
    return FieldPath(status).value_or("none");
  }

  // Holds the device thread from the first step of sampling on.
  void HoldDevice() {
    engine_.hooks().on_advance = [this](int64_t) {
      if (!held_.HasBeenNotified()) held_.Notify();
      release_.WaitForNotification();
      return absl::OkStatus();
    };
  }

  // A run that stands still, started with Create.
  Operation HeldRun() {
    HoldDevice();
    const Operation running = *posteriors().Create(Spec());
    held_.WaitForNotification();
    return running;
  }
  // Of another posterior than Spec().
  PosteriorSpec OtherSpec() {
    engine::SamplerSettings settings = SomeSettings();
    settings.seed = 99;
    return Spec(settings);
  }

  absl::Notification held_, release_;
  std::string checkpoint_;
  std::string dataset_;
};

TEST_F(PosteriorsTest, ManyCallersAtOnceStartOneRun) {
  std::vector<std::thread> callers;
  std::vector<absl::StatusOr<Operation>> answers(8, absl::UnknownError(""));
  for (auto& answer : answers) {
    callers.emplace_back([this, &answer] { answer = posteriors().Create(Spec()); });
  }
  for (std::thread& caller : callers) caller.join();
  for (const auto& answer : answers) {
    ASSERT_TRUE(answer.ok()) << answer.status();
    EXPECT_EQ(answer->name, answers[0]->name);
  }
  EXPECT_TRUE(WaitFor(answers[0]->name).error.ok());
  const int64_t calls = engine_.hooks().advance_calls;
  EXPECT_EQ(calls, 9);
  const Operation again = *posteriors().Create(Spec());  // known: nothing runs
  EXPECT_TRUE(again.done);
  EXPECT_EQ(again.name, answers[0]->name);
  EXPECT_EQ(engine_.hooks().advance_calls, calls);
  EXPECT_EQ(posteriors().List({})->items.size(), 1u);
}

TEST_F(PosteriorsTest, AKnownPosteriorAnswersAlsoWhenItsOperationIsForgotten) {
  const Operation first = *posteriors().Create(Spec());
  WaitFor(first.name);
  ASSERT_TRUE(jobs_->operations().Delete(first.name).ok());
  const int64_t calls = engine_.hooks().advance_calls;
  const Operation again = *posteriors().Create(Spec());
  EXPECT_TRUE(again.done);
  EXPECT_TRUE(again.error.ok());
  EXPECT_EQ(again.target, first.target);
  EXPECT_EQ(engine_.hooks().advance_calls, calls);
}

TEST_F(PosteriorsTest, AnotherSeedFilterOrRowIsAnotherPosterior) {
  std::vector<std::string> targets;
  const auto create = [&](const PosteriorSpec& spec) {
    const absl::StatusOr<Operation> made = posteriors().Create(spec);
    ASSERT_TRUE(made.ok()) << made.status();
    EXPECT_TRUE(WaitFor(made->name).error.ok());
    EXPECT_EQ(std::count(targets.begin(), targets.end(), made->target), 0);
    targets.push_back(made->target);
  };
  create(Spec());
  engine::SamplerSettings settings = SomeSettings();
  settings.seed = 8;
  create(Spec(settings));
  settings = SomeSettings();
  settings.parameters.include = {"front"};
  create(Spec(settings));
  EXPECT_EQ(posteriors().Get(targets.back())->moving_parameters, 2);
  ASSERT_TRUE(jobs_->datasets().DeleteSamples(dataset_, {"r3"}).ok());
  create(Spec());
  EXPECT_EQ(posteriors().Get(targets.back())->training_samples, 9);
  EXPECT_EQ(Read(targets.back()).anchor_losses.size(), 9u);
  PosteriorSpec other_rows = Spec();
  other_rows.dataset = MakeDataset("other", 10, 2);
  create(other_rows);
}

TEST_F(PosteriorsTest, BadRequestsNameTheirFieldAndLeaveNothing) {
  PosteriorSpec spec = Spec();
  spec.settings.nbeta = -1;
  EXPECT_EQ(Refused(spec), "settings.nbeta");
  spec = Spec();
  spec.settings.step_size = 0;
  EXPECT_EQ(Refused(spec), "settings.step_size");
  spec = Spec();
  spec.settings.batch_size = 11;
  EXPECT_EQ(Refused(spec), "settings.batch_size");
  spec = Spec();
  spec.settings.parameters.include = {"front", "no such thing"};
  EXPECT_EQ(Refused(spec), "settings.parameters.include[1]");
  spec = Spec();
  spec.settings.parameters.exclude = {"*"};
  EXPECT_EQ(Refused(spec), "settings.parameters");
  spec = Spec();
  spec.dataset = MakeDataset("empty", 0);
  EXPECT_EQ(Refused(spec), "dataset");
  ASSERT_TRUE(
      jobs_->datasets().Create({{}, "misfit", "", {{"features", DType::kFloat32, {5}}}}).ok());
  spec.dataset = "datasets/misfit";
  EXPECT_EQ(Refused(spec), "dataset");
  spec = Spec();
  spec.checkpoint = "mine";
  EXPECT_EQ(Refused(spec), "checkpoint");
  spec = Spec();
  spec.dataset = "datasets/missing";
  EXPECT_TRUE(absl::IsNotFound(posteriors().Create(spec).status()));
  spec = Spec();
  spec.checkpoint = "checkpoints/0123456789ab";
  EXPECT_TRUE(absl::IsNotFound(posteriors().Create(spec).status()));
}

TEST_F(PosteriorsTest, ALabelThatIsNoClassIsFoundBeforeAnythingRuns) {
  const std::string path =
      WriteFile("softmax.pt2", testing::FakeProgramFile(2, 3, {0, 0, 0, 0, 0, 0}));
  ProgramSpec program;
  program.target_column = "target";
  program.inputs = testing::FakeProgram(path).inputs;
  const std::string name = jobs_->checkpoints().CreateProgram(program, path)->name;
  PosteriorSpec spec = Spec();
  spec.checkpoint = jobs_->checkpoints().CreateCheckpoint({{}, "", name})->name;
  const SampleBatch rows = testing::FakeLabelledRows({1, 2, 3, 4, 5, 6, 7, 8}, {0, 2, 3, 1});
  ASSERT_TRUE(jobs_->datasets()
                  .Create({{}, "labelled", "", {rows.columns[0].spec, rows.columns[1].spec}})
                  .ok());
  spec.dataset = "datasets/labelled";
  auto append = *jobs_->datasets().StartAppend({}, spec.dataset);
  ASSERT_TRUE(append->Add(rows, {"a", "b", "c", "d"}).ok());
  ASSERT_TRUE(append->Commit().ok());
  EXPECT_EQ(Refused(spec), "dataset");
  const absl::Status status = posteriors().Create(spec).status();
  EXPECT_NE(status.message().find("\"c\" has label 3"), absl::string_view::npos) << status;
  ASSERT_TRUE(jobs_->datasets().DeleteSamples(spec.dataset, {"c"}).ok());
  spec.settings.batch_size = 2;
  EXPECT_TRUE(WaitFor(posteriors().Create(spec)->name).error.ok());
}

TEST_F(PosteriorsTest, RunsWithoutRoomAreRefusedWithNumbers) {
  options_.posteriors.max_device_bytes = 1000;
  engine_.hooks().device_bytes = 1001;
  Restart();
  const absl::Status device = posteriors().Create(Spec()).status();
  EXPECT_TRUE(absl::IsResourceExhausted(device));
  EXPECT_NE(device.message().find("1001"), absl::string_view::npos);
  engine_.hooks().device_bytes = 1000;
  engine::SamplerSettings huge = SomeSettings();
  huge.chains = 1000;
  huge.draws_per_chain = 1'000'000;
  PosteriorSpec spec = Spec(huge);
  spec.dataset = MakeDataset("wide", 10'000);  // 40 TB of traces
  const absl::Status disk = posteriors().Create(spec).status();
  EXPECT_TRUE(absl::IsResourceExhausted(disk)) << disk;
  EXPECT_EQ(Reason(disk), "DISK_FULL");
  EXPECT_TRUE(posteriors().List({})->items.empty());
}

TEST_F(PosteriorsTest, TheEstimateCountsPassesAndLearnsTime) {
  const CostEstimate before = *posteriors().Estimate(Spec());
  EXPECT_EQ(before.gradient_samples, 2 * (2 + 8 * 2) * 4);
  EXPECT_EQ(before.forward_samples, 10 * (2 * 8 + 1));
  EXPECT_FALSE(before.duration.has_value());
  EXPECT_TRUE(posteriors().List({})->items.empty());
  engine_.hooks().on_advance = [this](int64_t) {
    clock_.Advance(absl::Seconds(1));
    return absl::OkStatus();
  };
  const Operation operation = WaitFor(posteriors().Create(Spec())->name);
  ASSERT_TRUE(operation.error.ok());
  ASSERT_TRUE(operation.progress.estimate.has_value());
  EXPECT_EQ(operation.progress.estimate->forward_samples, before.forward_samples);
  EXPECT_EQ(posteriors().Get(operation.target)->sampling_time, absl::Seconds(9));
  EXPECT_LE(posteriors().Get(operation.target)->disk_bytes, 10 * before.disk_bytes);
  engine::SamplerSettings twice = SomeSettings();
  twice.seed = 9;
  const CostEstimate after = *posteriors().Estimate(Spec(twice));
  ASSERT_TRUE(after.duration.has_value());
  EXPECT_NEAR(absl::ToDoubleSeconds(*after.duration), 9, 1e-6);
}

TEST_F(PosteriorsTest, RequestIdsMakeCreatingRepeatable) {
  PosteriorSpec spec = Spec();
  spec.request.id = "r1";
  const Operation first = *posteriors().Create(spec);
  WaitFor(first.name);
  EXPECT_EQ(posteriors().Create(spec)->name, first.name);
  Restart();
  EXPECT_EQ(posteriors().Create(spec)->name, first.name);
  spec.settings.seed = 9;
  EXPECT_EQ(FieldPath(posteriors().Create(spec).status()), "request_id");
  EXPECT_EQ(FieldPath(posteriors().Extend({"default", "r1"}, first.target, 20).status()),
            "request_id");
  const Operation extended = *posteriors().Extend({"default", "r2"}, first.target, 9);
  EXPECT_EQ(extended.kind, kExtendOperation);
  WaitFor(extended.name);
  EXPECT_EQ(posteriors().Extend({"default", "r2"}, first.target, 9)->name, extended.name);
}

// An answer was lost, and by the time the client asks again the world has moved on.
TEST_F(PosteriorsTest, ARepeatedCallFindsItsOperationWhateverHasHappenedSince) {
  PosteriorSpec spec = Spec();
  spec.request.id = "create";
  const Operation created = *posteriors().Create(spec);
  WaitFor(created.name);
  const Operation extended = *posteriors().Extend({"default", "extend"}, created.target, 9);
  WaitFor(extended.name);
  WaitFor(posteriors().Extend({"default", "again"}, created.target, 12)->name);
  EXPECT_EQ(posteriors().Extend({"default", "extend"}, created.target, 9)->name, extended.name)
      << "though the posterior has more draws by now";

  auto append = jobs_->datasets().StartAppend({}, dataset_);
  ASSERT_TRUE(append.ok() && (*append)->Add(SomeRows(1, 5), {"late"}).ok());
  ASSERT_TRUE((*append)->Commit().ok());
  EXPECT_EQ(posteriors().Create(spec)->name, created.name)
      << "though the same words would name another posterior by now";
  ASSERT_TRUE(posteriors().Delete(created.target).ok());
  ASSERT_TRUE(jobs_->datasets().Delete(dataset_).ok());
  EXPECT_EQ(posteriors().Create(spec)->name, created.name);
  EXPECT_EQ(posteriors().Extend({"default", "extend"}, created.target, 9)->name, extended.name);
}

TEST_F(PosteriorsTest, ARunningPosteriorIsNeitherExtendedNorOpened) {
  const Operation running = HeldRun();
  EXPECT_EQ(posteriors().Extend({}, running.target, 8)->name, running.name);  // that is on its way
  EXPECT_TRUE(absl::IsFailedPrecondition(posteriors().Extend({}, running.target, 9).status()));
  const absl::Status open = posteriors().Open(running.target).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(open));
  EXPECT_EQ(Reason(open), "POSTERIOR_RUNNING");
  EXPECT_TRUE(absl::IsFailedPrecondition(posteriors().Diagnose(running.target).status()));
  EXPECT_TRUE(absl::IsFailedPrecondition(jobs_->checkpoints().DeleteCheckpoint(checkpoint_)));
  EXPECT_TRUE(absl::IsFailedPrecondition(jobs_->datasets().Delete(dataset_)));
  release_.Notify();
  EXPECT_TRUE(WaitFor(running.name).error.ok());
  EXPECT_TRUE(posteriors().Open(running.target).ok());
  EXPECT_EQ(FieldPath(posteriors().Extend({}, running.target, 4).status()), "draws_per_chain");
}

TEST_F(PosteriorsTest, WhileItIsExtendedTheOldDrawsStayOpen) {
  const Operation first = WaitFor(posteriors().Create(Spec())->name);
  HoldDevice();
  const Operation extend = *posteriors().Extend({}, first.target, 12);
  held_.WaitForNotification();
  const absl::StatusOr<PosteriorView> view = posteriors().Open(first.target);
  ASSERT_TRUE(view.ok()) << view.status();
  EXPECT_EQ(view->draws, 8u);
  release_.Notify();
  WaitFor(extend.name);
  EXPECT_EQ(posteriors().Open(first.target)->draws, 12u);
}

TEST_F(PosteriorsTest, ACancelledQueuedRunEndsWithoutItsTurn) {
  const Operation running = HeldRun();
  const Operation queued = *posteriors().Create(OtherSpec());
  ASSERT_TRUE(jobs_->operations().Cancel(queued.name).ok());
  EXPECT_FALSE(jobs_->operations().Get(running.name)->done);
  release_.Notify();
  EXPECT_TRUE(absl::IsCancelled(WaitFor(queued.name).error));
  EXPECT_EQ(posteriors().Get(queued.target)->state, PosteriorState::kCancelled);
  EXPECT_TRUE(WaitFor(running.name).error.ok());
}

TEST_F(PosteriorsTest, OnlySoManyRunsWait) {
  options_.posteriors.max_posterior_jobs = 1;
  Restart();
  const Operation running = HeldRun();
  const absl::Status refused = posteriors().Create(OtherSpec()).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
  EXPECT_EQ(posteriors().List({})->items.size(), 1u);
  release_.Notify();
  WaitFor(running.name);
}

TEST_F(PosteriorsTest, DeletingStopsTheRunAndGivesTheSpaceBack) {
  const auto draw_files = [this] {
    size_t files = 0;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(data_ / "store/draws")) {
      files += entry.is_regular_file();
    }
    return files;
  };
  const Operation first = WaitFor(posteriors().Create(Spec())->name);
  EXPECT_GT(draw_files(), 0u);
  uint64_t deleted_number = 0;
  posteriors().OnDeleted([&](uint64_t number) { deleted_number = number; });
  HoldDevice();
  const Operation extend = *posteriors().Extend({}, first.target, 1000);
  held_.WaitForNotification();
  std::thread deleter([&] { EXPECT_TRUE(posteriors().Delete(first.target).ok()); });
  while (!jobs_->operations().Get(extend.name)->cancel_requested) std::this_thread::yield();
  release_.Notify();
  deleter.join();
  EXPECT_TRUE(absl::IsCancelled(WaitFor(extend.name).error));
  EXPECT_TRUE(absl::IsNotFound(posteriors().Get(first.target).status()));
  EXPECT_TRUE(absl::IsNotFound(posteriors().Delete(first.target)));
  EXPECT_EQ(draw_files(), 0u);
  EXPECT_GT(deleted_number, 0u);
  EXPECT_TRUE(jobs_->datasets().Delete(dataset_).ok());
  EXPECT_TRUE(jobs_->checkpoints().DeleteCheckpoint(checkpoint_).ok());
}

TEST_F(PosteriorsTest, QueuedAndCancelledRunsSurviveARestartAsSuch) {
  const Operation running = HeldRun();
  const Operation queued = *posteriors().Create(OtherSpec());
  ASSERT_TRUE(jobs_->operations().Cancel(running.name).ok());
  std::thread drainer([this] { jobs_->Drain(); });
  while (!jobs_->executor().draining()) std::this_thread::yield();
  release_.Notify();
  drainer.join();
  engine_.hooks().on_advance = nullptr;
  Restart();
  EXPECT_TRUE(absl::IsCancelled(WaitFor(running.name).error));
  EXPECT_TRUE(WaitFor(queued.name).error.ok());
  EXPECT_EQ(posteriors().Get(queued.target)->state, PosteriorState::kReady);
}

TEST_F(PosteriorsTest, DiagnosticsSpeakOfTheStoredSeries) {
  engine::SamplerSettings settings = SomeSettings();
  settings.draws_per_chain = 40;
  options_.posteriors.max_segment_draws = 16;
  Restart();
  const Operation operation = WaitFor(posteriors().Create(Spec(settings))->name);
  const absl::StatusOr<PosteriorDiagnostics> diagnostics = posteriors().Diagnose(operation.target);
  ASSERT_TRUE(diagnostics.ok()) << diagnostics.status();
  ASSERT_EQ(diagnostics->chains.size(), 2u);
  EXPECT_EQ(diagnostics->chains[1].sampling_loss.size(), 40u);
  EXPECT_EQ(diagnostics->chains[1].distance.size(), 40u);
  EXPECT_GE(diagnostics->r_hat, 0.9);
  EXPECT_GT(diagnostics->ess_bulk, 0);
  const Contents contents = Read(operation.target);
  double mean = 0;
  for (const auto& chain : contents.traces) {
    for (const float loss : chain) mean += loss / (2 * 400.0);
  }
  EXPECT_NEAR(diagnostics->mean_loss, mean, 1e-5);
  EXPECT_NEAR(diagnostics->llc, settings.nbeta * (mean - diagnostics->anchor_loss), 1e-3);
  EXPECT_FALSE(diagnostics->verdict.empty());
}

TEST_F(PosteriorsTest, AFileThatFailsToLoadFailsTheOperationAndNotTheDaemon) {
  engine_.hooks().on_load = [](int64_t) {
    return absl::ResourceExhaustedError("the device has no memory left");
  };
  const Operation failed = WaitFor(posteriors().Create(Spec())->name);
  EXPECT_TRUE(absl::IsResourceExhausted(failed.error));
  EXPECT_EQ(posteriors().Get(failed.target)->state, PosteriorState::kFailed);
  EXPECT_EQ(posteriors().Get(failed.target)->state_reason, "the device has no memory left");
  engine_.hooks().on_load = nullptr;
  EXPECT_TRUE(WaitFor(posteriors().Create(Spec())->name).error.ok());
}

}  // namespace
}  // namespace bif::jobs
