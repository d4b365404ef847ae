#include "src/engine/torch/check_tangents.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/gaussian_noise.h"
#include "src/engine/torch/attention_path.h"
#include "src/engine/torch/catch_torch.h"
#include "src/engine/torch/hessian_products.h"
#include "src/engine/torch/recorded_values.h"
#include "src/engine/torch/slopes.h"

namespace bif::engine {
namespace {

constexpr int64_t kRows = 8;
constexpr int64_t kTokens = 512;
constexpr int64_t kDirections = 3;  // two drawn by lot, and their sum
constexpr double kTolerance = 0.01;
constexpr double kLooseTolerance = 0.05;
// What fp32 may leave of a derivative that is zero, as a share of the plain gradient times the
// tangent.
constexpr double kRounding = 1e-5;

std::vector<uint32_t> SomeRows(const TorchRows& train) {
  std::vector<uint32_t> rows = {0};
  int64_t tokens = train.token_losses(0);
  while (static_cast<int64_t>(rows.size()) < std::min(train.rows(), kRows)) {
    tokens += train.token_losses(static_cast<int64_t>(rows.size()));
    if (tokens > kTokens) break;
    rows.push_back(static_cast<uint32_t>(rows.size()));
  }
  return rows;
}

// [kDirections, row_elements]: several, so that the batched passes are tried too, and their sum,
// since a derivative is linear. Padding is zero.
at::Tensor Directions(const WeightLayout& layout, const at::Tensor& like) {
  const at::Tensor directions = at::zeros({kDirections, layout.row_elements}, like.options());
  std::vector<float> numbers(static_cast<size_t>(layout.delta_elements));
  for (int64_t d = 0; d + 1 < kDirections; ++d) {
    FillGaussianNoise(RandomBlocks(0, static_cast<uint32_t>(d), 0, RandomStream::kNoise), 0,
                      absl::MakeSpan(numbers));
    layout.Scatter(numbers, directions[d]);
    directions[kDirections - 1].add_(directions[d]);
  }
  return directions;
}

double Norm(const at::Tensor& tensor) {
  return at::linalg_vector_norm(tensor.to(at::kDouble)).item<double>();
}

// One kind of derivative, as it was found.
struct Trial {
  at::Tensor found;     // undefined if there is none
  std::string problem;  // why it cannot be used; empty if it can
};

template <typename Function>
Trial Try(const Function& compute) {
  const absl::StatusOr<at::Tensor> found = CatchTorch("", compute);
  if (!found.ok()) {
    absl::string_view message = found.status().message();
    if (message.substr(0, 2) == ": ") message.remove_prefix(2);
    return {{}, std::string(message)};
  }
  if (!found->isfinite().all().item<bool>()) return {{}, "it is not finite"};
  return {*found, ""};
}

// What is wrong with `found`, if `wanted` is right; `scale` is that of the rounding it may have.
void Compare(Trial& trial, const at::Tensor& wanted, double scale, double tolerance) {
  if (!trial.problem.empty()) return;
  const double off = Norm(trial.found - wanted), size = Norm(wanted);
  if (off <= tolerance * size + kRounding * scale) return;
  trial.problem = absl::StrCat("it differs from central differences by ", 100 * off / size, " %");
}

// Differences of a program that rounds on its way are no derivatives, and not linear either.
void CheckLinearity(Trial& differences, double scale) {
  if (!differences.problem.empty()) return;
  const at::Tensor& found = differences.found;
  const double off = Norm(found[0] + found[1] - found[2]);
  if (off <= kTolerance * Norm(found) + kRounding * scale) return;
  differences = {{}, "it rounds to fewer digits on its way"};
}

class Check {
 public:
  Check(const LoadedProgram& model, const WeightLayout& layout, const ExecutionPlan& plan,
        const TorchRows& train)
      : model_(model),
        layout_(layout),
        plan_(plan),
        batch_(RecordedBatch(model, train, SomeRows(train), plan)),
        weights_(layout.Row(model.anchor)),
        directions_(Directions(layout, weights_)) {}

  absl::StatusOr<TangentPlan> Run();

 private:
  Trial Hessian(DerivativeMethod method) const {
    return Try(
        [&] { return HessianProducts(model_, layout_, method).At(weights_, directions_, batch_); });
  }
  Trial Slopes(DerivativeMethod method) const {
    return Try([&] { return SlopesOf(method); });
  }
  absl::StatusOr<at::Tensor> SlopesOf(DerivativeMethod method) const;
  // Differences of the losses in fp32: [directions, rows].
  absl::StatusOr<at::Tensor> RoughSlopes() const;
  // What the Hessian lacks to be symmetric, if it can be said.
  void CheckSymmetry(Trial& hessian, double scale) const;
  // The exact derivatives with one way of attention, compared.
  std::pair<Trial, Trial> Exact(bool plain_attention) const;

  const LoadedProgram& model_;
  const WeightLayout& layout_;
  const ExecutionPlan& plan_;
  const std::vector<RecordedCall> batch_;
  const at::Tensor weights_;
  const at::Tensor directions_;
  Trial hessian_in_double_, slopes_in_double_;
};

absl::StatusOr<at::Tensor> Check::SlopesOf(DerivativeMethod method) const {
  SlopesAlong along(model_, layout_, method);
  std::vector<at::Tensor> slopes;
  for (const RecordedCall& call : batch_) {
    BIF_ASSIGN_OR_RETURN(slopes.emplace_back(), along.Call(weights_, directions_, call));
  }
  return at::cat(slopes, 1);
}

absl::StatusOr<at::Tensor> Check::RoughSlopes() const {
  std::vector<at::Tensor> of_directions;
  for (int64_t d = 0; d < kDirections; ++d) {
    const double step = 1e-3 * std::max(1.0, Norm(weights_)) / Norm(directions_[d]);
    std::vector<at::Tensor> losses;
    for (const double sign : {1.0, -1.0}) {
      const auto parameters =
          layout_.Parameters(model_.anchor, weights_ + sign * step * directions_[d]);
      std::vector<at::Tensor> of_calls;
      for (const RecordedCall& call : batch_) {
        BIF_ASSIGN_OR_RETURN(of_calls.emplace_back(), RecordedValues(model_, parameters, call, {}));
      }
      losses.push_back(at::cat(of_calls));
    }
    of_directions.push_back((losses[0] - losses[1]) / (2 * step));
  }
  return at::stack(of_directions);
}

void Check::CheckSymmetry(Trial& hessian, double scale) const {
  if (!hessian.problem.empty()) return;
  const auto form = [&](int64_t a, int64_t b) {
    return at::dot(directions_[a].to(at::kDouble), hessian.found[b].to(at::kDouble)).item<double>();
  };
  const double off = std::abs(form(0, 1) - form(1, 0));
  const double size = Norm(hessian.found) * Norm(directions_);
  if (off > kTolerance * size + kRounding * scale)
    hessian.problem = absl::StrCat("it is not symmetric, by ", 100 * off / size, " %");
}

std::pair<Trial, Trial> Check::Exact(bool plain_attention) const {
  const AttentionPath attention(plain_attention);
  Trial hessian = Hessian(DerivativeMethod::kExact), slopes = Slopes(DerivativeMethod::kExact);
  const double scale = slopes.found.defined() ? Norm(slopes.found) : 0;
  if (slopes_in_double_.found.defined()) {
    Compare(slopes, slopes_in_double_.found, scale, kTolerance);
  } else {
    const Trial rough = Try([&] { return RoughSlopes(); });
    if (rough.found.defined()) Compare(slopes, rough.found, scale, kLooseTolerance);
  }
  if (hessian_in_double_.found.defined()) {
    Compare(hessian, hessian_in_double_.found, scale, kTolerance);
  } else {
    CheckSymmetry(hessian, scale);
  }
  return {std::move(hessian), std::move(slopes)};
}

absl::StatusOr<TangentPlan> Check::Run() {
  {
    const AttentionPath attention(/*plain=*/true);
    hessian_in_double_ = Hessian(DerivativeMethod::kDifferences);
    slopes_in_double_ = Slopes(DerivativeMethod::kDifferences);
    const double scale = slopes_in_double_.found.defined() ? Norm(slopes_in_double_.found) : 0;
    CheckLinearity(hessian_in_double_, scale);
    CheckLinearity(slopes_in_double_, 0);
  }
  TangentPlan plan{.plain_attention = plan_.plain_attention};
  auto [hessian, slopes] = Exact(plan.plain_attention);
  const bool fine = hessian.problem.empty() && slopes.problem.empty();
  if (!fine && model_.program->attends() && !plan.plain_attention) {
    plan.plain_attention = true;
    std::tie(hessian, slopes) = Exact(true);
  }
  for (const auto& [what, trial, in_double, method] :
       {std::tuple("second derivatives", &hessian, &hessian_in_double_, &plan.hessian),
        std::tuple("directional derivatives", &slopes, &slopes_in_double_, &plan.slopes)}) {
    std::string sentence;
    if (!trial->problem.empty() && !in_double->found.defined()) {
      return absl::UnimplementedError(absl::StrCat(
          "the program has no ", what, ": ", trial->problem,
          "; and it cannot be computed in double for differences: ", in_double->problem,
          ". Use an estimator that needs none, or export the model without this operator"));
    }
    if (!trial->problem.empty()) {
      *method = DerivativeMethod::kDifferences;
      sentence = absl::StrCat(what, " are central differences in double: ", trial->problem);
    } else if (!in_double->found.defined()) {
      sentence =
          absl::StrCat(what, " are exact, but were checked in fp32 only: ", in_double->problem);
    }
    if (sentence.empty()) continue;
    absl::StrAppend(&plan.reason, plan.reason.empty() ? "" : "; ", sentence);
  }
  return plan;
}

}  // namespace

absl::StatusOr<TangentPlan> CheckTorchTangents(const LoadedProgram& model, const MovingSet& moving,
                                               const ExecutionPlan& plan, const TorchRows& train) {
  return CatchTorch("checking derivatives", [&]() -> absl::StatusOr<TangentPlan> {
    const at::NoGradGuard no_grad;
    BIF_ASSIGN_OR_RETURN(const WeightLayout layout,
                         WeightLayout::Of(model.program->info().parameters, moving));
    return Check(model, layout, plan, train).Run();
  });
}

}  // namespace bif::engine
