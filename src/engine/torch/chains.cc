#include "src/engine/torch/chains.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/batch_order.h"
#include "src/engine/torch/attention_path.h"
#include "src/engine/torch/basin.h"
#include "src/engine/torch/catch_torch.h"
#include "src/engine/torch/device_noise.h"
#include "src/engine/torch/devinterp_streams.h"
#include "src/engine/torch/gradients.h"
#include "src/engine/torch/update.h"
#include "src/engine/validate_settings.h"

namespace bif::engine {
namespace {

struct Chain {
  uint32_t number = 0;
  uint64_t step = 0;
  BatchOrderOf batches;
  NoiseOfStep given_noise = nullptr;  // nullptr: counter-based noise
  std::vector<float> noise = {};      // of the step that is taken, where it is given
  std::string reason = {};            // why it diverged; empty while it moves
  double loss_sum = 0;                // since the last report
  uint64_t loss_count = 0;

  bool diverged() const { return !reason.empty(); }
};

// Settings by which BatchOrderOf gives the batches that the random streams ask for.
SamplerSettings BatchSettings(const SamplerSettings& settings, int64_t train_rows) {
  if (settings.random_streams != RandomStreams::kDevinterp ||
      settings.batch_order == BatchOrder::kReplay) {
    return settings;
  }
  SamplerSettings replay = settings;
  replay.batch_order = BatchOrder::kReplay;
  replay.replay_batches = DevinterpBatches(settings.seed, train_rows, settings.batch_size);
  return replay;
}

class TorchChains final : public TorchChainGroup {
 public:
  TorchChains(const LoadedProgram& model, const SamplerSettings& settings, WeightLayout layout,
              const TorchRows& train, Basin basin, uint32_t first_chain, uint32_t count,
              const ExecutionPlan& plan, std::vector<NoiseOfStep> given_noise)
      : model_(model),
        rule_(StepRule::Of(settings)),
        seed_(settings.seed),
        layout_(std::move(layout)),
        train_(train),
        basin_(std::move(basin)),
        plain_attention_(plan.plain_attention),
        anchor_row_(layout_.Row(model.anchor)),
        weights_(anchor_row_.repeat({int64_t{count}, 1})),
        second_moments_(rule_.algorithm == Algorithm::kRmspropSgld ? at::zeros_like(weights_)
                                                                   : at::Tensor()) {
    const SamplerSettings batches = BatchSettings(settings, train.rows());
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t number = first_chain + i;
      chains_.push_back({number, 0, BatchOrderOf(batches, train.rows(), number)});
      if (!given_noise.empty()) {
        chains_[i].given_noise = std::move(given_noise[i]);
      } else if (settings.random_streams == RandomStreams::kDevinterp) {
        auto noise = std::make_shared<DevinterpNoise>(seed_, number, layout_);
        chains_[i].given_noise = [noise](uint64_t step, absl::Span<float> numbers) {
          noise->Fill(step, numbers);
        };
      }
    }
    if (!anchor_row_.is_cpu() && DeviceNoise::Pays(layout_.row_elements)) {
      device_noise_.emplace(layout_, anchor_row_.device());
    }
    // Sequences of several chains fit into one call only if they are all alike; mixed precision and
    // batched calls do not mix.
    const bool batched = plan.batched_chains && plan.compute == ComputeType::kFp32 &&
                         (train.tokens() == nullptr || train.tokens()->uniform());
    const int64_t calls = batched ? 1 : int64_t{count};
    for (int64_t call = 0; call < calls; ++call) {
      sources_.emplace_back(model_, layout_, weights_.narrow(0, call, int64_t{count} / calls),
                            plan);
    }
  }

  absl::Status Restore(const std::vector<ChainSnapshot>& snapshots);

  uint64_t step() const override;
  absl::StatusOr<std::vector<ChainReport>> Advance(uint64_t steps) override;
  absl::Status ReadDelta(size_t position, absl::Span<float> delta) override;
  absl::StatusOr<ChainSnapshot> Snapshot(size_t position) override;

  const WeightLayout& layout() const override { return layout_; }
  at::Tensor AnchorRow() const override { return anchor_row_; }
  at::Tensor Weights(size_t position) const override {
    return weights_[static_cast<int64_t>(position)];
  }
  at::Tensor SecondMoments(size_t position) const override {
    return second_moments_.defined() ? second_moments_[static_cast<int64_t>(position)]
                                     : at::Tensor();
  }
  absl::Span<const uint32_t> NextBatch(size_t position) override {
    return chains_[position].batches.Batch(chains_[position].step);
  }

 private:
  // One step of the chains [first, first + source.chains()).
  absl::Status Step(const GradientSource& source, size_t first);
  // Why a chain must not take the step whose batch had this loss; empty if it may.
  absl::StatusOr<std::string> WhyItStops(size_t position, double loss);
  absl::Status CheckPosition(size_t position) const;

  const LoadedProgram& model_;
  const StepRule rule_;
  const uint64_t seed_;
  const WeightLayout layout_;
  const TorchRows& train_;
  const Basin basin_;
  const bool plain_attention_;
  const at::Tensor anchor_row_;      // [row_elements]
  const at::Tensor weights_;         // [chains, row_elements]
  const at::Tensor second_moments_;  // likewise, undefined with SGLD
  std::optional<DeviceNoise> device_noise_;
  std::vector<Chain> chains_;
  std::vector<GradientSource> sources_;  // one for all chains, or one a chain
};

absl::Status TorchChains::Restore(const std::vector<ChainSnapshot>& snapshots) {
  const auto elements = static_cast<size_t>(layout_.delta_elements);
  for (size_t i = 0; i < snapshots.size(); ++i) {
    const ChainSnapshot& snapshot = snapshots[i];
    const size_t moments = second_moments_.defined() ? elements : 0;
    if (snapshot.chain != chains_[i].number || snapshot.weights.size() != elements ||
        snapshot.second_moments.size() != moments) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the state of chain ", snapshot.chain, " with ", snapshot.weights.size(), " weights and ",
          snapshot.second_moments.size(), " second moments does not fit chain ", chains_[i].number,
          " with ", elements, " moving parameters"));
    }
    chains_[i].step = snapshot.step;
    const auto row = static_cast<int64_t>(i);
    layout_.Scatter(snapshot.weights, weights_[row]);
    if (moments > 0) layout_.Scatter(snapshot.second_moments, second_moments_[row]);
    if (!weights_[row].isfinite().all().item<bool>())
      chains_[i].reason = "its stored weights are not finite";
  }
  return absl::OkStatus();
}

uint64_t TorchChains::step() const {
  uint64_t moving = 0, all = 0;
  for (const Chain& chain : chains_) {
    all = std::max(all, chain.step);
    if (!chain.diverged()) moving = std::max(moving, chain.step);
  }
  return moving > 0 ? moving : all;
}

absl::StatusOr<std::vector<ChainReport>> TorchChains::Advance(uint64_t steps) {
  return CatchTorch("a sampling step", [&]() -> absl::StatusOr<std::vector<ChainReport>> {
    const AttentionPath attention(plain_attention_);
    for (Chain& chain : chains_) chain.loss_sum = 0, chain.loss_count = 0;
    // Chain by chain where they are not batched: a chain's weights and gradients then stay in the
    // cache.
    size_t first = 0;
    for (const GradientSource& source : sources_) {
      for (uint64_t i = 0; i < steps; ++i) BIF_RETURN_IF_ERROR(Step(source, first));
      first += static_cast<size_t>(source.chains());
    }
    std::vector<ChainReport> reports;
    for (const Chain& chain : chains_) {
      const double mean =
          chain.loss_count > 0 ? chain.loss_sum / static_cast<double>(chain.loss_count) : 0.0;
      reports.push_back({chain.number, mean, chain.diverged(), chain.reason});
    }
    return reports;
  });
}

absl::Status TorchChains::Step(const GradientSource& source, size_t first) {
  const size_t last = first + static_cast<size_t>(source.chains());
  if (std::all_of(chains_.begin() + static_cast<ptrdiff_t>(first),
                  chains_.begin() + static_cast<ptrdiff_t>(last),
                  [](const Chain& chain) { return chain.diverged(); })) {
    return absl::OkStatus();
  }
  // A diverged chain of a batched call is computed with the others, so that their bits do not
  // change, and is left alone.
  std::vector<uint32_t> positions;
  for (size_t c = first; c < last; ++c) {
    const absl::Span<const uint32_t> batch = chains_[c].batches.Batch(chains_[c].step);
    positions.insert(positions.end(), batch.begin(), batch.end());
  }
  BIF_ASSIGN_OR_RETURN(const BatchGradients found, source.At(train_, positions));

  const at::NoGradGuard no_grad;
  std::vector<ChainUpdate> updates;
  std::vector<size_t> updated;
  for (size_t c = first; c < last; ++c) {
    Chain& chain = chains_[c];
    if (chain.diverged()) continue;
    BIF_ASSIGN_OR_RETURN(chain.reason, WhyItStops(c, found.losses[c - first]));
    if (chain.diverged()) continue;
    const auto row = static_cast<int64_t>(c);
    updates.push_back({weights_[row],
                       second_moments_.defined() ? second_moments_[row] : at::Tensor(),
                       found.gradients, static_cast<int64_t>(c - first),
                       RandomBlocks(seed_, chain.number, chain.step, RandomStream::kNoise)});
    if (chain.given_noise) {
      chain.noise.resize(static_cast<size_t>(layout_.delta_elements));
      chain.given_noise(chain.step, absl::MakeSpan(chain.noise));
      updates.back().given_noise = chain.noise;
    }
    updated.push_back(c);
  }
  const std::vector<bool> finite = ApplySamplerStep(
      rule_, layout_, anchor_row_, device_noise_ ? &*device_noise_ : nullptr, updates);
  for (size_t u = 0; u < updated.size(); ++u) {
    Chain& chain = chains_[updated[u]];
    chain.loss_sum += found.losses[updated[u] - first];
    ++chain.loss_count;
    if (!finite[u])
      chain.reason = absl::StrCat("its weights were not finite after step ", chain.step + 1);
    ++chain.step;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> TorchChains::WhyItStops(size_t position, double loss) {
  const Chain& chain = chains_[position];
  const std::string where =
      absl::StrCat(" before step ", chain.step + 1, "; take a smaller step_size");
  if (!std::isfinite(loss)) return absl::StrCat("the loss of its batch was ", loss, where);
  if (loss <= basin_.bound()) return std::string();
  const at::Tensor row = weights_[static_cast<int64_t>(position)];
  BIF_ASSIGN_OR_RETURN(const bool outside,
                       basin_.ProbeLiesOutside(layout_.Parameters(model_.anchor, row)));
  if (!outside) return std::string();
  return absl::StrCat("its loss, ", loss, ", left the basin (bound ", basin_.bound(), ")", where);
}

absl::Status TorchChains::CheckPosition(size_t position) const {
  if (position < chains_.size()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the group has ", chains_.size(), " chains, not ", position + 1));
}

absl::Status TorchChains::ReadDelta(size_t position, absl::Span<float> delta) {
  return CatchTorch("reading a draw", [&]() -> absl::Status {
    BIF_RETURN_IF_ERROR(CheckPosition(position));
    if (delta.size() != static_cast<size_t>(layout_.delta_elements)) {
      return absl::InvalidArgumentError(
          absl::StrCat("a delta has ", layout_.delta_elements, " elements, not ", delta.size()));
    }
    layout_.Gather(weights_[static_cast<int64_t>(position)] - anchor_row_, delta);
    return absl::OkStatus();
  });
}

absl::StatusOr<ChainSnapshot> TorchChains::Snapshot(size_t position) {
  return CatchTorch("reading a chain's state", [&]() -> absl::StatusOr<ChainSnapshot> {
    BIF_RETURN_IF_ERROR(CheckPosition(position));
    const auto row = static_cast<int64_t>(position);
    ChainSnapshot snapshot;
    snapshot.chain = chains_[position].number;
    snapshot.step = chains_[position].step;
    snapshot.weights.resize(static_cast<size_t>(layout_.delta_elements));
    layout_.Gather(weights_[row], absl::MakeSpan(snapshot.weights));
    if (second_moments_.defined()) {
      snapshot.second_moments.resize(snapshot.weights.size());
      layout_.Gather(second_moments_[row], absl::MakeSpan(snapshot.second_moments));
    }
    return snapshot;
  });
}

}  // namespace

absl::StatusOr<std::unique_ptr<TorchChainGroup>> StartTorchChains(
    const LoadedProgram& model, const SamplerSettings& settings, const MovingSet& moving,
    const ExecutionPlan& plan, const TorchRows& train, uint32_t first_chain, uint32_t count,
    const std::vector<ChainSnapshot>& snapshots, std::vector<NoiseOfStep> given_noise) {
  return CatchTorch("starting chains", [&]() -> absl::StatusOr<std::unique_ptr<TorchChainGroup>> {
    BIF_RETURN_IF_ERROR(ValidateSettings(settings, train.rows()));
    BIF_RETURN_IF_ERROR(ValidateForDevice(settings, model.device.str()));
    if (count < 1 || (!snapshots.empty() && snapshots.size() != count)) {
      return absl::InvalidArgumentError(
          absl::StrCat(count, " chains and ", snapshots.size(),
                       " states do not fit; give none, or one a chain"));
    }
    if (!given_noise.empty() && given_noise.size() != count) {
      return absl::InvalidArgumentError(
          absl::StrCat("noise of ", given_noise.size(), " chains does not fit ", count));
    }
    BIF_ASSIGN_OR_RETURN(WeightLayout layout,
                         WeightLayout::Of(model.program->info().parameters, moving));
    if (plan.trace_batch_rows < 1) {
      return absl::InvalidArgumentError(
          absl::StrCat("a batch of ", plan.trace_batch_rows, " rows is impossible"));
    }
    const AttentionPath attention(plan.plain_attention);
    BIF_ASSIGN_OR_RETURN(Basin basin,
                         Basin::Around(model, train, moving.elements, settings.nbeta, plan));
    auto group =
        std::make_unique<TorchChains>(model, settings, std::move(layout), train, std::move(basin),
                                      first_chain, count, plan, std::move(given_noise));
    BIF_RETURN_IF_ERROR(group->Restore(snapshots));
    return group;
  });
}

}  // namespace bif::engine
