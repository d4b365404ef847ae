// What sampling and tracing cost beyond LibTorch itself. Prints `name value unit` a line, or one
// JSON object with --json.
//
//   trace_vs_forward          Observe of a draw of each of four chains, as a posterior traces them,
//                             samples x draws a second, against a bare loop of forward calls for
//                             each draw on inputs that are converted already, both at their
//                             fastest batch size. Observe also converts bytes to floats, adds the
//                             draws to w*, and computes losses.
//   tangent_step_q            a step of a chain with q tangents, in steps without
//   slopes_q                  the slopes of all rows along q tangents, in traces of one draw
//   step_vs_forward_backward  a sampling step of one chain (batch, gradient, noise, update) against
//                             a bare forward and backward on one batch that is there already
// The two ratios are the worse of an MLP 784-128-10 (batch 256) and a ResNet-20 (batch 64); the two
// sides alternate within one run and the fastest of each counts, so that a busy machine does not
// decide.
#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <time.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "absl/time/time.h"
#include "src/engine/torch/losses.h"
#include "src/engine/torch/program.h"
#include "src/engine/torch/resident_rows.h"
#include "src/engine/torch/test_programs.h"

namespace bif::engine {
namespace {

using testing::OkOrDie;
using testing::ValueOrDie;

struct Subject {
  std::string name;
  std::vector<int64_t> image;
  int trace_rounds;
  int64_t rows;         // traced in one round
  uint32_t batch_rows;  // of a step
};

// A subject through engine.h, and its program beside it for the bare side.
class Bench {
 public:
  explicit Bench(const Subject& subject)
      : subject_(subject),
        batch_(testing::RandomImages(subject.rows, subject.image, 10)),
        model_(testing::LoadTestModel(subject.name, "image", LossKind::kCrossEntropy, {1.0f / 255},
                                      {0.0f})),
        train_(ValueOrDie(model_->Upload(batch_))),
        moving_(ValueOrDie(SelectParameters(model_->info().parameters, {}))) {
    source_.path = testing::ProgramPath(subject.name + ".pt2");
    source_.target_column = "label";
    source_.inputs = {{"image", "image", {1.0f / 255}, {0.0f}}};
    program_ = ValueOrDie(Program::Load(source_, device_));
    parameters_ = ValueOrDie(program_->LoadWeights({}));
    const auto rows = ValueOrDie(TorchRows::Upload(source_, *program_, batch_, device_));
    ready_ = rows->Slice(0, subject.rows);
    settings_.step_size = 1e-6;
    settings_.nbeta = 10;
    settings_.gamma = 100;
    settings_.batch_size = subject.batch_rows;
    plan_ = ValueOrDie(model_->Tune(settings_, moving_, *train_));
  }

  double TraceVersusForward() {
    double bare = kNever, ours = kNever;
    const std::vector<float> delta(static_cast<size_t>(moving_.elements), 1e-4f);
    const std::vector<absl::Span<const float>> draws(settings_.chains, delta);
    std::vector<float> values(static_cast<size_t>(subject_.rows) * draws.size());
    for (int round = 0; round < subject_.trace_rounds; ++round) {
      ours = std::min(ours, Seconds([&] {
                        OkOrDie(model_->Observe(moving_, draws, *train_, 0, subject_.rows, {},
                                                plan_, absl::MakeSpan(values)));
                      }));
      for (int64_t rows : {64, 256, 1024, 4096}) {
        bare = std::min(bare, Seconds([&] {
                          for (size_t draw = 0; draw < draws.size(); ++draw) Forward(rows);
                        }));
      }
    }
    std::fprintf(stderr, "  trace %.3f ms, forward %.3f ms\n", ours * 1e3, bare * 1e3);
    return bare / ours;
  }

  double StepVersusForwardBackward() {
    double bare = kNever, ours = kNever;
    const auto chain = ValueOrDie(model_->StartChains(settings_, moving_, {}, *train_, 0, 1, {}));
    std::vector<at::Tensor> leaves;
    for (const at::Tensor& parameter : parameters_)
      leaves.push_back(parameter.detach().set_requires_grad(true));
    for (int round = 0; round < 60; ++round) {
      ours = std::min(ours, Seconds([&] { OkOrDie(chain->Advance(1).status()); }));
      bare = std::min(bare, Seconds([&] { ForwardBackward(leaves); }));
    }
    std::fprintf(stderr, "  step %.3f ms, forward and backward %.3f ms\n", ours * 1e3, bare * 1e3);
    return bare / ours;
  }

  struct TangentCost {
    double step = 0, slopes = 0;
  };
  // With so many tangents, against a step and a trace without any.
  TangentCost CostOfTangents(int64_t queries) {
    const TangentPlan how = ValueOrDie(model_->CheckTangents(moving_, plan_, *train_));
    const auto rows =
        ValueOrDie(model_->Upload(testing::RandomImages(queries, subject_.image, 10)));
    const auto chain =
        ValueOrDie(model_->StartChains(settings_, moving_, plan_, *train_, 0, 1, {}));
    const auto stretch = ValueOrDie(model_->StartTangents(
        settings_, moving_, plan_, how, *train_, ValueOrDie(chain->Snapshot(0)), *rows, {}, {}));
    ValueOrDie(stretch->Advance(1));  // the first one has no tangents yet
    const std::vector<float> delta(static_cast<size_t>(moving_.elements), 1e-4f);
    std::vector<float> values(static_cast<size_t>(subject_.rows)),
        slopes(values.size() * static_cast<size_t>(queries));
    double plain = kNever, step = kNever, trace = kNever, along = kNever;
    for (int round = 0; round < subject_.trace_rounds; ++round) {
      plain = std::min(plain, Seconds([&] { OkOrDie(chain->Advance(1).status()); }));
      step = std::min(step, Seconds([&] { OkOrDie(stretch->Advance(1).status()); }));
      trace = std::min(trace, Seconds([&] {
                         OkOrDie(model_->Observe(moving_, {delta}, *train_, 0, subject_.rows, {},
                                                 plan_, absl::MakeSpan(values)));
                       }));
      along =
          std::min(along, Seconds([&] {
                     OkOrDie(stretch->Slopes(*train_, 0, subject_.rows, absl::MakeSpan(slopes)));
                   }));
    }
    return {step / plain, along / trace};
  }

  // One sample that is not known yet, at 400 draws.
  double NewQueryMilliseconds() {
    const std::vector<float> delta(static_cast<size_t>(moving_.elements), 1e-4f);
    const std::vector<absl::Span<const float>> draws(400, delta);
    std::vector<float> values(draws.size());
    double best = kNever;
    for (int round = 0; round < 3; ++round) {
      best = std::min(best, Seconds([&] {
                        OkOrDie(model_->Observe(moving_, draws, *train_, 0, 1, {}, plan_,
                                                absl::MakeSpan(values)));
                      }));
    }
    return best * 1e3;
  }

  const ExecutionPlan& plan() const { return plan_; }

 private:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  // Wall time; with one thread the processor's, which other processes do not lengthen.
  double Seconds(const std::function<void()>& work) const {
    const auto now = [this] {
      // A GPU works behind the calls.
      if (!device_.is_cpu()) {
        c10::impl::VirtualGuardImpl(device_.type()).synchronizeDevice(device_.index());
      }
      timespec time;
      clock_gettime(at::get_num_threads() == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time);
      return absl::DurationFromTimespec(time);
    };
    const absl::Duration start = now();
    work();
    return absl::ToDoubleSeconds(now() - start);
  }

  void Forward(int64_t batch_rows) {
    const at::NoGradGuard no_grad;
    for (int64_t first = 0; first < subject_.rows; first += batch_rows) {
      const int64_t count = std::min(batch_rows, subject_.rows - first);
      OkOrDie(program_->Run(parameters_, {ready_.inputs[0].narrow(0, first, count)}).status());
    }
  }

  void ForwardBackward(const std::vector<at::Tensor>& leaves) {
    const at::AutoGradMode record(true);
    const int64_t rows = subject_.batch_rows;
    const at::Tensor output =
        ValueOrDie(program_->Run(leaves, {ready_.inputs[0].narrow(0, 0, rows)}));
    const at::Tensor loss = at::cross_entropy_loss(output, ready_.target.narrow(0, 0, rows));
    torch::autograd::grad({loss}, leaves);
  }

  const c10::Device device_{testing::TestDevice()};
  const Subject subject_;
  const SampleBatch batch_;
  const std::unique_ptr<Model> model_;
  const std::unique_ptr<ResidentRows> train_;
  const MovingSet moving_;
  ProgramSource source_;
  std::unique_ptr<Program> program_;
  std::vector<at::Tensor> parameters_;
  DeviceBatch ready_;
  SamplerSettings settings_;
  ExecutionPlan plan_;
};

int Main(bool json, int threads) {
  testing::TestEngine(threads);
  nlohmann::ordered_json figures;
  const auto print = [&](const std::string& name, double value, const char* unit) {
    figures[name] = value;
    if (!json) std::printf("%s %.3g %s\n", name.c_str(), value, unit);
    std::fflush(stdout);
  };
  double trace = std::numeric_limits<double>::infinity(), step = trace;
  for (const Subject& subject :
       {Subject{"mlp", {1, 28, 28}, 30, 4096, 256}, Subject{"resnet20", {3, 32, 32}, 5, 256, 64}}) {
    Bench bench(subject);
    std::fprintf(stderr, "%s: %s\n", subject.name.c_str(), bench.plan().ToString().c_str());
    const double this_trace = bench.TraceVersusForward(),
                 this_step = bench.StepVersusForwardBackward();
    print("trace_vs_forward_" + subject.name, this_trace, "ratio");
    print("step_vs_forward_backward_" + subject.name, this_step, "ratio");
    print("new_query_400_draws_" + subject.name, bench.NewQueryMilliseconds(), "ms");
    for (const int64_t queries : {1, 8}) {
      const auto cost = bench.CostOfTangents(queries);
      print("tangent_step_" + std::to_string(queries) + "_" + subject.name, cost.step, "steps");
      print("slopes_" + std::to_string(queries) + "_" + subject.name, cost.slopes, "traces");
    }
    trace = std::min(trace, this_trace);
    step = std::min(step, this_step);
  }
  print("trace_vs_forward", trace, "ratio");
  print("step_vs_forward_backward", step, "ratio");
  if (json) std::printf("%s\n", figures.dump().c_str());
  return 0;
}

}  // namespace
}  // namespace bif::engine

// engine_benchmark [--json] [--threads N]; N is one a core by default. On another device than the
// CPU with BIF_TEST_DEVICE=cuda:0 in the environment.
int main(int argc, char** argv) {
  bool json = false;
  int threads = 0;
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    if (argument == "--json") json = true;
    if (argument == "--threads" && i + 1 < argc) threads = std::atoi(argv[++i]);
  }
  return bif::engine::Main(json, threads);
}
