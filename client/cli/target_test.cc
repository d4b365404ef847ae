// bifctl posterior create and extend with a target, and posterior llc.
#include "gmock/gmock.h"
#include "tests/support/client/bifctl_fixture.h"

namespace bif::client {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

google::longrunning::Operation Sampled() {
  v1::Posterior posterior;
  posterior.set_name("posteriors/p1");
  posterior.set_state(v1::READY);
  v1::Stopping& stopping = *posterior.mutable_stopping();
  stopping.mutable_target()->set_kind(v1::TOP_K_STABILITY);
  stopping.mutable_target()->set_value(0.8);
  stopping.mutable_target()->set_k(5);
  stopping.set_reason(v1::TARGET_MET);
  stopping.set_figure(0.82);
  stopping.set_draws_per_chain(40);
  stopping.set_explanation("The target 0.8 is met with 0.82");
  google::longrunning::Operation operation;
  operation.set_name("operations/7");
  operation.set_done(true);
  operation.mutable_response()->PackFrom(posterior);
  return operation;
}

TEST_F(BifctlTest, ATargetTakesThePlaceOfTheDraws) {
  v1::CreatePosteriorRequest seen;
  server_.create_posterior = [&](const auto& request, auto& operation) {
    seen = request;
    operation = Sampled();
    return Ok();
  };
  const Ran ran = Bifctl(
      "posterior create --checkpoint c --dataset d --preset vision --draws 300 "
      "--target-stability 0.8 --target-k 5 --pilot asked/1 --pilot asked/2 --max-time 90.5");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_EQ(seen.settings().draws_per_chain(), 0u);
  EXPECT_EQ(seen.target().kind(), v1::TOP_K_STABILITY);
  EXPECT_EQ(seen.target().value(), 0.8);
  EXPECT_EQ(seen.target().k(), 5u);
  EXPECT_EQ(seen.target().pilot_dataset(), "datasets/asked");
  EXPECT_THAT(seen.target().pilot_sample_ids(), ElementsAre("1", "2"));
  EXPECT_EQ(seen.target().max_draws_per_chain(), 300u);
  EXPECT_EQ(seen.target().max_time().seconds(), 90);
  EXPECT_EQ(seen.target().max_time().nanos(), 500'000'000);
  EXPECT_THAT(ran.out, HasSubstr("top-k-stability of 5 0.8: now 0.82 at 40 draws a chain, met"));
  EXPECT_THAT(ran.out, HasSubstr("The target 0.8 is met with 0.82"));

  // Without --draws the preset's are the budget.
  EXPECT_EQ(Bifctl("posterior create --checkpoint c --dataset d --preset vision "
                   "--target-standard-error 0.05")
                .exit_code,
            0);
  EXPECT_EQ(seen.target().kind(), v1::MEDIAN_STANDARD_ERROR);
  EXPECT_EQ(seen.target().max_draws_per_chain(), 1000u);
  EXPECT_FALSE(seen.target().has_max_time());
}

TEST_F(BifctlTest, ExtendTakesDrawsOrATarget) {
  v1::ExtendPosteriorRequest seen;
  server_.extend_posterior = [&](const auto& request, auto& operation) {
    seen = request;
    operation = Sampled();
    return Ok();
  };
  EXPECT_EQ(Bifctl("posterior extend p1 --draws 50").exit_code, 0);
  EXPECT_EQ(seen.draws_per_chain(), 50u);
  EXPECT_FALSE(seen.has_target());
  EXPECT_EQ(Bifctl("posterior extend p1 --draws 50 --target-distinguishable 0.3").exit_code, 0);
  EXPECT_EQ(seen.draws_per_chain(), 0u);
  EXPECT_EQ(seen.target().kind(), v1::DISTINGUISHABLE_SHARE);
  EXPECT_EQ(seen.target().max_draws_per_chain(), 50u);
  EXPECT_EQ(Bifctl("posterior extend p1").exit_code, 2);
}

TEST_F(BifctlTest, WhatMakesNoTargetIsAUsageError) {
  const std::string create =
      "posterior create --checkpoint c --dataset d --step-size 1 --nbeta 1 --gamma 1 ";
  for (const char* flags :
       {"--target-stability 0.5 --target-standard-error 0.1 --draws 9", "--max-time 5",
        "--pilot d/1", "--target-stability 0.5", "--target-stability 0.5 --draws 9 --pilot d/*"}) {
    EXPECT_EQ(Bifctl(create + flags).exit_code, 2) << flags;
  }
  EXPECT_EQ(server_.calls("CreatePosterior"), 0);
}

TEST_F(BifctlTest, ProgressSaysHowFarTheTargetIs) {
  server_.create_posterior = [&](const auto&, auto& operation) {
    v1::PosteriorProgress progress;
    progress.set_stage("sampling");
    progress.set_draws_done(80);
    progress.set_draws_total(240);
    progress.mutable_stopping()->mutable_target()->set_kind(v1::MEDIAN_STANDARD_ERROR);
    progress.mutable_stopping()->mutable_target()->set_value(0.05);
    progress.mutable_stopping()->set_figure(0.0866);
    progress.mutable_stopping()->set_draws_per_chain(20);
    progress.mutable_stopping()->set_predicted_draws_per_chain(60);
    operation.set_name("operations/7");
    operation.mutable_metadata()->PackFrom(progress);
    return Ok();
  };
  server_.watch_operation = [](const auto&, std::vector<v1::WatchOperationResponse>& changes) {
    *changes.emplace_back().mutable_operation() = Sampled();
    return Ok();
  };
  const Ran ran = Bifctl(
      "posterior create --checkpoint c --dataset d --preset vision --target-standard-error 0.05 "
      "--wait");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("median-standard-error 0.05: now 0.0866 at 20 draws a chain, "
                                 "about 60 needed"));
}

class LlcTest : public BifctlTest {
 protected:
  LlcTest() {
    server_.get_checkpoint = [](const auto&, auto& checkpoint) {
      checkpoint.set_name("checkpoints/c0ffee");
      return Ok();
    };
    server_.list_posteriors = [this](const auto&, auto& list) {
      for (const char* name : {"whole", "norms", "strange", "short"}) {
        v1::Posterior& posterior = *list.add_posteriors();
        posterior.set_name(std::string("posteriors/") + name);
        posterior.set_checkpoint(std::string(name) == "strange" ? "checkpoints/other"
                                                                : "checkpoints/c0ffee");
        posterior.mutable_settings()->set_algorithm(v1::SGLD);
        posterior.mutable_settings()->set_nbeta(std::string(name) == "norms" ? norms_nbeta_ : 30);
      }
      return Ok();
    };
    server_.get_diagnostics = [](const auto& request, auto& diagnostics) {
      if (request.name() == "posteriors/short") return MakeError(9, "has 2 draws a chain");
      diagnostics.set_posterior(request.name());
      diagnostics.set_verdict("MIXED");
      const bool norms = request.name() == "posteriors/norms";
      diagnostics.set_llc(norms ? 3.5 : 12);
      diagnostics.set_llc_standard_error(norms ? 0.25 : 1);
      if (norms) diagnostics.mutable_component()->mutable_filter()->add_presets("layer_norm");
      diagnostics.mutable_component()->set_parameters(norms ? 1024 : 250'000);
      return Ok();
    };
  }
  double norms_nbeta_ = 30;
};

TEST_F(LlcTest, ComponentsOfOneCheckpointStandSideBySide) {
  const Ran ran = Bifctl("posterior llc --checkpoint c0ffee");
  EXPECT_EQ(ran.exit_code, 0) << ran.err;
  EXPECT_THAT(ran.out, AllOf(HasSubstr("layer_norm"), HasSubstr("1,024"), HasSubstr("3.5 ± 0.25"),
                             HasSubstr("all"), HasSubstr("250,000"), HasSubstr("12 ± 1")));
  EXPECT_THAT(ran.out, Not(HasSubstr("strange"))) << "another checkpoint";
  EXPECT_THAT(ran.out, Not(HasSubstr("do not compare")));
  EXPECT_THAT(ran.err, HasSubstr("posteriors/short: has 2 draws a chain"));
}

TEST_F(LlcTest, OtherSamplersAreSaidNotToCompare) {
  norms_nbeta_ = 100;
  EXPECT_THAT(Bifctl("posterior llc --checkpoint c0ffee").out, HasSubstr("do not compare"));
}

}  // namespace
}  // namespace bif::client
