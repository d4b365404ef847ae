#include "tests/support/fake_chains.h"

#include <cmath>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/sampler_step.h"

namespace bif::testing {

using engine::ChainReport;
using engine::ChainSnapshot;

FakeChains::FakeChains(std::shared_ptr<FakeEngineHooks> hooks, const FakeShape& shape,
                       std::vector<float> anchor, std::vector<int64_t> positions,
                       const engine::SamplerSettings& settings, const FakeData& train,
                       uint32_t first_chain, uint32_t count)
    : hooks_(std::move(hooks)),
      shape_(shape),
      anchor_(std::move(anchor)),
      positions_(std::move(positions)),
      settings_(settings),
      train_(train) {
  for (const int64_t position : positions_) moving_anchor_.push_back(anchor_[position]);
  for (uint32_t c = 0; c < count; ++c) {
    Chain chain{first_chain + c,
                moving_anchor_,
                {},
                engine::BatchOrderOf(settings, train.rows(), first_chain + c),
                ""};
    if (settings.algorithm == engine::Algorithm::kRmspropSgld)
      chain.second_moments.assign(positions_.size(), 0);
    chains_.push_back(std::move(chain));
  }
}

absl::Status FakeChains::Restore(const std::vector<ChainSnapshot>& snapshots) {
  if (snapshots.empty()) return absl::OkStatus();
  if (snapshots.size() != chains_.size())
    return absl::InvalidArgumentError("one snapshot a chain is needed");
  for (size_t c = 0; c < chains_.size(); ++c) {
    const ChainSnapshot& snapshot = snapshots[c];
    if (snapshot.chain != chains_[c].index || snapshot.weights.size() != positions_.size() ||
        snapshot.second_moments.size() != chains_[c].second_moments.size() ||
        snapshot.step != snapshots[0].step) {
      return absl::InvalidArgumentError("a snapshot is of another run");
    }
    chains_[c].weights = snapshot.weights;
    chains_[c].second_moments = snapshot.second_moments;
  }
  step_ = snapshots[0].step;
  return absl::OkStatus();
}

absl::StatusOr<std::vector<ChainReport>> FakeChains::Advance(uint64_t steps) {
  const int64_t call = ++hooks_->advance_calls;
  BIF_RETURN_IF_ERROR(hooks_->on_advance(call));
  std::vector<ChainReport> reports;
  for (Chain& chain : chains_) {
    double sum = 0;
    for (uint64_t s = 0; s < steps && chain.reason.empty(); ++s) sum += Step(chain, step_ + s);
    reports.push_back(
        {chain.index, sum / static_cast<double>(steps), !chain.reason.empty(), chain.reason});
  }
  step_ += steps;
  return reports;
}

absl::Status FakeChains::ReadDelta(size_t position, absl::Span<float> delta) {
  if (position >= chains_.size() || delta.size() != positions_.size()) {
    return absl::InvalidArgumentError("no such chain, or a delta of another length");
  }
  for (size_t i = 0; i < delta.size(); ++i)
    delta[i] = chains_[position].weights[i] - moving_anchor_[i];
  return absl::OkStatus();
}

absl::StatusOr<ChainSnapshot> FakeChains::Snapshot(size_t position) {
  if (position >= chains_.size()) return absl::InvalidArgumentError("no such chain");
  const Chain& chain = chains_[position];
  return ChainSnapshot{chain.index, step_, chain.weights, chain.second_moments};
}

std::vector<float> FakeChains::AllWeights(size_t position) const {
  std::vector<float> all = anchor_;
  for (size_t i = 0; i < positions_.size(); ++i) all[positions_[i]] = chains_[position].weights[i];
  return all;
}

double FakeChains::Step(Chain& chain, uint64_t step) {
  std::vector<float> all = anchor_;
  for (size_t i = 0; i < positions_.size(); ++i) all[positions_[i]] = chain.weights[i];
  std::vector<double> gradient(all.size(), 0);
  const absl::Span<const uint32_t> batch = chain.batches.Batch(step);
  const double scale = 1.0 / static_cast<double>(batch.size());
  double loss = 0;
  for (const uint32_t row : batch)
    loss += scale * AddFakeGradient(shape_, all, train_, row, scale, absl::MakeSpan(gradient));
  if (hooks_->loss_is_nan(chain.index, step)) loss = std::numeric_limits<double>::quiet_NaN();
  if (!std::isfinite(loss)) {
    chain.reason = absl::StrCat("the loss was not finite at step ", step);
    return loss;
  }
  std::vector<float> moving_gradient;
  for (const int64_t position : positions_)
    moving_gradient.push_back(static_cast<float>(gradient[position]));
  const engine::RandomBlocks noise(settings_.seed, chain.index, step, engine::RandomStream::kNoise);
  if (!StepRanges(chain, moving_gradient, noise)) {
    chain.reason = absl::StrCat("the weights were not finite after step ", step);
  }
  return loss;
}

bool FakeChains::StepRanges(Chain& chain, const std::vector<float>& gradient,
                            const engine::RandomBlocks& noise) {
  const engine::StepRule rule = engine::StepRule::Of(settings_);
  bool finite = true;
  for (size_t begin = 0, end = 0; begin < positions_.size(); begin = end) {
    end = begin + 1;
    while (end < positions_.size() && positions_[end] == positions_[end - 1] + 1) ++end;
    const size_t length = end - begin;
    absl::Span<float> moments = absl::MakeSpan(chain.second_moments);
    if (!moments.empty()) moments = moments.subspan(begin, length);
    finite &= engine::SamplerStepWithNoise(
        rule, noise, positions_[begin], absl::MakeSpan(gradient).subspan(begin, length),
        absl::MakeConstSpan(moving_anchor_).subspan(begin, length),
        absl::MakeSpan(chain.weights).subspan(begin, length), moments);
  }
  return finite;
}

}  // namespace bif::testing
