// For tests of slopes: a posterior of a linear model whose influence is known in closed form,
// sampled on all of its samples at every step.
#pragma once

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "src/attribution/test_linear_model.h"
#include "tests/support/queries_fixture.h"

namespace bif::jobs {

class PathwiseFixture : public QueriesFixture {
 protected:
  static constexpr int64_t kRows = 40;
  static constexpr int kDimensions = 4;

  static engine::SamplerSettings FullBatch() {
    engine::SamplerSettings settings;
    settings.step_size = 5e-4;
    settings.nbeta = 200;
    settings.gamma = 60;
    settings.chains = 4;
    settings.draws_per_chain = 60;
    settings.burn_in_steps = 100;
    settings.steps_between_draws = 10;
    settings.batch_size = kRows;
    settings.seed = 3;
    return settings;
  }
  void Sample(const engine::SamplerSettings& settings = FullBatch()) {
    options_.posteriors.max_segment_draws = 12;  // states at 100, 220, 340, 460, 580 and 700
    Restart();
    PosteriorSpec spec;
    spec.checkpoint = MakeCheckpoint();
    spec.dataset = MakeDataset("train", kRows);
    spec.settings = settings;
    const auto operation = jobs_->posteriors().Create(spec);
    ASSERT_TRUE(operation.ok()) << operation.status();
    const Operation done = WaitFor(operation->name);
    ASSERT_TRUE(done.error.ok()) << done.error;
    posterior_ = done.target;
  }
  AttributeRequest Ask(SampleSet queries, attribution::Estimator estimator,
                       uint32_t draws = 0) const {
    AttributeRequest request = QueriesFixture::Ask(std::move(queries));
    request.estimator = estimator;
    request.pathwise.draws = draws;
    return request;
  }
  ScoreMatrixRequest AskAll(SampleSet queries, attribution::Estimator estimator,
                            uint32_t draws = 0) const {
    ScoreMatrixRequest request;
    request.posterior = posterior_;
    request.queries = std::move(queries);
    request.estimator = estimator;
    request.standard_errors = true;
    request.pathwise.draws = draws;
    return request;
  }
  absl::Status ErrorOfAll(const ScoreMatrixRequest& request) {
    return jobs_->queries().ScoreMatrix(request, CancelToken(),
                                        [](const ScoreBlock&) { return absl::OkStatus(); });
  }

  // How a question ends that is cancelled after so many steps of its tangents.
  absl::Status StatusIfCancelledAfter(int64_t tangent_steps, const AttributeRequest& request) {
    CancelToken cancel;
    engine_.hooks().on_tangent_step = [cancel,
                                       tangent_steps](int64_t steps) mutable {  // outlives the call
      if (steps > tangent_steps) cancel.Cancel();
      return absl::OkStatus();
    };
    return jobs_->queries().Attribute(request, cancel,
                                      [](const AttributeUpdate&) { return absl::OkStatus(); });
  }

  static std::vector<float> Numbers(const SampleBatch& batch, size_t column) {
    std::vector<float> numbers(batch.columns[column].data.size() / sizeof(float));
    std::memcpy(numbers.data(), batch.columns[column].data.data(),
                batch.columns[column].data.size());
    return numbers;
  }
  // BIF(i, j) = -Cov(l_i, l_j) of training rows (seed 1) and queries (of this seed) in the Gaussian
  // that the posterior is: [row][query].
  static std::vector<double> ClosedForm(const engine::SamplerSettings& settings, int64_t queries,
                                        uint32_t seed = 99) {
    const SampleBatch train = SomeRows(kRows), asked = SomeRows(queries, seed);
    const std::vector<float> a = Numbers(train, 0), y = Numbers(train, 1);
    const std::vector<float> b = Numbers(asked, 0), z = Numbers(asked, 1);
    const std::vector<double> anchor = {0.5, -0.25, 1.0, 0.0};
    attribution::TestMatrix precision(kDimensions);
    std::vector<double> pull(kDimensions);
    const double beta = settings.nbeta / kRows;
    for (int i = 0; i < kDimensions; ++i) {
      precision.at(i, i) += settings.gamma;
      pull[i] += settings.gamma * anchor[i];
      for (int64_t r = 0; r < kRows; ++r) {
        pull[i] += beta * a[r * kDimensions + i] * y[r];
        for (int j = 0; j < kDimensions; ++j)
          precision.at(i, j) += beta * a[r * kDimensions + i] * a[r * kDimensions + j];
      }
    }
    const attribution::TestMatrix covariance = precision.Inverse();
    const std::vector<double> mean = covariance.Times(pull.data());
    const auto residual = [&](const float* x, float target) {
      double sum = -static_cast<double>(target);
      for (int i = 0; i < kDimensions; ++i) sum += static_cast<double>(x[i]) * mean[i];
      return sum;
    };
    std::vector<double> scores;
    for (int64_t r = 0; r < kRows; ++r) {
      const float* row = a.data() + r * kDimensions;
      for (int64_t q = 0; q < queries; ++q) {
        const float* query = b.data() + q * kDimensions;
        const std::vector<double> wide(query, query + kDimensions);
        const std::vector<double> product = covariance.Times(wide.data());
        double overlap = 0;
        for (int i = 0; i < kDimensions; ++i) overlap += static_cast<double>(row[i]) * product[i];
        scores.push_back(-residual(row, y[r]) * residual(query, z[q]) * overlap -
                         overlap * overlap / 2);
      }
    }
    return scores;
  }
  // Frobenius, relative to the truth.
  static double RelativeError(const std::vector<float>& scores, const std::vector<double>& truth) {
    double off = 0, size = 0;
    for (size_t i = 0; i < truth.size(); ++i) {
      off += (scores[i] - truth[i]) * (scores[i] - truth[i]);
      size += truth[i] * truth[i];
    }
    return std::sqrt(off / size);
  }
  static double Target(uint32_t query, uint32_t seed = 99) {
    return Numbers(SomeRows(query + 1, seed), 1)[query];
  }
};

}  // namespace bif::jobs
