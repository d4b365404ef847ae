// Tangents of chains: against recursions and laws in closed form, against differences of losses,
// and one way of computing them against another.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "src/base/status.h"
#include "src/engine/torch/test_linear_model.h"
#include "src/engine/torch/test_programs.h"

namespace bif::engine {
namespace {

using ::testing::Each;
using testing::FloatColumn;
using ::testing::HasSubstr;
using testing::kA;
using testing::kAnchor;
using testing::kRows;
using testing::kY;
using testing::LinearPosterior;
using testing::LoadLanguageModel;
using testing::LoadTestModel;
using testing::OkOrDie;
using testing::Product;
using testing::RandomImages;
using testing::RandomSequences;
using testing::ValueOrDie;
using testing::Vector;
using Floats = std::vector<float>;

MovingSet AllOf(const Model& model, const ParameterFilter& filter = {}) {
  return ValueOrDie(SelectParameters(model.info().parameters, filter));
}

SamplerSettings Settings(Algorithm algorithm, uint32_t batch_size) {
  SamplerSettings settings;
  settings.algorithm = algorithm;
  settings.step_size = algorithm == Algorithm::kSgld ? 1e-3 : 1e-4;
  settings.nbeta = 30;
  settings.gamma = 100;
  settings.batch_size = batch_size;
  settings.chains = 3;
  settings.seed = 77;
  return settings;
}

// A model with rows, and what a stretch of it needs.
struct Subject {
  std::unique_ptr<Model> model;
  std::unique_ptr<ResidentRows> train;
  std::unique_ptr<ResidentRows> queries;
  SamplerSettings settings;
  ExecutionPlan plan;
  MovingSet moving;

  std::unique_ptr<ChainGroup> Chains(const std::vector<ChainSnapshot>& snapshots = {},
                                     uint32_t first = 0, uint32_t count = 1) const {
    return ValueOrDie(model->StartChains(settings, moving, plan, *train, first, count, snapshots));
  }
  ChainSnapshot Anchor(uint32_t chain = 0) const {
    return ValueOrDie(Chains({}, chain)->Snapshot(0));
  }
  std::unique_ptr<TangentStretch> Tangents(const ChainSnapshot& from,
                                           const TangentPlan& tangent_plan,
                                           const Observable& observable = {},
                                           const Floats& tangents = {},
                                           const ResidentRows* of = nullptr) const {
    return ValueOrDie(model->StartTangents(settings, moving, plan, tangent_plan, *train, from,
                                           of == nullptr ? *queries : *of, observable, tangents));
  }
  TangentPlan Check() const { return ValueOrDie(model->CheckTangents(moving, plan, *train)); }
  Floats Observe(const Floats& delta, const ResidentRows& rows,
                 const Observable& observable = {}) const {
    Floats values(static_cast<size_t>(rows.rows()));
    OkOrDie(model->Observe(moving, {delta}, rows, 0, rows.rows(), observable, plan,
                           absl::MakeSpan(values)));
    return values;
  }
  size_t elements() const { return static_cast<size_t>(moving.elements); }
};

Floats Delta(TangentStretch& stretch, size_t elements) {
  Floats delta(elements);
  OkOrDie(stretch.ReadDelta(absl::MakeSpan(delta)));
  return delta;
}
Floats Delta(ChainGroup& group, size_t position, size_t elements) {
  Floats delta(elements);
  OkOrDie(group.ReadDelta(position, absl::MakeSpan(delta)));
  return delta;
}
Floats TangentsOf(TangentStretch& stretch, size_t elements) {
  Floats tangents(static_cast<size_t>(stretch.queries()) * elements);
  OkOrDie(stretch.ReadTangents(absl::MakeSpan(tangents)));
  return tangents;
}
Floats SlopesOf(TangentStretch& stretch, const ResidentRows& rows) {
  Floats slopes(static_cast<size_t>(stretch.queries() * rows.rows()));
  OkOrDie(stretch.Slopes(rows, 0, rows.rows(), absl::MakeSpan(slopes)));
  return slopes;
}
TangentReport Advance(TangentStretch& stretch, uint64_t steps) {
  TangentReport report = ValueOrDie(stretch.Advance(steps));
  EXPECT_FALSE(report.diverged) << report.reason;
  return report;
}

double Norm(const Floats& values) {
  double sum = 0;
  for (const float value : values) sum += double{value} * value;
  return std::sqrt(sum);
}

// |a - b| <= tolerance |b|, as vectors.
void ExpectClose(const Floats& got, const Floats& want, double tolerance, const std::string& what) {
  ASSERT_EQ(got.size(), want.size()) << what;
  Floats difference(got.size());
  for (size_t i = 0; i < got.size(); ++i) difference[i] = got[i] - want[i];
  EXPECT_GT(Norm(want), 0) << what;
  EXPECT_LE(Norm(difference), tolerance * Norm(want)) << what;
}

Subject ImageSubject(const std::string& name, int64_t train_rows, int64_t query_rows,
                     Algorithm algorithm = Algorithm::kSgld) {
  const bool small = name == "small_mlp";
  Subject subject;
  subject.model = LoadTestModel(name, "image", LossKind::kCrossEntropy, {0.01f}, {-0.5f});
  const std::vector<int64_t> shape =
      small ? std::vector<int64_t>{1, 4, 4} : std::vector<int64_t>{3, 16, 16};
  const int64_t classes = small ? 3 : 5;
  subject.train = ValueOrDie(subject.model->Upload(RandomImages(train_rows, shape, classes)));
  subject.queries = ValueOrDie(subject.model->Upload(RandomImages(query_rows, shape, classes)));
  subject.settings = Settings(algorithm, 8);
  subject.plan.trace_batch_rows = 16;
  subject.moving = AllOf(*subject.model);
  return subject;
}

Subject LanguageSubject(const std::string& name, const SequenceSpec& spec) {
  Subject subject;
  subject.model = LoadLanguageModel(name, spec);
  subject.train = ValueOrDie(subject.model->Upload(RandomSequences(12, 5, 11, 32)));
  subject.queries = ValueOrDie(subject.model->Upload(RandomSequences(3, 6, 11, 32)));
  subject.settings = Settings(Algorithm::kSgld, 4);
  subject.plan.trace_batch_rows = 8;
  subject.plan.trace_batch_tokens = 40;
  subject.plan.step_batch_rows = 3;
  subject.moving = AllOf(*subject.model);
  return subject;
}

SampleBatch Features(const std::vector<std::vector<float>>& rows, const Floats& targets = {}) {
  Floats features;
  for (const std::vector<float>& row : rows)
    features.insert(features.end(), row.begin(), row.end());
  SampleBatch batch;
  batch.rows = static_cast<int64_t>(rows.size());
  batch.columns = {FloatColumn("features", {static_cast<int64_t>(rows[0].size())}, features)};
  if (!targets.empty()) batch.columns.push_back(FloatColumn("target", {1}, targets));
  return batch;
}

// --- The chain ---------------------------------------------------------------------------------

TEST(TangentsOfChains, AStretchReplaysItsChainBitForBit) {
  for (const Algorithm algorithm : {Algorithm::kSgld, Algorithm::kRmspropSgld}) {
    for (const char* const kind : {"philox", "devinterp", "replay", "box", "bf16"}) {
      Subject subject = ImageSubject("small_mlp", 40, 2, algorithm);
      const std::string name = kind;
      if (name == "devinterp") subject.settings.random_streams = RandomStreams::kDevinterp;
      if (name == "box") subject.settings.box = 0.02;
      if (name == "bf16") subject.plan.compute = ComputeType::kBf16;
      if (name == "replay") {
        subject.settings.batch_order = BatchOrder::kReplay;
        subject.settings.replay_batches = {{1, 5, 3}, {0, 39, 7}};
      }
      const auto chains = subject.Chains({}, 0, 3);
      ValueOrDie(chains->Advance(4));
      const ChainSnapshot from = ValueOrDie(chains->Snapshot(2));
      const auto stretch = subject.Tangents(from, {});
      EXPECT_EQ(stretch->step(), 4u);
      for (int step = 0; step < 7; ++step) {  // beyond an epoch of five batches
        ValueOrDie(chains->Advance(1));
        Advance(*stretch, 1);
        EXPECT_EQ(Delta(*stretch, subject.elements()), Delta(*chains, 2, subject.elements()))
            << name << step;
      }
      EXPECT_EQ(stretch->step(), 11u);
    }
  }
}

TEST(TangentsOfChains, AStretchOfSequencesReplaysItsChainBitForBit) {
  const Subject subject = LanguageSubject("llama", {});
  const auto chains = subject.Chains({}, 0, 2);
  ValueOrDie(chains->Advance(2));
  const auto stretch = subject.Tangents(ValueOrDie(chains->Snapshot(1)), {.plain_attention = true});
  ValueOrDie(chains->Advance(5));
  Advance(*stretch, 5);
  EXPECT_EQ(Delta(*stretch, subject.elements()), Delta(*chains, 1, subject.elements()));
}

TEST(TangentsOfChains, AStretchOfBatchedChainsReplaysThemToRounding) {
  Subject subject = ImageSubject("small_mlp", 40, 2);
  subject.plan.batched_chains = true;
  const auto chains = subject.Chains({}, 0, 3);
  ValueOrDie(chains->Advance(4));
  const auto stretch = subject.Tangents(ValueOrDie(chains->Snapshot(1)), {});
  ValueOrDie(chains->Advance(6));
  Advance(*stretch, 6);
  ExpectClose(Delta(*stretch, subject.elements()), Delta(*chains, 1, subject.elements()), 1e-5,
              "batched");
}

TEST(TangentsOfChains, AStretchGoesOnFromTangentsThatWereReadWithoutALostBit) {
  for (const Algorithm algorithm : {Algorithm::kSgld, Algorithm::kRmspropSgld}) {
    const Subject subject = ImageSubject("small_mlp", 40, 2, algorithm);
    const auto chains = subject.Chains();
    const auto whole = subject.Tangents(ValueOrDie(chains->Snapshot(0)), {});
    const auto first = subject.Tangents(ValueOrDie(chains->Snapshot(0)), {});
    Advance(*whole, 9);
    Advance(*first, 4);
    ValueOrDie(chains->Advance(4));
    const auto second = subject.Tangents(ValueOrDie(chains->Snapshot(0)), {}, {},
                                         TangentsOf(*first, subject.elements()));
    Advance(*second, 5);
    EXPECT_EQ(TangentsOf(*second, subject.elements()), TangentsOf(*whole, subject.elements()));
    EXPECT_EQ(SlopesOf(*second, *subject.train), SlopesOf(*whole, *subject.train));
  }
}

// --- Closed forms ------------------------------------------------------------------------------

// The linear model with squared error: l_r = (a_r . w - y_r)^2 / 2, whose Hessian is a_r a_r^T.
Subject LinearSubject(const std::vector<int>& query_rows) {
  const auto rows_of = [](const std::vector<int>& rows) {
    std::vector<std::vector<float>> features;
    Floats targets;
    for (const int r : rows) {
      features.emplace_back(kA[r], kA[r] + 3);
      targets.push_back(static_cast<float>(kY[r]));
    }
    return Features(features, targets);
  };
  Subject subject;
  subject.model = LoadTestModel("linear", "features", LossKind::kSquaredError);
  subject.train = ValueOrDie(subject.model->Upload(rows_of({0, 1, 2, 3, 4, 5})));
  subject.queries = ValueOrDie(subject.model->Upload(rows_of(query_rows)));
  subject.moving = AllOf(*subject.model);
  subject.settings = Settings(Algorithm::kSgld, 2);
  subject.settings.nbeta = 40;
  subject.settings.gamma = 8;
  subject.settings.weight_decay = 0.7;
  subject.settings.step_size = 0.01;
  return subject;
}

double Residual(int r, const Vector& w) {
  return kA[r][0] * w[0] + kA[r][1] * w[1] + kA[r][2] * w[2] - kY[r];
}

// The recursion of engine.h in double, along the weights that the chain has.
TEST(TangentsOfChains, TangentsAndSlopesOfALinearModelFollowTheRecursion) {
  const std::vector<std::vector<uint32_t>> batches = {{0, 3}, {1, 2}, {5, 4}, {2, 0}};
  const std::vector<int> queries = {4, 1};
  for (const Algorithm algorithm : {Algorithm::kSgld, Algorithm::kRmspropSgld}) {
    Subject subject = LinearSubject(queries);
    SamplerSettings& settings = subject.settings;
    settings.algorithm = algorithm;
    settings.batch_order = BatchOrder::kReplay;
    settings.replay_batches = batches;
    const auto chain = subject.Chains();
    const auto stretch = subject.Tangents(ValueOrDie(chain->Snapshot(0)), {});
    std::vector<Vector> v(queries.size(), Vector{});
    for (size_t step = 0; step < 20; ++step) {
      const ChainSnapshot before = ValueOrDie(chain->Snapshot(0));
      ValueOrDie(chain->Advance(1));
      const ChainSnapshot after = ValueOrDie(chain->Snapshot(0));
      const Vector w = {before.weights[0], before.weights[1], before.weights[2]};
      for (size_t q = 0; q < queries.size(); ++q) {
        Vector drift{};
        for (const uint32_t r : batches[step % batches.size()]) {
          const double along = kA[r][0] * v[q][0] + kA[r][1] * v[q][1] + kA[r][2] * v[q][2];
          for (int i = 0; i < 3; ++i) drift[i] += settings.nbeta / 2 * along * kA[r][i];
        }
        for (int i = 0; i < 3; ++i) {
          drift[i] += (settings.weight_decay + settings.gamma) * v[q][i] +
                      Residual(queries[q], w) * kA[queries[q]][i];
        }
        for (int i = 0; i < 3; ++i) {
          const double g =
              algorithm == Algorithm::kSgld
                  ? 1
                  : 1 / (std::sqrt(double{after.second_moments[static_cast<size_t>(i)]}) +
                         settings.rms_delta);
          v[q][i] -= settings.step_size / 2 * g * drift[i];
        }
      }
      Advance(*stretch, 1);
    }
    const Floats tangents = TangentsOf(*stretch, 3), slopes = SlopesOf(*stretch, *subject.train);
    const ChainSnapshot now = ValueOrDie(chain->Snapshot(0));
    const Vector w = {now.weights[0], now.weights[1], now.weights[2]};
    for (size_t q = 0; q < queries.size(); ++q) {
      double squares = 0;
      for (size_t i = 0; i < 3; ++i) {
        EXPECT_NEAR(tangents[q * 3 + i], v[q][i], 2e-6) << q << i;
        squares += v[q][i] * v[q][i];
      }
      EXPECT_NEAR(ValueOrDie(stretch->Advance(0)).norms[q], std::sqrt(squares), 3e-6);
      for (int r = 0; r < kRows; ++r) {
        const double along = kA[r][0] * v[q][0] + kA[r][1] * v[q][1] + kA[r][2] * v[q][2];
        EXPECT_NEAR(slopes[q * kRows + static_cast<size_t>(r)], Residual(r, w) * along, 3e-6);
      }
    }
  }
}

// A noiseless full-batch chain in double with delta * phi added to its potential: where a box stops
// elements for some steps, and weight decay pulls.
TEST(TangentsOfChains, TheTangentIsTheDerivativeOfTheWholeStretch) {
  for (const std::optional<double> box : {std::optional<double>(), std::optional<double>(0.05)}) {
    Subject subject = LinearSubject({3});
    SamplerSettings& settings = subject.settings;
    settings.step_size = 0.002;
    settings.batch_size = kRows;
    settings.noise_scale = 0;
    settings.box = box;
    constexpr int kSteps = 15;
    int clamped = 0, free = 0;
    const auto end_of = [&](double delta) {
      Vector w = kAnchor;
      for (int step = 0; step < kSteps; ++step) {
        Vector drift{};
        for (int r = 0; r < kRows; ++r) {
          const double weight = settings.nbeta / kRows + (r == 3 ? delta : 0);
          for (int i = 0; i < 3; ++i) drift[i] += weight * Residual(r, w) * kA[r][i];
        }
        for (int i = 0; i < 3; ++i) {
          drift[i] += settings.weight_decay * w[i] + settings.gamma * (w[i] - kAnchor[i]);
        }
        for (int i = 0; i < 3; ++i) {
          const double moved = w[i] - settings.step_size / 2 * drift[i];
          w[i] = box ? std::clamp(moved, kAnchor[i] - *box, kAnchor[i] + *box) : moved;
          ++(w[i] == moved ? free : clamped);
        }
      }
      return w;
    };
    const Vector above = end_of(1e-4), below = end_of(-1e-4);
    EXPECT_GT(free, 0);
    EXPECT_EQ(clamped > 0, box.has_value());
    const auto stretch = subject.Tangents(subject.Anchor(), {});
    Advance(*stretch, kSteps);
    const Floats tangents = TangentsOf(*stretch, 3);
    for (size_t i = 0; i < 3; ++i)
      EXPECT_NEAR(tangents[i], (above[i] - below[i]) / 2e-4, 1e-6) << i;
  }
}

double Dot(const Vector& a, const Vector& b) { return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]; }

// Full-batch SGLD on the linear model is stationary as N(mu, C), C = (H - eps/4 H^2)^-1, also where
// delta (a_q . w - y_q)^2 / 2 is added to the potential. The mean slope estimates the derivative of
// E l_i = ((a_i . mu - y_i)^2 + a_i^T C a_i) / 2 in delta:
//   r_i a_i . dmu + a_i^T dC a_i / 2,  dmu = -H^-1 a_q r_q,  dC = -C (dH - eps/4 (dH H + H dH)) C,
// with dH = a_q a_q^T. As eps tends to 0 that is -(r_i r_q s + s^2/2), s = a_i^T H^-1 a_q: minus
// the covariance of the two losses.
TEST(TangentsOfChains, MeanSlopesAreTheCovarianceOfTheGaussianPosterior) {
  const std::vector<int> queries = {0, 2, 4};
  Subject subject = LinearSubject(queries);
  SamplerSettings& settings = subject.settings;
  settings.batch_size = kRows;
  settings.weight_decay = 0;
  settings.step_size = 0.02;
  const double eps = settings.step_size;

  const LinearPosterior posterior(settings);
  const auto wanted = [&](int i, int q) {
    const Vector ai = {kA[i][0], kA[i][1], kA[i][2]}, aq = {kA[q][0], kA[q][1], kA[q][2]};
    const Vector ca = Product(posterior.covariance, ai), hq = Product(posterior.h, aq);
    const double change = Dot(ca, aq) * (Dot(ca, aq) - eps / 2 * Dot(ca, hq));
    return -Residual(i, posterior.mu) * Residual(q, posterior.mu) *
               Dot(ai, Product(posterior.h_inverse, aq)) -
           change / 2;
  };

  constexpr int kChains = 12, kDraws = 150;
  const size_t pairs = queries.size() * kRows;
  std::vector<std::vector<double>> means(kChains, std::vector<double>(pairs, 0.0));
  for (int chain = 0; chain < kChains; ++chain) {
    const auto stretch = subject.Tangents(subject.Anchor(static_cast<uint32_t>(chain)), {});
    Advance(*stretch, 60);  // five relaxation times
    for (int draw = 0; draw < kDraws; ++draw) {
      Advance(*stretch, 3);
      const Floats slopes = SlopesOf(*stretch, *subject.train);
      for (size_t p = 0; p < pairs; ++p) means[chain][p] += double{slopes[p]} / kDraws;
    }
  }
  for (size_t p = 0; p < pairs; ++p) {
    double mean = 0, squares = 0;
    for (const auto& of_chain : means) mean += of_chain[p] / kChains;
    for (const auto& of_chain : means) squares += (of_chain[p] - mean) * (of_chain[p] - mean);
    const double error = std::sqrt(squares / (kChains - 1) / kChains);
    const int q = queries[p / kRows], i = static_cast<int>(p % kRows);
    EXPECT_NEAR(mean, wanted(i, q), 4 * error) << q << i;
    EXPECT_LT(error, 0.05 * std::sqrt(wanted(i, i) * wanted(q, q))) << q << i;  // it says something
  }
}

// --- Programs ----------------------------------------------------------------------------------

// Exact derivatives against central differences in double: of first gradients for the tangents, of
// losses for the slopes.
void ExpectExactEqualsDifferences(const Subject& subject, const std::string& name) {
  const TangentPlan plan = subject.Check();
  EXPECT_EQ(plan.hessian, DerivativeMethod::kExact) << name << plan.reason;
  EXPECT_EQ(plan.slopes, DerivativeMethod::kExact) << name << plan.reason;
  EXPECT_EQ(plan.reason, "") << name;
  TangentPlan differences = plan;
  differences.hessian = differences.slopes = DerivativeMethod::kDifferences;
  const auto exact = subject.Tangents(subject.Anchor(), plan),
             rough = subject.Tangents(subject.Anchor(), differences);
  Advance(*exact, 6);
  Advance(*rough, 6);
  ExpectClose(TangentsOf(*exact, subject.elements()), TangentsOf(*rough, subject.elements()), 1e-4,
              name + " tangents");
  ExpectClose(SlopesOf(*exact, *subject.train), SlopesOf(*rough, *subject.train), 1e-4,
              name + " slopes");
}

TEST(TangentsOfPrograms, ExactDerivativesAreThoseOfDifferencesInDouble) {
  for (const Algorithm algorithm : {Algorithm::kSgld, Algorithm::kRmspropSgld})
    ExpectExactEqualsDifferences(ImageSubject("small_mlp", 24, 3, algorithm), "small_mlp");
  ExpectExactEqualsDifferences(ImageSubject("small_resnet", 24, 3), "small_resnet");
  ExpectExactEqualsDifferences(ImageSubject("vit", 24, 3), "vit");
  for (const char* const name : {"llama", "qwen2", "gpt2", "neox", "without_head"})
    ExpectExactEqualsDifferences(LanguageSubject(name, {}), name);
  ExpectExactEqualsDifferences(LanguageSubject("llama", {TokenReduction::kSum, "", 9}), "sums");
}

TEST(TangentsOfPrograms, AttentionIsTakenAsPlainProductsWhereTheKernelHasNoSecondDerivative) {
  for (const bool images : {true, false}) {
    const Subject subject = images ? ImageSubject("vit", 24, 2) : LanguageSubject("llama", {});
    EXPECT_FALSE(subject.plan.plain_attention);
    EXPECT_TRUE(subject.Check().plain_attention);
    const auto fused = subject.Tangents(subject.Anchor(), {.plain_attention = false});
    const absl::Status status = fused->Advance(2).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
    EXPECT_THAT(status.message(), HasSubstr("attention"));
  }
  EXPECT_FALSE(ImageSubject("small_resnet", 24, 2).Check().plain_attention);
}

// An independent view of slopes: losses through Observe, moved along the tangent.
TEST(TangentsOfPrograms, SlopesAreDifferencesOfObservedLosses) {
  std::vector<Subject> subjects;
  subjects.push_back(ImageSubject("vit", 20, 2));  // smooth: no kinks within the step
  subjects.push_back(LanguageSubject("llama", {}));
  subjects.push_back(LanguageSubject("llama", {TokenReduction::kSum, "", 0}));
  for (const Subject& subject : subjects) {
    const auto stretch = subject.Tangents(subject.Anchor(), subject.Check());
    Advance(*stretch, 5);
    const Floats tangents = TangentsOf(*stretch, subject.elements());
    const Floats delta = Delta(*stretch, subject.elements());
    const Floats slopes = SlopesOf(*stretch, *subject.train);
    const auto rows = static_cast<size_t>(subject.train->rows());
    for (size_t q = 0; q < static_cast<size_t>(stretch->queries()); ++q) {
      const Floats v(tangents.begin() + static_cast<ptrdiff_t>(q * subject.elements()),
                     tangents.begin() + static_cast<ptrdiff_t>((q + 1) * subject.elements()));
      const double step = 0.005 / Norm(v);
      Floats above = delta, below = delta, want(rows);
      for (size_t i = 0; i < v.size(); ++i) {
        above[i] += static_cast<float>(step * v[i]);
        below[i] -= static_cast<float>(step * v[i]);
      }
      const Floats high = subject.Observe(above, *subject.train),
                   low = subject.Observe(below, *subject.train);
      for (size_t r = 0; r < rows; ++r)
        want[r] = static_cast<float>((double{high[r]} - low[r]) / (2 * step));
      ExpectClose(Floats(slopes.begin() + static_cast<ptrdiff_t>(q * rows),
                         slopes.begin() + static_cast<ptrdiff_t>((q + 1) * rows)),
                  want, 5e-3, "slopes of query");
      // A part of the rows, from the middle.
      Floats part(static_cast<size_t>(stretch->queries()) * 5);
      OkOrDie(stretch->Slopes(*subject.train, 3, 5, absl::MakeSpan(part)));
      for (size_t r = 0; r < 5; ++r)
        EXPECT_NEAR(part[q * 5 + r], slopes[q * rows + 3 + r], 1e-5 * Norm(slopes));
    }
  }
}

// After one step v is -eps/2 grad phi, so the slope of phi along any direction is known from it.
TEST(TangentsOfPrograms, EveryObservableDrivesTheTangentByItsGradient) {
  using Kind = ObservableKind;
  std::vector<std::pair<Subject, std::vector<Observable>>> cases;
  const std::vector<Observable> of_logits = {
      {.kind = Kind::kLoss}, {.kind = Kind::kCorrectProbability}, {.kind = Kind::kMargin}};
  cases.emplace_back(ImageSubject("small_mlp", 24, 3), of_logits);
  cases.back().second.push_back({.kind = Kind::kLogit, .logit_index = 2});
  cases.back().second.push_back({Kind::kLogitDifference, 2, 1});
  for (const TokenReduction reduction : {TokenReduction::kMean, TokenReduction::kSum}) {
    cases.emplace_back(LanguageSubject("gpt2", {reduction, "", 0}), of_logits);
    std::vector<Observable>& of_tokens = cases.back().second;
    of_tokens.push_back({.kind = Kind::kLogit, .logit_index = 7, .position = 3});
    of_tokens.push_back({Kind::kLogitDifference, 7, 9, 0, 0, 2});
    of_tokens.push_back({.kind = Kind::kSpanLoss, .span_begin = 2, .span_end = 5});
    of_tokens.push_back({.kind = Kind::kTokenProbability, .position = 4});
  }
  for (const auto& [subject, observables] : cases) {
    for (const Observable& observable : observables) {
      const auto stretch =
          subject.Tangents(subject.Anchor(), {.plain_attention = true}, observable);
      Advance(*stretch, 1);
      const Floats tangents = TangentsOf(*stretch, subject.elements());
      const auto queries = static_cast<size_t>(stretch->queries());
      for (size_t q = 0; q < queries; ++q) {
        const auto first = tangents.begin() + static_cast<ptrdiff_t>(q * subject.elements());
        const Floats v(first, first + static_cast<ptrdiff_t>(subject.elements()));
        ASSERT_GT(Norm(v), 0);
        const double step = 0.003 / Norm(v);
        Floats above = v, below = v;
        for (size_t i = 0; i < v.size(); ++i) {
          above[i] = static_cast<float>(step * v[i]);
          below[i] = -above[i];
        }
        const double slope = (double{subject.Observe(above, *subject.queries, observable)[q]} -
                              subject.Observe(below, *subject.queries, observable)[q]) /
                             (2 * step);
        const double want = -Norm(v) * Norm(v) / (subject.settings.step_size / 2);
        EXPECT_NEAR(slope, want, 5e-3 * std::abs(want)) << static_cast<int>(observable.kind) << q;
      }
    }
  }
}

TEST(TangentsOfPrograms, SeveralQueriesAreThoseOfOneAtATime) {
  for (const char* const name : {"small_mlp", "small_resnet", "llama"}) {
    const std::string program = name;
    const bool tokens = program == "llama";
    Subject subject = tokens ? LanguageSubject(name, {}) : ImageSubject(name, 24, 1);
    const int64_t count = tokens ? 3 : 11;  // more than fit into one batched pass
    const SampleBatch batch =
        tokens ? RandomSequences(count, 6, 11, 32)
               : RandomImages(count,
                              program == "small_mlp" ? std::vector<int64_t>{1, 4, 4}
                                                     : std::vector<int64_t>{3, 16, 16},
                              program == "small_mlp" ? 3 : 5);
    subject.queries = ValueOrDie(subject.model->Upload(batch));
    const TangentPlan plan{.plain_attention = true};
    const auto together = subject.Tangents(subject.Anchor(), plan);
    Advance(*together, 4);
    const Floats tangents = TangentsOf(*together, subject.elements());
    const Floats slopes = SlopesOf(*together, *subject.train);
    for (const int64_t q : {int64_t{0}, count - 1}) {
      SampleBatch one;
      one.rows = 1;
      for (const Column& column : batch.columns) {
        const absl::Span<const std::byte> row = column.Row(q);
        Column single{column.spec, {}};
        if (column.spec.variable()) {
          single.Append(row);
        } else {
          single.data.assign(row.begin(), row.end());
        }
        one.columns.push_back(std::move(single));
      }
      const auto rows = ValueOrDie(subject.model->Upload(one));
      const auto alone = subject.Tangents(subject.Anchor(), plan, {}, {}, rows.get());
      Advance(*alone, 4);
      const auto part = [q](const Floats& all, size_t each) {
        const auto first = all.begin() + static_cast<ptrdiff_t>(static_cast<size_t>(q) * each);
        return Floats(first, first + static_cast<ptrdiff_t>(each));
      };
      ExpectClose(TangentsOf(*alone, subject.elements()), part(tangents, subject.elements()), 1e-5,
                  program);
      ExpectClose(SlopesOf(*alone, *subject.train),
                  part(slopes, static_cast<size_t>(subject.train->rows())), 1e-5, program);
    }
  }
}

TEST(TangentsOfPrograms, OnlyMovingElementsHaveTangents) {
  Subject subject = ImageSubject("small_mlp", 24, 2);
  subject.moving = AllOf(*subject.model, {{"head.*"}, {"*.bias"}});
  ASSERT_EQ(subject.elements(), 18u);
  ExpectExactEqualsDifferences(subject, "filtered");
}

TEST(TangentsOfPrograms, PlansInBf16HaveTangentsInFp32) {
  Subject subject = ImageSubject("small_mlp", 24, 2);
  subject.settings.noise_scale = 0;
  const auto full = subject.Tangents(subject.Anchor(), {});
  Advance(*full, 5);
  subject.plan.compute = ComputeType::kBf16;
  const auto half = subject.Tangents(subject.Anchor(), {});
  Advance(*half, 5);
  // The chains differ in the third digit of their gradients, and hardly in their weights.
  ExpectClose(TangentsOf(*half, subject.elements()), TangentsOf(*full, subject.elements()), 1e-3,
              "bf16");
}

// --- Bad luck ----------------------------------------------------------------------------------

TEST(TangentsThatGrow, ASaddleThatGammaDoesNotOutweighIsFoundAndOneThatItDoesIsNot) {
  Subject subject;
  subject.model = LoadTestModel("saddle", "features", LossKind::kProgramLosses);
  subject.train = ValueOrDie(subject.model->Upload(Features({{1, 0}, {1, 0}})));
  subject.queries = ValueOrDie(subject.model->Upload(Features({{0, 1}, {0, 0}})));
  subject.moving = AllOf(*subject.model);
  subject.settings = Settings(Algorithm::kSgld, 2);
  subject.settings.noise_scale = 0;  // the chain stays on the saddle
  subject.settings.step_size = 0.02;
  subject.settings.nbeta = 30;  // curvature -30
  for (const Algorithm algorithm : {Algorithm::kSgld, Algorithm::kRmspropSgld}) {
    subject.settings.algorithm = algorithm;
    subject.settings.rms_delta = 1;  // G stays 1: the gradient is 0
    for (const double gamma : {20.0, 29.0, 31.0, 100.0}) {
      subject.settings.gamma = gamma;
      const auto stretch = subject.Tangents(subject.Anchor(), {});
      const TangentReport report = ValueOrDie(stretch->Advance(1500));
      EXPECT_EQ(report.diverged, gamma < 30) << gamma << report.reason;
      Floats slopes(4);
      const absl::Status status = stretch->Slopes(*subject.train, 0, 2, absl::MakeSpan(slopes));
      if (gamma < 30) {
        EXPECT_THAT(report.reason, HasSubstr("query 0"));
        EXPECT_EQ(report.query, 0);
        EXPECT_THAT(report.reason, HasSubstr("gamma"));
        EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
        EXPECT_LT(stretch->step(), 1500u);
        const uint64_t stopped = stretch->step();
        EXPECT_TRUE(ValueOrDie(stretch->Advance(5)).diverged);
        EXPECT_EQ(stretch->step(), stopped);
      } else {
        EXPECT_TRUE(status.ok()) << status;
        EXPECT_NEAR(TangentsOf(*stretch, 1)[0], -1 / (gamma - 30), 1e-4 / (gamma - 30));
      }
    }
  }
}

TEST(TangentsThatGrow, AChainThatLeavesItsBasinEndsTheStretch) {
  Subject subject = ImageSubject("small_mlp", 40, 2);
  subject.settings.step_size = 1;  // eps * gamma / 2 = 50: every step multiplies the distance
  const auto stretch = subject.Tangents(subject.Anchor(), {});
  const TangentReport report = ValueOrDie(stretch->Advance(200));
  EXPECT_TRUE(report.diverged);
  EXPECT_THAT(report.reason, HasSubstr("step_size"));
  EXPECT_EQ(report.query, -1) << "it is nobody's tangent";
  EXPECT_EQ(report.norms.size(), 2u);
}

TEST(TangentsOfPrograms, AQueryWithoutAGradientHasSlopesOfZero) {
  Subject subject = LinearSubject({0});
  subject.queries =
      ValueOrDie(subject.model->Upload(Features({{0, 0, 0}, {1, 0.5f, -0.3f}}, {2.0f, 1.0f})));
  const auto stretch = subject.Tangents(subject.Anchor(), {});
  Advance(*stretch, 10);
  const Floats slopes = SlopesOf(*stretch, *subject.train);
  EXPECT_THAT(Floats(slopes.begin(), slopes.begin() + kRows), Each(0.0f));
  EXPECT_GT(Norm(slopes), 0);
}

TEST(CheckTangents, AnOperatorWithoutSecondDerivativesIsNamedAndDifferencesTakeItsPlace) {
  Subject subject;
  subject.model = LoadTestModel("distances", "features", LossKind::kCrossEntropy);
  SampleBatch batch =
      Features({{0.2f, 1, -0.4f}, {1.1f, -0.3f, 0.5f}, {-0.7f, 0.6f, 0.9f}, {0.4f, 0.1f, -1.2f}});
  batch.columns.push_back(testing::LabelColumn({0, 2, 1, 1}));
  subject.train = ValueOrDie(subject.model->Upload(batch));
  subject.queries = ValueOrDie(subject.model->Upload(batch));
  subject.moving = AllOf(*subject.model);
  subject.settings = Settings(Algorithm::kSgld, 2);
  const TangentPlan plan = subject.Check();
  EXPECT_EQ(plan.hessian, DerivativeMethod::kDifferences);
  EXPECT_EQ(plan.slopes, DerivativeMethod::kDifferences);
  EXPECT_THAT(plan.reason, HasSubstr("cdist"));
  const auto stretch = subject.Tangents(subject.Anchor(), plan);
  Advance(*stretch, 5);
  const Floats delta = Delta(*stretch, subject.elements());
  const Floats tangents = TangentsOf(*stretch, subject.elements());
  const Floats v(tangents.begin(), tangents.begin() + static_cast<ptrdiff_t>(subject.elements()));
  const double step = 0.01 / Norm(v);
  Floats above = delta, below = delta;
  for (size_t i = 0; i < v.size(); ++i) {
    above[i] += static_cast<float>(step * v[i]);
    below[i] -= static_cast<float>(step * v[i]);
  }
  const Floats high = subject.Observe(above, *subject.train),
               low = subject.Observe(below, *subject.train);
  const Floats slopes = SlopesOf(*stretch, *subject.train);
  for (size_t r = 0; r < 4; ++r) {
    EXPECT_NEAR(slopes[r], (double{high[r]} - low[r]) / (2 * step), 2e-3 * Norm(slopes)) << r;
  }
}

// A second backward pass through `detach` is wrong without saying so: only a comparison finds it.
TEST(CheckTangents, WrongSecondDerivativesAreFoundByComparison) {
  Subject subject;
  subject.model = LoadTestModel("stopped", "features", LossKind::kProgramLosses);
  subject.train = ValueOrDie(subject.model->Upload(Features({{1, 0.5f}, {-0.3f, 2}})));
  subject.queries = ValueOrDie(subject.model->Upload(Features({{1, 1}})));
  subject.moving = AllOf(*subject.model);
  subject.settings = Settings(Algorithm::kSgld, 2);
  const TangentPlan plan = subject.Check();
  EXPECT_EQ(plan.hessian, DerivativeMethod::kDifferences);
  EXPECT_THAT(plan.reason, HasSubstr("differs from central differences"));
  // The batch's gradient is mean(f) * w, element by element, its derivative mean(f); phi's gradient
  // is w, and a loss changes by 2 f w v.
  const double mean[2] = {(1 - 0.3) / 2, (0.5 + 2) / 2}, anchor[2] = {1, 2};
  const double f[2][2] = {{1, 0.5}, {-0.3, 2}};
  const auto stretch = subject.Tangents(subject.Anchor(), plan);
  double v[2] = {0, 0};
  Floats delta(2);
  for (int step = 0; step < 10; ++step) {
    delta = Delta(*stretch, 2);
    for (size_t i = 0; i < 2; ++i) {
      v[i] -= subject.settings.step_size / 2 *
              ((subject.settings.nbeta * mean[i] + subject.settings.gamma) * v[i] + anchor[i] +
               double{delta[i]});
    }
    Advance(*stretch, 1);
  }
  delta = Delta(*stretch, 2);
  const Floats tangents = TangentsOf(*stretch, 2), slopes = SlopesOf(*stretch, *subject.train);
  for (size_t i = 0; i < 2; ++i) EXPECT_NEAR(tangents[i], v[i], 1e-5 * std::abs(v[i]));
  for (size_t r = 0; r < 2; ++r) {
    double slope = 0;
    for (size_t i = 0; i < 2; ++i) slope += 2 * f[r][i] * (anchor[i] + double{delta[i]}) * v[i];
    EXPECT_NEAR(slopes[r], slope, 1e-5 * std::abs(slope));
  }
}

TEST(CheckTangents, WhereNothingWorksTheOperatorIsNamed) {
  const auto model = LoadTestModel("rounded_distances", "features", LossKind::kCrossEntropy);
  SampleBatch batch = Features({{0.2f, 1, -0.4f}, {1.1f, -0.3f, 0.5f}});
  batch.columns.push_back(testing::LabelColumn({0, 2}));
  const auto train = ValueOrDie(model->Upload(batch));
  const absl::Status status = model->CheckTangents(AllOf(*model), {}, *train).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(status.message(), HasSubstr("cdist"));
  EXPECT_THAT(status.message(), HasSubstr("export the model without"));
}

TEST(TangentsOfPrograms, WhatDoesNotFitIsRefused) {
  const Subject subject = ImageSubject("small_mlp", 24, 2);
  const ChainSnapshot from = subject.Anchor();
  const auto status = [&](const Observable& observable, const Floats& tangents) {
    return subject.model
        ->StartTangents(subject.settings, subject.moving, subject.plan, {}, *subject.train, from,
                        *subject.queries, observable, tangents)
        .status();
  };
  EXPECT_EQ(FieldPath(status({.kind = ObservableKind::kTokenLosses}, {})), "observable.kind");
  EXPECT_EQ(FieldPath(status({.kind = ObservableKind::kLogit, .logit_index = 3}, {})),
            "observable.logit_index");
  EXPECT_EQ(status({}, Floats(3)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status({}, Floats(2 * subject.elements(), NAN)).code(),
            absl::StatusCode::kInvalidArgument);
  const auto stretch = subject.Tangents(from, {});
  Floats room(48);
  EXPECT_EQ(stretch->Slopes(*subject.train, 1, 24, absl::MakeSpan(room)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(stretch->Slopes(*subject.train, 0, 20, absl::MakeSpan(room)).code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(stretch->ReadTangents(absl::MakeSpan(room)).code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace bif::engine
