// For tests of queries: a small posterior that is sampled, queries, and scores recomputed in double
// precision.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/attribution/reference_estimator.h"
#include "src/jobs/queries.h"
#include "tests/support/jobs_fixture.h"

namespace bif::jobs {

class QueriesFixture : public JobsFixture {
 protected:
  static constexpr int64_t kTrainingRows = 300;  // more than one block of slots
  static constexpr uint32_t kDraws = 24;
  static constexpr uint32_t kChains = 2;

  // 300 training rows r0, r1, ... at 2 chains of 24 draws.
  void SampleIt() {
    PosteriorSpec spec;
    spec.checkpoint = MakeCheckpoint();
    spec.dataset = MakeDataset("train", kTrainingRows);
    spec.settings = SomeSettings();
    spec.settings.chains = kChains;
    spec.settings.draws_per_chain = kDraws;
    const auto operation = jobs_->posteriors().Create(spec);
    ASSERT_TRUE(operation.ok()) << operation.status();
    const Operation done = WaitFor(operation->name);
    ASSERT_TRUE(done.error.ok()) << done.error;
    posterior_ = done.target;
  }
  void Extend(uint32_t draws) {
    const auto operation = jobs_->posteriors().Extend({}, posterior_, draws);
    ASSERT_TRUE(operation.ok()) << operation.status();
    ASSERT_TRUE(WaitFor(operation->name).error.ok());
  }

  static SampleSet Inline(int64_t count, uint32_t seed = 99) {
    const SampleBatch batch = SomeRows(count, seed);
    SampleSet set;
    for (int64_t r = 0; r < count; ++r) set.inline_samples.push_back(SampleAt(batch, r, ""));
    return set;
  }
  AttributeRequest Ask(SampleSet queries) const {
    AttributeRequest request;
    request.posterior = posterior_;
    request.queries = std::move(queries);
    return request;
  }

  absl::StatusOr<std::vector<AttributeUpdate>> Updates(const AttributeRequest& request) {
    std::vector<AttributeUpdate> updates;
    const absl::Status status =
        jobs_->queries().Attribute(request, CancelToken(), [&](const AttributeUpdate& update) {
          updates.push_back(update);
          return absl::OkStatus();
        });
    if (!status.ok()) return status;
    return updates;
  }
  AttributeUpdate Answer(const AttributeRequest& request) {
    const auto updates = Updates(request);
    EXPECT_TRUE(updates.ok()) << updates.status();
    if (!updates.ok() || updates->empty()) return {};
    EXPECT_TRUE(updates->back().final);
    return updates->back();
  }
  absl::Status ErrorOf(const AttributeRequest& request) { return Updates(request).status(); }

  // All traces of a set, with its ids.
  struct Traces {
    std::vector<std::string> ids;
    std::vector<float> values;
    attribution::TraceLayout layout;
    const float* row(size_t i) const { return values.data() + i * layout.values(); }
  };
  Traces Export(const SampleSet& samples) {
    Traces traces;
    ExportTracesRequest request;
    request.posterior = posterior_;
    request.samples = samples;
    const absl::Status status =
        jobs_->queries().ExportTraces(request, CancelToken(), [&](const TraceExportBlock& block) {
          traces.ids.insert(traces.ids.end(), block.sample_ids.begin(), block.sample_ids.end());
          traces.values.insert(traces.values.end(), block.values.begin(), block.values.end());
          traces.layout = {block.chains, block.draws_per_chain, 1};
          return absl::OkStatus();
        });
    EXPECT_TRUE(status.ok()) << status;
    return traces;
  }

  // Candidates x queries, with standard errors.
  struct Matrix {
    std::vector<std::string> ids;
    std::vector<float> scores;
    std::vector<float> standard_errors;
    Provenance provenance;
  };
  Matrix Scores(const ScoreMatrixRequest& request) {
    Matrix matrix;
    const absl::Status status =
        jobs_->queries().ScoreMatrix(request, CancelToken(), [&](const ScoreBlock& block) {
          EXPECT_EQ(block.first_candidate, matrix.ids.size());
          matrix.ids.insert(matrix.ids.end(), block.candidate_ids.begin(),
                            block.candidate_ids.end());
          matrix.scores.insert(matrix.scores.end(), block.scores.begin(), block.scores.end());
          matrix.standard_errors.insert(matrix.standard_errors.end(), block.standard_errors.begin(),
                                        block.standard_errors.end());
          matrix.provenance = *block.provenance;
          return absl::OkStatus();
        });
    EXPECT_TRUE(status.ok()) << status;
    return matrix;
  }

  std::string posterior_;
};

}  // namespace bif::jobs
