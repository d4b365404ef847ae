#include "tests/support/fake_tangents.h"

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

namespace bif::testing {
namespace {

using engine::TangentReport;

class FakeTangents : public engine::TangentStretch {
 public:
  FakeTangents(std::shared_ptr<FakeEngineHooks> hooks, std::unique_ptr<FakeChains> chain,
               const FakeData& queries, const engine::Observable& observable)
      : hooks_(std::move(hooks)),
        chain_(std::move(chain)),
        queries_(queries),
        observable_(observable),
        tangents_(queries.rows(), std::vector<double>(chain_->shape().elements(), 0)) {}

  absl::Status Restore(absl::Span<const float> tangents) {
    if (tangents.empty()) return absl::OkStatus();
    const std::vector<int64_t>& positions = chain_->positions();
    if (tangents.size() != tangents_.size() * positions.size())
      return absl::InvalidArgumentError("tangents of another size");
    for (size_t q = 0; q < tangents_.size(); ++q) {
      for (size_t i = 0; i < positions.size(); ++i)
        tangents_[q][positions[i]] = tangents[q * positions.size() + i];
    }
    return absl::OkStatus();
  }

  uint64_t step() const override { return chain_->step(); }
  int64_t queries() const override { return static_cast<int64_t>(tangents_.size()); }

  absl::StatusOr<TangentReport> Advance(uint64_t steps) override {
    for (uint64_t s = 0; s < steps && report_.reason.empty(); ++s) {
      BIF_RETURN_IF_ERROR(hooks_->on_tangent_step(hooks_->tangent_steps));
      BIF_RETURN_IF_ERROR(Step());
    }
    TangentReport report = report_;
    report.diverged = !report.reason.empty();
    for (const std::vector<double>& tangent : tangents_) {
      double sum = 0;
      for (const double value : tangent) sum += value * value;
      report.norms.push_back(std::sqrt(sum));
    }
    return report;
  }

  absl::Status Slopes(const engine::ResidentRows& rows, int64_t first_row, int64_t row_count,
                      absl::Span<float> slopes) override {
    if (!report_.reason.empty())
      return absl::FailedPreconditionError("slopes of this stretch mean nothing");
    if (first_row < 0 || row_count < 1 || first_row + row_count > rows.rows() ||
        slopes.size() != tangents_.size() * static_cast<size_t>(row_count)) {
      return absl::InvalidArgumentError("rows out of range, or no room for their slopes");
    }
    const auto& data = static_cast<const FakeData&>(rows);
    const std::vector<float> weights = chain_->AllWeights(0);
    for (int64_t r = 0; r < row_count; ++r) {
      std::vector<double> gradient(weights.size(), 0);
      AddFakeGradient(chain_->shape(), weights, data, first_row + r, 1, absl::MakeSpan(gradient));
      for (size_t q = 0; q < tangents_.size(); ++q) {
        double slope = 0;
        for (size_t i = 0; i < gradient.size(); ++i) slope += gradient[i] * tangents_[q][i];
        slopes[q * row_count + r] = static_cast<float>(slope);
      }
    }
    hooks_->slopes_taken += static_cast<int64_t>(slopes.size());
    return absl::OkStatus();
  }

  absl::Status ReadDelta(absl::Span<float> delta) override { return chain_->ReadDelta(0, delta); }

  absl::Status ReadTangents(absl::Span<float> tangents) override {
    const std::vector<int64_t>& positions = chain_->positions();
    if (tangents.size() != tangents_.size() * positions.size())
      return absl::InvalidArgumentError("room for tangents of another size");
    for (size_t q = 0; q < tangents_.size(); ++q) {
      for (size_t i = 0; i < positions.size(); ++i)
        tangents[q * positions.size() + i] = static_cast<float>(tangents_[q][positions[i]]);
    }
    return absl::OkStatus();
  }

 private:
  // nbeta H_B v + (lambda + gamma) v + grad phi, of one query.
  absl::StatusOr<std::vector<double>> Drift(size_t q, const std::vector<float>& weights,
                                            absl::Span<const uint32_t> batch) const {
    const engine::SamplerSettings& settings = chain_->settings();
    const std::vector<double>& v = tangents_[q];
    std::vector<double> drift(v.size(), 0);
    const double scale = settings.nbeta / static_cast<double>(batch.size());
    for (const uint32_t row : batch) {
      AddFakeHessianProduct(chain_->shape(), weights, chain_->train(), row, v, scale,
                            absl::MakeSpan(drift));
    }
    for (size_t i = 0; i < v.size(); ++i)
      drift[i] += (settings.weight_decay + settings.gamma) * v[i];
    BIF_RETURN_IF_ERROR(AddFakeObservableGradient(chain_->shape(), weights, queries_,
                                                  static_cast<int64_t>(q), observable_,
                                                  absl::MakeSpan(drift)));
    return drift;
  }

  absl::Status Step() {
    const engine::SamplerSettings& settings = chain_->settings();
    const std::vector<float> weights = chain_->AllWeights(0);
    const absl::Span<const uint32_t> batch = chain_->NextBatch(0);
    std::vector<std::vector<double>> drifts;
    for (size_t q = 0; q < tangents_.size(); ++q) {
      BIF_ASSIGN_OR_RETURN(drifts.emplace_back(), Drift(q, weights, batch));
    }
    const uint64_t step = chain_->step();
    BIF_ASSIGN_OR_RETURN(const auto reports, chain_->Advance(1));
    hooks_->tangent_steps += static_cast<int64_t>(tangents_.size());
    if (reports[0].diverged) {
      report_.reason = absl::StrCat("the chain diverged: ", reports[0].reason);
      return absl::OkStatus();
    }
    const std::vector<int64_t>& positions = chain_->positions();
    for (size_t q = 0; q < tangents_.size(); ++q) {
      for (size_t i = 0; i < positions.size(); ++i) {
        double rate = settings.step_size / 2;
        if (!chain_->second_moments(0).empty())
          rate /= std::sqrt(static_cast<double>(chain_->second_moments(0)[i])) + settings.rms_delta;
        double& v = tangents_[q][positions[i]];
        v -= rate * drifts[q][positions[i]];
        if (!settings.box) continue;
        const auto box = static_cast<float>(*settings.box);
        const float anchor = chain_->moving_anchor()[i], w = chain_->moving_weights(0)[i];
        if (w <= anchor - box || w >= anchor + box) v = 0;
      }
      const double target = queries_.targets[queries_.Begin(static_cast<int64_t>(q))];
      if (hooks_->tangent_diverges(chain_->index(0), step, target) && report_.reason.empty()) {
        report_.query = static_cast<int64_t>(q);
        report_.reason = absl::StrCat("the tangent of query ", q, " grew without bound");
      }
    }
    return absl::OkStatus();
  }

  const std::shared_ptr<FakeEngineHooks> hooks_;
  const std::unique_ptr<FakeChains> chain_;
  const FakeData& queries_;
  const engine::Observable observable_;
  std::vector<std::vector<double>> tangents_;  // of all parameters; 0 where they do not move
  TangentReport report_;                       // why it diverged
};

}  // namespace

absl::StatusOr<std::unique_ptr<engine::TangentStretch>> StartFakeTangents(
    std::shared_ptr<FakeEngineHooks> hooks, std::unique_ptr<FakeChains> chain,
    const FakeData& queries, const engine::Observable& observable,
    absl::Span<const float> tangents) {
  if (observable.kind == engine::ObservableKind::kTokenLosses)
    return FieldError("observable.kind", "a tangent is of one number, not of every token's loss");
  auto stretch =
      std::make_unique<FakeTangents>(std::move(hooks), std::move(chain), queries, observable);
  BIF_RETURN_IF_ERROR(stretch->Restore(tangents));
  return stretch;
}

}  // namespace bif::testing
