// What a daemon around a sampler costs it.
//
//   sampling_benchmark SERVER CHECKPOINT TRAINING_DATASET PROGRAM_FILE POSTERIOR QUERY_DATASET ROW
//
// Three sides take turns, each for some draws with the settings of the demonstration:
//   bare    the engine alone in this process, on the same samples and with the daemon's execution
//           plan: steps, quantised weights, losses of all training samples. No store, no schedule,
//           no gRPC
//   idle    a posterior that the daemon samples while nobody asks anything, from the end of its
//           first draw until it is done, commits included
//   asked   the same, while the stored top-10 answer about QUERY_DATASET/ROW of POSTERIOR is asked
//           for 50 times a second
// Prints `name value unit`: the draws a second of each, and the losses of the last two against the
// first. The fastest round of each counts.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "client/client.h"
#include "client/operation_result.h"
#include "client/paging.h"
#include "src/engine/draw_codec.h"
#include "src/engine/engine.h"

namespace {

namespace v1 = bif::v1;
namespace engine = bif::engine;
using bif::client::Client;
using Clock = std::chrono::steady_clock;

constexpr int kRounds = 5;
constexpr uint32_t kChains = 4;
constexpr uint32_t kDraws = 31;  // the first is not timed, the others are about a segment
constexpr uint32_t kStepsBetweenDraws = 10;
constexpr uint32_t kBatch = 256;
constexpr double kStepSize = 1e-4, kNbeta = 1000, kGamma = 300;
constexpr std::chrono::milliseconds kBetweenQuestions(20);

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "sampling_benchmark: %s\n", why.c_str());
  std::exit(1);
}

void OkOrDie(const absl::Status& status) {
  if (!status.ok()) Die(status.ToString());
}

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  OkOrDie(value.status());
  return *std::move(value);
}

double SecondsSince(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

double DrawsPerSecond(Clock::time_point first_draw) {
  return (kDraws - 1) * kChains / SecondsSince(first_draw);
}

// The samples of a dataset as the engine takes them.
bif::SampleBatch Download(Client& client, const std::string& dataset) {
  bif::SampleBatch batch;
  v1::ListSamplesRequest request;
  request.set_dataset(dataset);
  request.set_include_tensors(true);
  request.set_page_size(1000);
  const auto take = [&](const v1::ListSamplesResponse& page) {
    for (const v1::Sample& sample : page.samples()) {
      if (batch.columns.empty()) {
        for (const v1::Tensor& tensor : sample.tensors()) {
          const auto& shape = tensor.spec().shape();
          batch.columns.push_back({.spec = {.name = tensor.spec().name(),
                                            .dtype = static_cast<bif::DType>(tensor.spec().dtype()),
                                            .shape = {shape.begin(), shape.end()}},
                                   .data = {}});
        }
      }
      for (int t = 0; t < sample.tensors_size(); ++t) {
        const std::string& data = sample.tensors(t).data();
        batch.columns[t].Append({reinterpret_cast<const std::byte*>(data.data()), data.size()});
      }
      ++batch.rows;
    }
    return absl::OkStatus();
  };
  OkOrDie(bif::client::ForEachPage<v1::ListSamplesResponse, v1::ListSamplesRequest>(
      request, [&](const v1::ListSamplesRequest& page) { return client.ListSamples(page); }, take));
  return batch;
}

// The execution plan that a posterior says it has; of a classifier.
engine::ExecutionPlan PlanOf(const v1::Posterior& posterior) {
  const std::string& text = posterior.execution_plan();
  engine::ExecutionPlan plan;
  plan.batched_chains = absl::StartsWith(text, "chains in one batched call");
  long long rows = 0;
  if (std::sscanf(text.c_str() + text.find(", "), ", %lld rows", &rows) == 1)
    plan.trace_batch_rows = rows;
  if (plan.ToString() != text) Die("an execution plan that is not understood: " + text);
  return plan;
}

class BareSampler {
 public:
  BareSampler(const std::string& program_file, const bif::SampleBatch& samples)
      : engine_(OrDie(engine::MakeTorchEngine({}))),
        model_(OrDie(engine_->LoadModel(Source(program_file), {}))),
        rows_(OrDie(model_->Upload(samples))),
        moving_(OrDie(engine::SelectParameters(model_->info().parameters, {}))) {}

  double Run(const engine::ExecutionPlan& plan, uint64_t seed) {
    engine::SamplerSettings settings;
    settings.step_size = kStepSize;
    settings.nbeta = kNbeta;
    settings.gamma = kGamma;
    settings.chains = kChains;
    settings.draws_per_chain = kDraws;
    settings.steps_between_draws = kStepsBetweenDraws;
    settings.batch_size = kBatch;
    settings.seed = seed;
    const auto chains = OrDie(model_->StartChains(settings, moving_, plan, *rows_, 0, kChains, {}));
    Draw(settings, plan, *chains);
    const Clock::time_point first_draw = Clock::now();
    for (uint32_t draw = 1; draw < kDraws; ++draw) Draw(settings, plan, *chains);
    return DrawsPerSecond(first_draw);
  }

 private:
  static engine::ProgramSource Source(const std::string& program_file) {
    engine::ProgramSource source;
    source.path = program_file;
    source.target_column = "label";
    source.inputs = {{"image", "image", {1.0f / 255}, {0.0f}}};
    return source;
  }

  // One draw of each chain.
  void Draw(const engine::SamplerSettings& settings, const engine::ExecutionPlan& plan,
            engine::ChainGroup& chains) {
    OkOrDie(chains.Advance(kStepsBetweenDraws).status());
    std::vector<float> exact(moving_.elements);
    std::vector<std::vector<float>> stored(kChains, exact);
    for (uint32_t chain = 0; chain < kChains; ++chain) {
      OkOrDie(chains.ReadDelta(chain, absl::MakeSpan(exact)));
      const std::string payload = OrDie(engine::EncodeDraw(settings.draw_codec, exact));
      OkOrDie(engine::DecodeDraw(settings.draw_codec, payload, absl::MakeSpan(stored[chain])));
    }
    const std::vector<absl::Span<const float>> deltas(stored.begin(), stored.end());
    losses_.resize(kChains * static_cast<size_t>(rows_->rows()));
    OkOrDie(model_->Observe(moving_, deltas, *rows_, 0, rows_->rows(), {}, plan,
                            absl::MakeSpan(losses_)));
  }

  const std::unique_ptr<engine::Engine> engine_;
  const std::unique_ptr<engine::Model> model_;
  const std::unique_ptr<engine::ResidentRows> rows_;
  const engine::MovingSet moving_;
  std::vector<float> losses_;
};

// Asks for a stored answer 50 times a second for as long as it lives. A question that is due while
// the one before is not answered is asked right after it.
class Asker {
 public:
  Asker(const std::string& server, v1::AttributeRequest request)
      : client_({.server = server}), request_(std::move(request)) {
    OrDie(client_.Attribute(request_));  // from now on the answer is stored
    thread_ = std::thread([this] { Loop(); });
  }
  ~Asker() {
    stop_ = true;
    thread_.join();
  }
  int64_t answers() const { return answers_; }

 private:
  void Loop() {
    for (Clock::time_point due = Clock::now(); !stop_; due += kBetweenQuestions) {
      std::this_thread::sleep_until(due);
      if (OrDie(client_.Attribute(request_)).rows_evaluated() != 0) Die("an answer was not stored");
      ++answers_;
    }
  }

  Client client_;
  const v1::AttributeRequest request_;
  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> answers_ = 0;
  std::thread thread_;
};

struct DaemonSampler {
  Client client;
  std::string server;
  std::string checkpoint;
  std::string dataset;
  v1::AttributeRequest question;

  struct Outcome {
    double draws_per_second = 0;
    double answers_per_second = 0;
    engine::ExecutionPlan plan;
  };
  Outcome Run(uint64_t seed, bool ask) {
    v1::CreatePosteriorRequest request;
    request.set_checkpoint(checkpoint);
    request.set_dataset(dataset);
    v1::SamplerSettings& settings = *request.mutable_settings();
    settings.set_algorithm(v1::SGLD);
    settings.set_step_size(kStepSize);
    settings.set_nbeta(kNbeta);
    settings.set_gamma(kGamma);
    settings.set_chains(kChains);
    settings.set_draws_per_chain(kDraws);
    settings.set_steps_between_draws(kStepsBetweenDraws);
    settings.set_batch_size(kBatch);
    settings.set_seed(seed);
    std::optional<Asker> asker;
    if (ask) asker.emplace(server, question);
    const auto started = OrDie(client.CreatePosterior(request));
    std::optional<Clock::time_point> first_draw;
    int64_t answers = 0;
    const auto see = [&](const v1::WatchOperationResponse& change) {
      v1::PosteriorProgress progress;
      change.operation().metadata().UnpackTo(&progress);
      if (first_draw || progress.draws_done() == 0) return;
      if (progress.draws_done() != kChains) Die("the first draw was missed; is the name known?");
      first_draw = Clock::now();
      if (asker) answers = asker->answers();
    };
    const auto ended = OrDie(client.WatchOperation(started.name(), 0, see));
    if (!first_draw) Die("the posterior is known already: the data directory is not a fresh copy");
    Outcome outcome{.draws_per_second = DrawsPerSecond(*first_draw)};
    if (asker) {
      const double answered = static_cast<double>(asker->answers() - answers);
      outcome.answers_per_second = answered / SecondsSince(*first_draw);
    }
    const auto made = OrDie(bif::client::OperationResult<v1::Posterior>(ended));
    if (made.draws_per_chain() != kDraws) Die("not all draws were taken");
    outcome.plan = PlanOf(made);
    return outcome;
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 8) {
    Die("usage: sampling_benchmark SERVER CHECKPOINT TRAINING_DATASET PROGRAM_FILE POSTERIOR "
        "QUERY_DATASET ROW");
  }
  DaemonSampler daemon{.client = Client({.server = argv[1]}),
                       .server = argv[1],
                       .checkpoint = argv[2],
                       .dataset = argv[3]};
  daemon.question.set_posterior(argv[5]);
  daemon.question.mutable_queries()->set_dataset(argv[6]);
  daemon.question.mutable_queries()->add_sample_ids(argv[7]);
  daemon.question.set_top_k(10);
  BareSampler bare_sampler(argv[4], Download(daemon.client, argv[3]));

  double bare = 0, idle = 0, asked = 0;
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t seed = 1000 + 2 * static_cast<uint64_t>(round);
    const DaemonSampler::Outcome alone = daemon.Run(seed, /*ask=*/false);
    const double without = bare_sampler.Run(alone.plan, seed);
    const DaemonSampler::Outcome busy = daemon.Run(seed + 1, /*ask=*/true);
    std::fprintf(stderr,
                 "  draws a second: bare %.3f, idle daemon %.3f, with %.1f stored answers a second "
                 "%.3f (%s)\n",
                 without, alone.draws_per_second, busy.answers_per_second, busy.draws_per_second,
                 alone.plan.ToString().c_str());
    bare = std::max(bare, without);
    idle = std::max(idle, alone.draws_per_second);
    asked = std::max(asked, busy.draws_per_second);
  }
  std::printf("sampling_bare_draws_per_second %.4f 1/s\n", bare);
  std::printf("sampling_idle_draws_per_second %.4f 1/s\n", idle);
  std::printf("sampling_50rps_draws_per_second %.4f 1/s\n", asked);
  std::printf("sampling_loss_idle_pct %.2f %%\n", 100 * (1 - idle / bare));
  std::printf("sampling_loss_50rps_pct %.2f %%\n", 100 * (1 - asked / bare));
  return 0;
}
