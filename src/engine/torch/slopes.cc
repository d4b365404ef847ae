#include "src/engine/torch/slopes.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/forward_grad.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "src/base/status.h"
#include "src/engine/length_buckets.h"
#include "src/engine/torch/catch_torch.h"
#include "src/engine/torch/tangent_passes.h"
#include "src/engine/torch/vmap.h"

namespace bif::engine {
namespace {

// Dual tensors live inside it.
class DualLevel {
 public:
  DualLevel() : level_(torch::autograd::ForwardADLevel::get_next_idx()) {}
  ~DualLevel() { torch::autograd::ForwardADLevel::release_idx(level_); }
  DualLevel(const DualLevel&) = delete;
  DualLevel& operator=(const DualLevel&) = delete;

  at::Tensor Make(const at::Tensor& value, const at::Tensor& tangent) const {
    return at::_make_dual(value, tangent, static_cast<int64_t>(level_));
  }
  // Zeros where no tangent arrived.
  at::Tensor TangentOf(const at::Tensor& dual) const {
    const auto [value, tangent] = at::_unpack_dual(dual, static_cast<int64_t>(level_));
    return tangent.defined() ? tangent : at::zeros_like(value);
  }

 private:
  const uint64_t level_;
};

// The calls that `rows` rows make, with their positions.
std::vector<std::vector<uint32_t>> CutWindow(const TorchRows& rows, int64_t first, int64_t count,
                                             const ExecutionPlan& plan) {
  std::vector<uint32_t> window(static_cast<size_t>(count));
  std::iota(window.begin(), window.end(), static_cast<uint32_t>(first));
  const auto length = [&](uint32_t row) { return rows.token_losses(row); };
  return CutByLength(window, length, /*most_rows=*/0, plan.trace_batch_tokens);
}

}  // namespace

absl::Status SlopesAlong::Rows(const at::Tensor& weights, const at::Tensor& tangents,
                               const TorchRows& rows, int64_t first, int64_t count,
                               const ExecutionPlan& plan, absl::Span<float> slopes) {
  const at::NoGradGuard no_grad;
  const int64_t queries = tangents.size(0);
  // Fetched together at the end, so that another device need not wait between the calls.
  std::vector<at::Tensor> found;            // [queries, rows of the call]
  std::vector<std::vector<uint32_t>> held;  // where they go
  for (int64_t done = 0; done < count; done += plan.trace_batch_rows) {
    const int64_t size = std::min(plan.trace_batch_rows, count - done);
    if (rows.tokens() == nullptr) {
      const RecordedCall call = RecordedCall::Slice(model_, rows, first + done, size, {});
      BIF_ASSIGN_OR_RETURN(found.emplace_back(), Call(weights, tangents, call));
      held.emplace_back(static_cast<size_t>(size));
      std::iota(held.back().begin(), held.back().end(), static_cast<uint32_t>(first + done));
      continue;
    }
    for (std::vector<uint32_t>& positions : CutWindow(rows, first + done, size, plan)) {
      const RecordedCall call = RecordedCall::Gather(model_, rows, positions, {});
      BIF_ASSIGN_OR_RETURN(found.emplace_back(), Call(weights, tangents, call));
      held.push_back(std::move(positions));
    }
  }
  const at::Tensor host = at::cat(found, 1).cpu().contiguous();
  const float* from = host.const_data_ptr<float>();
  for (int64_t q = 0; q < queries; ++q) {
    float* to = slopes.data() + q * count;
    for (const std::vector<uint32_t>& positions : held)
      for (const uint32_t row : positions) to[int64_t{row} - first] = *from++;
  }
  return absl::OkStatus();
}

absl::StatusOr<at::Tensor> SlopesAlong::Call(const at::Tensor& weights, const at::Tensor& tangents,
                                             const RecordedCall& call) {
  const at::NoGradGuard no_grad;
  if (method_ == DerivativeMethod::kDifferences) return Differences(weights, tangents, call);
  if (batching_works_ && tangents.size(0) > 1) {
    const absl::StatusOr<at::Tensor> found = CatchTorch(
        "a batched forward-mode pass", [&] { return Forward(weights, tangents, call, true); });
    if (found.ok()) return found;
    batching_works_ = false;  // an operator without a batching rule: the same every time
  }
  return Forward(weights, tangents, call, false);
}

absl::StatusOr<at::Tensor> SlopesAlong::Forward(const at::Tensor& weights,
                                                const at::Tensor& tangents,
                                                const RecordedCall& call, bool batched) const {
  const int64_t queries = tangents.size(0), at_once = batched ? kTangentsAtOnce : 1;
  std::vector<at::Tensor> slopes;
  for (int64_t first = 0; first < queries; first += at_once) {
    const int64_t count = std::min(at_once, queries - first);
    const at::Tensor part = tangents.narrow(0, first, count);
    const DualLevel level;
    std::optional<Vmap> vmap;
    if (batched) vmap.emplace(count);
    std::vector<at::Tensor> parameters(model_.anchor);
    for (const WeightRange& range : layout_.ranges) {
      parameters[range.parameter] =
          level.Make(layout_.View(weights, range), batched ? vmap->Wrap(layout_.View(part, range))
                                                           : layout_.View(part[0], range));
    }
    BIF_ASSIGN_OR_RETURN(const at::Tensor losses, RecordedValues(model_, parameters, call, {}));
    const at::Tensor tangent = level.TangentOf(losses);
    slopes.push_back(batched ? vmap->Unwrap(tangent) : tangent.unsqueeze(0));
  }
  return at::cat(slopes);
}

absl::StatusOr<at::Tensor> SlopesAlong::Differences(const at::Tensor& weights,
                                                    const at::Tensor& tangents,
                                                    const RecordedCall& call) const {
  const at::Tensor slopes = at::zeros({tangents.size(0), call.rows}, tangents.options());
  const auto losses_at = [&](const std::vector<at::Tensor>& anchor, const at::Tensor& row) {
    return RecordedValues(model_, layout_.Parameters(anchor, row), call, {});
  };
  BIF_RETURN_IF_ERROR(CentralDifferences(model_, weights, tangents, losses_at, slopes));
  return slopes;
}

}  // namespace bif::engine
