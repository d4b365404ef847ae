// Posteriors and operations over gRPC: one run a key, waiting, watching, cancelling, and refusals
// with the field at fault.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "bif/v1/operations.pb.h"
#include "google/protobuf/empty.pb.h"
#include "tests/support/server/held_run.h"

namespace bif::server::testing {
namespace {

namespace lro = ::google::longrunning;
using ::testing::HasSubstr;

v1::ListPosteriorsResponse ListPosteriors(TestServer& server) {
  v1::ListPosteriorsResponse response;
  const CallEnd end =
      server.Call("bif.v1.Posteriors/ListPosteriors", v1::ListPosteriorsRequest(), response);
  EXPECT_TRUE(end.ok()) << end;
  return response;
}

TEST(PosteriorsService, APosteriorIsSampledAndTellsWhatItIs) {
  TestServer server;
  v1::GetPosteriorRequest get;
  get.set_name(MakePosterior(server, 8));
  v1::Posterior posterior;
  ASSERT_TRUE(server.Call("bif.v1.Posteriors/GetPosterior", get, posterior).ok());
  EXPECT_EQ(posterior.state(), v1::READY);
  EXPECT_EQ(posterior.draws_per_chain(), 12u);
  EXPECT_EQ(posterior.chains_size(), 2);
  EXPECT_EQ(posterior.training_samples(), 8);
  EXPECT_EQ(posterior.settings().noise_scale(), 1) << "defaults are filled in";
  EXPECT_EQ(posterior.settings().draw_codec(), v1::INT8_BLOCK);

  v1::GetDiagnosticsRequest request;
  request.set_name(posterior.name());
  v1::Diagnostics diagnostics;
  const CallEnd end = server.Call("bif.v1.Posteriors/GetDiagnostics", request, diagnostics);
  ASSERT_TRUE(end.ok()) << end;
  ASSERT_EQ(diagnostics.chains_size(), 2);
  EXPECT_EQ(diagnostics.chains(0).sampling_loss_size(), 12);
  EXPECT_FALSE(diagnostics.verdict().empty());
}

TEST(PosteriorsService, BadSettingsAreRefusedByFieldAndNothingStarts) {
  TestServer server;
  const v1::CreatePosteriorRequest good = PosteriorRequest(server, 8);
  const auto with = [&](auto change) {
    v1::CreatePosteriorRequest request = good;
    change(request);
    return request;
  };
  const struct {
    v1::CreatePosteriorRequest request;
    const char* field;
  } cases[] = {
      {with([](auto& r) { r.mutable_settings()->set_nbeta(-1); }), "settings.nbeta"},
      {with([](auto& r) { r.mutable_settings()->set_nbeta(0); }), "settings.nbeta"},
      {with([](auto& r) { r.mutable_settings()->set_step_size(0); }), "settings.step_size"},
      {with([](auto& r) { r.mutable_settings()->set_batch_size(9); }), "settings.batch_size"},
      {with([](auto& r) {
         r.mutable_settings()->set_algorithm(static_cast<v1::SamplerAlgorithm>(99));
       }),
       "settings.algorithm"},
      {with([](auto& r) { r.mutable_settings()->set_draw_codec(static_cast<v1::DrawCodec>(99)); }),
       "settings.draw_codec"},
      {with([](auto& r) { r.mutable_settings()->mutable_parameters()->add_include("none"); }),
       "settings.parameters.include[0]"},
      {with([](auto& r) { r.set_checkpoint("nonsense"); }), "checkpoint"},
      {with([](auto& r) { r.set_dataset(""); }), "dataset"},
  };
  for (const auto& c : cases) {
    lro::Operation operation;
    const CallEnd end = server.Call("bif.v1.Posteriors/CreatePosterior", c.request, operation);
    EXPECT_EQ(end.code, absl::StatusCode::kInvalidArgument) << c.field << ": " << end;
    EXPECT_EQ(end.field, c.field) << end;
  }
  EXPECT_EQ(ListPosteriors(server).posteriors_size(), 0);
}

v1::CreatePosteriorRequest RequestWithTarget(TestServer& server, double value) {
  v1::CreatePosteriorRequest request = PosteriorRequest(server, 8);
  request.mutable_settings()->clear_draws_per_chain();
  request.mutable_target()->set_kind(v1::MEDIAN_STANDARD_ERROR);
  request.mutable_target()->set_value(value);
  request.mutable_target()->set_max_draws_per_chain(18);
  return request;
}

TEST(PosteriorsService, ATargetIsSampledToAndTheAnswerSaysWhereItEnded) {
  TestServer server;
  v1::CreatePosteriorRequest request = RequestWithTarget(server, 1e-9);
  request.mutable_target()->set_pilot_dataset("datasets/train");
  request.mutable_target()->add_pilot_sample_ids("3");
  lro::Operation operation = WaitFor(server, StartPosterior(server, request));
  v1::Posterior posterior;
  ASSERT_TRUE(operation.response().UnpackTo(&posterior)) << operation.error().message();
  EXPECT_EQ(posterior.draws_per_chain(), 18u);
  const v1::Stopping& stopping = posterior.stopping();
  EXPECT_EQ(stopping.reason(), v1::DRAW_BUDGET_REACHED);
  EXPECT_EQ(stopping.draws_per_chain(), 18u);
  EXPECT_GT(stopping.figure(), 1e-9);
  EXPECT_EQ(stopping.target().SerializeAsString(), request.target().SerializeAsString());
  EXPECT_THAT(stopping.explanation(), HasSubstr("pilot pairs"));
  v1::PosteriorProgress progress;
  ASSERT_TRUE(operation.metadata().UnpackTo(&progress));
  EXPECT_EQ(progress.draws_done(), 36u);

  v1::ExtendPosteriorRequest extend;
  extend.set_name(posterior.name());
  *extend.mutable_target() = request.target();
  extend.mutable_target()->set_value(0.999);
  ASSERT_TRUE(server.Call("bif.v1.Posteriors/ExtendPosterior", extend, operation).ok());
  ASSERT_TRUE(WaitFor(server, operation.name()).response().UnpackTo(&posterior));
  EXPECT_EQ(posterior.stopping().reason(), v1::TARGET_MET);
  EXPECT_EQ(posterior.draws_per_chain(), 18u) << "what is there is enough";
  extend.set_draws_per_chain(20);
  EXPECT_EQ(server.Call("bif.v1.Posteriors/ExtendPosterior", extend, operation).field,
            "draws_per_chain");
}

TEST(PosteriorsService, ABadTargetIsRefusedByField) {
  TestServer server;
  const v1::CreatePosteriorRequest good = RequestWithTarget(server, 0.1);
  const auto with = [&](auto change) {
    v1::CreatePosteriorRequest request = good;
    change(request);
    return request;
  };
  const struct {
    v1::CreatePosteriorRequest request;
    std::string field;
  } cases[] = {
      {with([](auto& r) { r.mutable_settings()->set_draws_per_chain(9); }),
       "settings.draws_per_chain"},
      {with([](auto& r) { r.mutable_target()->clear_kind(); }), "target.kind"},
      {with([](auto& r) { r.mutable_target()->set_kind(static_cast<v1::TargetKind>(99)); }),
       "target.kind"},
      {with([](auto& r) { r.mutable_target()->set_value(-1); }), "target.value"},
      {with([](auto& r) { r.mutable_target()->set_k(3); }), "target.k"},
      {with([](auto& r) {
         r.mutable_target()->set_kind(v1::TOP_K_STABILITY);
         r.mutable_target()->set_k(9);
       }),
       "target.k"},
      {with([](auto& r) { r.mutable_target()->clear_max_draws_per_chain(); }),
       "target.max_draws_per_chain"},
      {with([](auto& r) { r.mutable_target()->mutable_max_time(); }), "target.max_time"},
  };
  for (const auto& c : cases) {
    lro::Operation operation;
    const CallEnd end = server.Call("bif.v1.Posteriors/CreatePosterior", c.request, operation);
    EXPECT_EQ(end.code, absl::StatusCode::kInvalidArgument) << c.field << ": " << end;
    EXPECT_EQ(end.field, c.field) << end;
  }
  EXPECT_EQ(ListPosteriors(server).posteriors_size(), 0);
}

TEST(PosteriorsService, DiagnosticsNameTheComponentThatMoves) {
  TestServer server;
  v1::CreatePosteriorRequest request = PosteriorRequest(server, 8);
  request.mutable_settings()->mutable_parameters()->add_include("back");
  WaitFor(server, StartPosterior(server, request));
  v1::GetDiagnosticsRequest get;
  get.set_name(ListPosteriors(server).posteriors(0).name());
  v1::Diagnostics diagnostics;
  const CallEnd end = server.Call("bif.v1.Posteriors/GetDiagnostics", get, diagnostics);
  ASSERT_TRUE(end.ok()) << end;
  const v1::Component& component = diagnostics.component();
  EXPECT_THAT(component.filter().include(), ::testing::ElementsAre("back"));
  EXPECT_THAT(component.names(), ::testing::ElementsAre("back"));
  EXPECT_EQ(component.parameters(), kFeatures / 2) << "the front half is rounded up";
  EXPECT_EQ(component.all_parameters(), kFeatures);
  EXPECT_EQ(diagnostics.checkpoint(), request.checkpoint());
}

TEST(PosteriorsService, ValidateOnlyTellsTheCostAndMakesNothing) {
  TestServer server;
  v1::CreatePosteriorRequest request = PosteriorRequest(server, 8);
  request.set_validate_only(true);
  lro::Operation operation;
  ASSERT_TRUE(server.Call("bif.v1.Posteriors/CreatePosterior", request, operation).ok());
  EXPECT_TRUE(operation.done());
  v1::PosteriorProgress progress;
  ASSERT_TRUE(operation.metadata().UnpackTo(&progress));
  EXPECT_EQ(progress.estimate().gradient_samples(), 2 * 12 * 4) << "chains x steps x batch";
  EXPECT_GT(progress.estimate().disk_bytes(), 0);
  EXPECT_EQ(ListPosteriors(server).posteriors_size(), 0);
}

TEST(PosteriorsService, CallersWhoAskAtOnceShareOneRun) {
  TestServer server;
  const v1::CreatePosteriorRequest request = PosteriorRequest(server, 8);
  HeldDevice device(server);
  std::vector<std::string> names(6);
  std::vector<std::thread> callers;
  for (std::string& name : names) {
    callers.emplace_back([&] {
      lro::Operation operation;
      const CallEnd end = server.Call("bif.v1.Posteriors/CreatePosterior", request, operation);
      EXPECT_TRUE(end.ok()) << end;
      name = operation.name();
    });
  }
  for (std::thread& caller : callers) caller.join();
  EXPECT_THAT(names, ::testing::Each(names[0]));
  device.Release();
  EXPECT_TRUE(WaitFor(server, names[0]).has_response());
}

TEST(OperationsService, WaitAnswersWithTheUnfinishedOperationWhenTheTimeIsOver) {
  TestServer server;
  HeldRun run(server);
  lro::Operation operation;
  lro::WaitOperationRequest wait;
  wait.set_name(run.operation());
  wait.mutable_timeout()->set_nanos(1);
  ASSERT_TRUE(server.Call("google.longrunning.Operations/WaitOperation", wait, operation).ok());
  EXPECT_FALSE(operation.done());
  wait.set_name("operations/none");
  EXPECT_EQ(server.Call("google.longrunning.Operations/WaitOperation", wait, operation).code,
            absl::StatusCode::kNotFound);
}

TEST(OperationsService, AWatchTellsEveryStepUpToTheEndAndResumes) {
  TestServer server;
  HeldRun run(server);
  v1::WatchOperationResponse change;
  auto stream = run.Watch(change);
  EXPECT_FALSE(change.operation().done());
  run.Release();
  uint64_t sequence = change.sequence();
  while (stream->Next(change)) {
    EXPECT_GT(change.sequence(), sequence);
    sequence = change.sequence();
  }
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_TRUE(change.operation().done());
  EXPECT_TRUE(change.operation().has_response());

  v1::WatchOperationRequest watch;
  watch.set_name(run.operation());
  watch.set_after_sequence(sequence - 1);
  auto resumed = server.Read("bif.v1.OperationWatcher/WatchOperation", watch);
  ASSERT_TRUE(resumed->Next(change));
  EXPECT_TRUE(change.operation().done());
  EXPECT_FALSE(resumed->Next(change));
  EXPECT_TRUE(resumed->Finish().ok());
}

TEST(OperationsService, AWatcherThatGoesAwayDoesNotDisturbTheOperation) {
  TestServer server;
  HeldRun run(server);
  {
    v1::WatchOperationResponse change;
    auto stream = run.Watch(change);
    stream->Cancel();
    EXPECT_EQ(stream->Finish().code, absl::StatusCode::kCancelled);
  }
  run.Release();
  EXPECT_TRUE(WaitFor(server, run.operation()).has_response());
}

TEST(OperationsService, ACancelledOperationEndsAsCancelledAndItsPosteriorSaysSo) {
  TestServer server;
  HeldRun run(server);
  run.AwaitArrival();
  google::protobuf::Empty empty;
  lro::CancelOperationRequest cancel;
  cancel.set_name(run.operation());
  ASSERT_TRUE(server.Call("google.longrunning.Operations/CancelOperation", cancel, empty).ok());
  lro::DeleteOperationRequest remove;
  remove.set_name(run.operation());
  EXPECT_EQ(server.Call("google.longrunning.Operations/DeleteOperation", remove, empty).code,
            absl::StatusCode::kFailedPrecondition);
  run.Release();
  EXPECT_EQ(WaitFor(server, run.operation()).error().code(), 1);
  const v1::ListPosteriorsResponse posteriors = ListPosteriors(server);
  ASSERT_EQ(posteriors.posteriors_size(), 1);
  EXPECT_EQ(posteriors.posteriors(0).state(), v1::CANCELLED);

  lro::ListOperationsResponse list;
  ASSERT_TRUE(
      server
          .Call("google.longrunning.Operations/ListOperations", lro::ListOperationsRequest(), list)
          .ok());
  EXPECT_EQ(list.operations_size(), 1);
  EXPECT_TRUE(server.Call("google.longrunning.Operations/DeleteOperation", remove, empty).ok());
}

// Three wait for the device at once; without the priority they would end in the order in which they
// came.
TEST(PosteriorsService, OfOneTenantsRunsTheOneWithTheHigherPriorityGoesFirst) {
  TestServer server;
  v1::CreatePosteriorRequest request = PosteriorRequest(server, 8);
  HeldDevice device(server);
  const std::string first = StartPosterior(server, request);
  device.AwaitArrival();
  request.mutable_settings()->set_seed(7);
  const std::string low = StartPosterior(server, request);
  request.mutable_settings()->set_seed(8);
  request.set_priority(1);
  const std::string high = StartPosterior(server, request);
  device.Release();
  for (const std::string& run : {first, low, high}) {
    EXPECT_FALSE(WaitFor(server, run).has_error()) << run;
  }
  const auto ended = [&](const std::string& run) {
    return server.jobs().operations().Get(run)->end_time;
  };
  EXPECT_LT(ended(high), ended(first)) << "at the next draw of the one that ran";
  EXPECT_LT(ended(first), ended(low)) << "of one priority, the one that began goes on";
  request.set_priority(101);
  lro::Operation refused;
  EXPECT_EQ(server.Call("bif.v1.Posteriors/CreatePosterior", request, refused).field, "priority");
}

TEST(OperationsService, AnOperationThatEndedWellDoesNotFailWhenItsPosteriorIsDeleted) {
  TestServer server;
  const std::string operation = StartPosterior(server, PosteriorRequest(server, 8));
  v1::Posterior posterior;
  ASSERT_TRUE(WaitFor(server, operation).response().UnpackTo(&posterior));
  google::protobuf::Empty empty;
  v1::DeletePosteriorRequest remove;
  remove.set_name(posterior.name());
  ASSERT_TRUE(server.Call("bif.v1.Posteriors/DeletePosterior", remove, empty).ok());
  const lro::Operation later = WaitFor(server, operation);
  EXPECT_FALSE(later.has_error()) << later.ShortDebugString();
  v1::Posterior gone;
  ASSERT_TRUE(later.response().UnpackTo(&gone));
  EXPECT_EQ(gone.name(), posterior.name());
  EXPECT_EQ(gone.state_reason(), "it has been deleted");
}

TEST(OperationsService, FiltersAreRefusedByField) {
  TestServer server;
  lro::ListOperationsRequest request;
  request.set_filter("done=true");
  lro::ListOperationsResponse response;
  EXPECT_EQ(server.Call("google.longrunning.Operations/ListOperations", request, response).field,
            "filter");
}

}  // namespace
}  // namespace bif::server::testing
