// For tests of token sequences: a small language model of the fake engine, a sampled posterior, and
// the losses of tokens computed once more from the stored draws.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "src/engine/draw_codec.h"
#include "src/jobs/queries.h"
#include "tests/support/fake_model.h"
#include "tests/support/queries_fixture.h"

namespace bif::jobs {

class SequencesFixture : public QueriesFixture {
 protected:
  static constexpr int64_t kVocabulary = 5;
  static constexpr int64_t kFeatures = 2;
  static constexpr int64_t kSequences = 10;

  using Tokens = std::vector<int32_t>;
  static Tokens SomeTokens(size_t length, uint32_t seed) {
    Tokens tokens;
    uint32_t state = seed * 2654435761u + 12345u;
    for (size_t p = 0; p < length; ++p) {
      state = state * 1664525u + 1013904223u;
      tokens.push_back(static_cast<int32_t>((state >> 16) % kVocabulary));
    }
    return tokens;
  }
  // Row r has 3 + r % 5 tokens.
  static Tokens TrainingTokens(int64_t row) {
    return SomeTokens(static_cast<size_t>(3 + row % 5), static_cast<uint32_t>(row));
  }

  // A checkpoint of a program whose samples are sequences, and a dataset "train" of them; r0, r1,
  // ...
  PosteriorSpec SequenceSpecOf(engine::SequenceSpec sequence = {}) {
    std::vector<float> weights;
    for (int64_t i = 0; i < kVocabulary * kFeatures; ++i)
      weights.push_back(0.3f * static_cast<float>((i * 7) % 5) - 0.5f);
    const std::string path =
        WriteFile("language.pt2", testing::FakeProgramFile(kFeatures, kVocabulary, weights));
    const engine::ProgramSource source = testing::FakeProgram(path, engine::LossKind::kNextToken);
    ProgramSpec program;
    program.loss = source.loss;
    program.target_column = source.target_column;
    program.inputs = source.inputs;
    program.sequence = sequence;
    const auto made = jobs_->checkpoints().CreateProgram(program, path);
    EXPECT_TRUE(made.ok()) << made.status();
    const auto checkpoint = jobs_->checkpoints().CreateCheckpoint({{}, "", made->name});
    EXPECT_TRUE(checkpoint.ok()) << checkpoint.status();
    std::vector<Tokens> rows;
    for (int64_t r = 0; r < kSequences; ++r) rows.push_back(TrainingTokens(r));
    MakeSequences("train", rows, !sequence.mask_column.empty());
    PosteriorSpec spec;
    spec.checkpoint = checkpoint->name;
    spec.dataset = "datasets/train";
    spec.settings = SomeSettings();
    spec.settings.draws_per_chain = kDraws;
    return spec;
  }
  // With a mask column, every third token is hidden, from position 2 on.
  SampleBatch Batch(const std::vector<Tokens>& rows, bool masked = false) {
    SampleBatch batch = testing::FakeSequences(rows);
    batch.columns[0].spec.shape = {-1};
    if (batch.columns[0].row_ends.empty()) {
      for (size_t r = 1; r <= rows.size(); ++r)
        batch.columns[0].row_ends.push_back(r * rows[0].size() * sizeof(int32_t));
    }
    if (masked) {
      Column& mask = batch.columns.emplace_back();
      mask.spec = {"mask", DType::kUint8, {-1}};
      for (const Tokens& row : rows) {
        std::vector<std::byte> counts;
        for (size_t p = 0; p < row.size(); ++p)
          counts.push_back(static_cast<std::byte>(p % 3 == 2 ? 0 : 1));
        mask.Append(counts);
      }
    }
    return batch;
  }
  void MakeSequences(const std::string& id, const std::vector<Tokens>& rows, bool masked = false) {
    const SampleBatch batch = Batch(rows, masked);
    std::vector<TensorSpec> columns;
    for (const Column& column : batch.columns) columns.push_back(column.spec);
    ASSERT_TRUE(jobs_->datasets().Create({{}, id, "", columns}).ok());
    auto append = jobs_->datasets().StartAppend({}, "datasets/" + id);
    ASSERT_TRUE(append.ok());
    std::vector<std::string> ids;
    for (size_t r = 0; r < rows.size(); ++r) ids.push_back("r" + std::to_string(r));
    const absl::Status added = (*append)->Add(batch, ids);
    ASSERT_TRUE(added.ok()) << added;
    ASSERT_TRUE((*append)->Commit().ok());
  }
  void Sample(const PosteriorSpec& spec) {
    const auto operation = jobs_->posteriors().Create(spec);
    ASSERT_TRUE(operation.ok()) << operation.status();
    const Operation done = WaitFor(operation->name);
    ASSERT_TRUE(done.error.ok()) << done.error;
    posterior_ = done.target;
  }

  SampleSet InlineTokens(const std::vector<Tokens>& rows, bool masked = false) {
    const SampleBatch batch = Batch(rows, masked);
    SampleSet set;
    for (int64_t r = 0; r < batch.rows; ++r) set.inline_samples.push_back(SampleAt(batch, r, ""));
    return set;
  }
  static SampleSet Stored(const std::string& id, const std::string& dataset = "train") {
    SampleSet set;
    set.dataset = "datasets/" + dataset;
    set.sample_ids = {id};
    return set;
  }

  struct TokenAnswer {
    TokenInfluenceSummary summary;
    uint32_t columns = 0;
    std::vector<float> scores, standard_errors, completions, completion_errors;
    int blocks = 0;
  };
  absl::StatusOr<TokenAnswer> AskTokens(const TokenInfluenceRequest& request) {
    TokenAnswer answer;
    const auto append = [](const std::vector<float>& from, std::vector<float>& to) {
      to.insert(to.end(), from.begin(), from.end());
    };
    const absl::Status status = jobs_->queries().TokenInfluence(
        request, CancelToken(), [&](const TokenInfluenceBlock& block) {
          EXPECT_EQ(block.first_row, answer.completions.size());
          append(block.scores, answer.scores);
          append(block.standard_errors, answer.standard_errors);
          append(block.completion_scores, answer.completions);
          append(block.completion_standard_errors, answer.completion_errors);
          answer.columns = block.columns;
          answer.summary = *block.summary;
          ++answer.blocks;
          return absl::OkStatus();
        });
    if (!status.ok()) return status;
    return answer;
  }
  TokenInfluenceRequest Between(SampleSet training, SampleSet query) const {
    TokenInfluenceRequest request;
    request.posterior = posterior_;
    request.training = std::move(training);
    request.query = std::move(query);
    request.standard_errors = true;
    return request;
  }

  // Losses of tokens at the stored draws, straight from the fake's formulas: [token][chain][draw].
  std::vector<float> TokenTraces(const Tokens& tokens, bool masked = false) {
    const auto posterior = jobs_->posteriors().Open(posterior_);
    EXPECT_TRUE(posterior.ok()) << posterior.status();
    const auto model =
        engine_.LoadModel(posterior->sources.program_source, posterior->sources.weights_source);
    EXPECT_TRUE(model.ok()) << model.status();
    const auto rows = (*model)->Upload(Batch({tokens}, masked));
    EXPECT_TRUE(rows.ok()) << rows.status();
    const size_t losses = tokens.size() - 1;
    const size_t stride = posterior->active_chains.size() * posterior->draws;
    std::vector<float> traces(losses * stride);
    size_t at = 0;
    for (const uint32_t chain : posterior->active_chains) {
      for (uint32_t d = 0; d < posterior->draws; ++d, ++at) {
        const auto place = store_->catalog().Get<storage::pb::DrawRecord>(
            storage::DrawKey(posterior->record.number(), chain, d));
        const auto draw = store_->draws().ReadDraw(posterior->record.number(), *place);
        std::vector<float> delta(draw->elements);
        EXPECT_TRUE(engine::DecodeDraw(static_cast<engine::DrawCodec>(draw->codec), draw->payload,
                                       absl::MakeSpan(delta))
                        .ok());
        std::vector<float> values(losses);
        const absl::Span<const float> deltas[] = {delta};
        EXPECT_TRUE((*model)
                        ->Observe(posterior->moving, deltas, **rows, 0, 1,
                                  {engine::ObservableKind::kTokenLosses}, posterior->plan,
                                  absl::MakeSpan(values))
                        .ok());
        for (size_t t = 0; t < losses; ++t) traces[t * stride + at] = values[t];
      }
    }
    return traces;
  }
};

}  // namespace bif::jobs
