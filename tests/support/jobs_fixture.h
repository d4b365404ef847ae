// For tests: a store in a scratch directory, the fake engine, and Jobs that can be stopped and
// started again on the same directory as after a restart.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "src/base/clock.h"
#include "src/jobs/jobs.h"
#include "tests/support/fake_engine.h"
#include "tests/support/temp_dir.h"

namespace bif::jobs {

class JobsFixture : public ::testing::Test {
 protected:
  JobsFixture() {
    options_.allowed_roots = {files_.path()};
    options_.posteriors.max_segment_draws = 3;
    Start();
  }
  ~JobsFixture() override { Stop(); }

  void Start() {
    absl::StatusOr<std::unique_ptr<storage::Store>> store = storage::OpenStore(store_options());
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
    absl::StatusOr<std::unique_ptr<Jobs>> jobs = Jobs::Start(*store_, engine_, options_, clock_);
    ASSERT_TRUE(jobs.ok()) << jobs.status();
    jobs_ = *std::move(jobs);
  }
  void Stop() {
    jobs_.reset();
    store_.reset();
  }
  void Restart() {
    Stop();
    Start();
  }
  storage::StoreOptions store_options() const {
    storage::StoreOptions options;
    options.root = data_ / "store";
    options.min_free_disk_bytes = min_free_disk_bytes_;
    return options;
  }

  std::string WriteFile(const std::string& name, const std::string& text) {
    std::ofstream(files_ / name, std::ios::binary) << text;
    return files_ / name;
  }

  // A linear model with four weights, and its checkpoint's name.
  std::string MakeCheckpoint() {
    const std::string path =
        WriteFile("linear.pt2", testing::FakeProgramFile(4, 0, {0.5f, -0.25f, 1.0f, 0.0f}));
    const engine::ProgramSource source = testing::FakeProgram(path);
    ProgramSpec program;
    program.loss = source.loss;
    program.target_column = source.target_column;
    program.inputs = source.inputs;
    const absl::StatusOr<Program> made = jobs_->checkpoints().CreateProgram(program, path);
    EXPECT_TRUE(made.ok()) << made.status();
    if (!made.ok()) return "";
    const absl::StatusOr<Checkpoint> checkpoint =
        jobs_->checkpoints().CreateCheckpoint({{}, "", made->name});
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
    return checkpoint.ok() ? checkpoint->name : "";
  }

  static SampleBatch SomeRows(int64_t rows, uint32_t seed = 1) {
    std::vector<float> features;
    std::vector<float> targets;
    uint32_t state = seed * 2654435761u;
    const auto next = [&state] {
      state = state * 1664525u + 1013904223u;
      return static_cast<float>(state >> 8) / static_cast<float>(1 << 23) - 1.0f;
    };
    for (int64_t r = 0; r < rows; ++r) {
      for (int d = 0; d < 4; ++d) features.push_back(next());
      targets.push_back(next());
    }
    return testing::FakeRows(features, targets);
  }

  // A dataset of `rows` rows with ids "r0", "r1", ...
  std::string MakeDataset(const std::string& id, int64_t rows, uint32_t seed = 1) {
    const SampleBatch batch = SomeRows(rows, seed);
    const SampleBatch shape = SomeRows(1);
    const absl::StatusOr<Dataset> made =
        jobs_->datasets().Create({{}, id, "", {shape.columns[0].spec, shape.columns[1].spec}});
    EXPECT_TRUE(made.ok()) << made.status();
    if (rows > 0) {
      auto append = jobs_->datasets().StartAppend({}, "datasets/" + id);
      EXPECT_TRUE(append.ok()) << append.status();
      std::vector<std::string> ids;
      for (int64_t r = 0; r < rows; ++r) ids.push_back("r" + std::to_string(r));
      EXPECT_TRUE((*append)->Add(batch, ids).ok());
      const auto result = (*append)->Commit();
      EXPECT_TRUE(result.ok()) << result.status();
    }
    return "datasets/" + id;
  }

  static engine::SamplerSettings SomeSettings() {
    engine::SamplerSettings settings;
    settings.step_size = 1e-3;
    settings.nbeta = 20;
    settings.gamma = 10;
    settings.chains = 2;
    settings.draws_per_chain = 8;
    settings.burn_in_steps = 2;
    settings.steps_between_draws = 2;
    settings.batch_size = 4;
    settings.seed = 7;
    return settings;
  }

  // Waits for an operation's end.
  Operation WaitFor(const std::string& name) {
    const absl::StatusOr<Operation> operation =
        jobs_->operations().Wait(name, absl::Now() + absl::Seconds(60));
    EXPECT_TRUE(operation.ok()) << operation.status();
    if (!operation.ok()) return {};
    EXPECT_TRUE(operation->done);
    return *operation;
  }

  // Everything of a posterior that must be the same however often it was interrupted.
  struct Contents {
    std::vector<std::vector<float>> traces;  // a chain: [row][draw]
    std::vector<std::string> draws;          // payloads, chain after chain
    std::vector<float> sampling_loss;
    std::vector<float> anchor_losses;
    friend bool operator==(const Contents&, const Contents&) = default;
  };
  Contents Read(const std::string& name);

  int64_t min_free_disk_bytes_ = 0;  // of the store at the next Start
  testing::TempDir data_;
  testing::TempDir files_;
  FakeClock clock_;
  testing::FakeEngine engine_;
  JobsOptions options_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<Jobs> jobs_;
};

}  // namespace bif::jobs
