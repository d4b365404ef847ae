#include "tests/crash/sampling_lane.h"

#include <optional>

#include "client/operation_result.h"
#include "tests/crash/questions.h"
#include "tests/integration/small_classifier.h"

namespace bif::testing {
namespace {

namespace v1 = ::bif::v1;

constexpr int kAppended = 6;

// Images one after the other, under their numbers.
class Images : public client::SampleSource {
 public:
  Images(int first, int count) : first_(first), count_(count) {}
  absl::Status Rewind() override {
    given_ = 0;
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<v1::Sample>> Next() override {
    if (given_ == count_) return std::nullopt;
    const int image = first_ + given_++;
    return ImageSample(absl::StrCat(image), image);
  }

 private:
  const int first_;
  const int count_;
  int given_ = 0;
};

std::vector<std::string> Ids(int first, int count) {
  std::vector<std::string> ids;
  for (int image = first; image < first + count; ++image) ids.push_back(absl::StrCat(image));
  return ids;
}

}  // namespace

void SamplingLane::Round(int round) {
  Choices choices(seed_, static_cast<uint64_t>(number_) << 32 | static_cast<uint64_t>(round));
  Work work;
  work.name = absl::StrCat("lane", number_, "-round", round);
  work.dataset = "datasets/" + work.name;
  work.rows = choices.Between(24, 56);
  work.first_image = choices.Between(0, 10000);
  BringData(work);
  Sample(work, choices);
  AppendAndTrace(work);
  AskAboutNewImage(work);
  Extend(work, choices);
  Extend(work, choices);
  AskAboutTraining(work);
  if (choices.Between(0, 1) == 0) CancelOne(work, choices);
  if (choices.Between(0, 1) == 0) CleanUp(work);
}

void SamplingLane::BringData(Work& work) {
  ledger_.Changing(work.dataset);
  v1::CreateDatasetRequest create = ImageDataset(work.name);
  create.set_request_id(work.name + "-dataset");
  Get("CreateDataset", [&](client::Client& client) { return client.CreateDataset(create); });
  v1::ImportSamplesRequest import = ImageImport(folder_, work.name, work.first_image, work.rows);
  import.set_request_id(work.name + "-import");
  const v1::ImportSamplesResponse imported =
      Get("ImportSamples", [&](client::Client& client) { return client.ImportSamples(import); });
  if (imported.imported() != work.rows)
    Fail("ImportSamples", absl::InternalError("rows came twice, or not"));
  TakeDown(work.dataset);
}

v1::CreatePosteriorRequest SamplingLane::PosteriorOn(const Work& work, Choices& choices) const {
  v1::CreatePosteriorRequest request;
  request.set_checkpoint(checkpoint_);
  request.set_dataset(work.dataset);
  v1::SamplerSettings& settings = *request.mutable_settings();
  settings.set_algorithm(choices.Between(0, 1) == 0 ? v1::SGLD : v1::RMSPROP_SGLD);
  settings.set_step_size(1e-4);
  settings.set_nbeta(50);
  settings.set_gamma(100);
  settings.set_chains(1);
  settings.set_draws_per_chain(static_cast<uint32_t>(choices.Between(20, 50)));
  settings.set_burn_in_steps(static_cast<uint32_t>(choices.Between(0, 20)));
  settings.set_steps_between_draws(static_cast<uint32_t>(choices.Between(1, 10)));
  settings.set_batch_size(8);
  settings.set_draw_codec(choices.Between(0, 1) == 0 ? v1::INT8_BLOCK : v1::FP32);
  settings.set_seed(static_cast<uint64_t>(choices.Between(1, 1 << 30)));
  return request;
}

void SamplingLane::Sample(Work& work, Choices& choices) {
  v1::CreatePosteriorRequest request = PosteriorOn(work, choices);
  request.set_request_id(work.name + "-sample");
  work.draws = request.settings().draws_per_chain();
  const auto started = Start(request.request_id(), [request](client::Client& client) {
    return client.CreatePosterior(request);
  });
  work.operations.push_back(started.name());
  const auto posterior = client::OperationResult<v1::Posterior>(AwaitEnd(started.name()));
  if (!posterior.ok()) Fail("sampling", posterior.status());
  work.posterior = posterior->name();
  TakeDown(work.posterior);
}

// An append has no request id that outlives its call, so whether a lost one was carried out shows
// in the dataset: all of it or nothing.
void SamplingLane::Append(const Work& work, int samples) {
  Images images(work.first_image + work.rows, samples);
  while (true) {
    const int lost_before = lost_calls();
    const auto appended = Ask([&](client::Client& client) -> absl::StatusOr<int64_t> {
      const absl::StatusOr<v1::Dataset> dataset = client.GetDataset(work.dataset);
      if (!dataset.ok()) return dataset.status();
      if (dataset->samples() != work.rows) return dataset->samples() - work.rows;
      const auto done = client.AppendSamples(work.dataset, images);
      if (!done.ok()) return done.status();
      return done->appended();
    });
    if (!appended.ok()) Fail("AppendSamples", appended.status());
    if (*appended == samples) return;
    if (lost_calls() == lost_before)
      Fail("AppendSamples", absl::InternalError(absl::StrCat("half an append: ", *appended)));
  }
}

void SamplingLane::AppendAndTrace(Work& work) {
  ledger_.Changing(work.dataset);
  Append(work, kAppended);
  TakeDown(work.dataset);
  v1::TraceSamplesRequest request;
  request.set_request_id(work.name + "-trace");
  request.set_posterior(work.posterior);
  request.set_dataset(work.dataset);
  const auto started = Start(request.request_id(), [request](client::Client& client) {
    return client.TraceSamples(request);
  });
  work.operations.push_back(started.name());
  const auto traced = client::OperationResult<v1::TraceSamplesResponse>(AwaitEnd(started.name()));
  if (!traced.ok()) Fail("tracing", traced.status());
  if (traced->traced() + traced->already_there() != work.rows + kAppended)
    Fail("tracing", absl::InternalError("rows are missing: " + traced->ShortDebugString()));
}

// Twice: the second answer must be the first, from the stored traces, across any number of kills.
void SamplingLane::AskAboutNewImage(const Work& work) {
  const v1::AttributeRequest request =
      testing::AskAboutNewImage(work.posterior, work.first_image % 100);
  for (const bool first : {true, false}) {
    const v1::AttributeResponse answer =
        Get("Attribute", [&](client::Client& client) { return client.Attribute(request); });
    if (!first && answer.rows_evaluated() != 0)
      Fail("Attribute", absl::InternalError("a stored trace was evaluated again"));
    // Not for the comparison with another run: how many draws the device takes at once depends on
    // its speed, and with it the last bit of a new row's losses.
    ledger_.Answer("kept: " + work.name, answer.rankings(0).SerializeAsString());
  }
}

void SamplingLane::Extend(Work& work, Choices& choices) {
  work.draws += static_cast<uint32_t>(choices.Between(5, 30));
  v1::ExtendPosteriorRequest request;
  request.set_name(work.posterior);
  request.set_draws_per_chain(work.draws);
  request.set_request_id(absl::StrCat(work.name, "-extend-", work.draws));
  ledger_.Changing(work.posterior);
  const auto started = Start(request.request_id(), [request](client::Client& client) {
    return client.ExtendPosterior(request);
  });
  work.operations.push_back(started.name());
  const auto extended = client::OperationResult<v1::Posterior>(AwaitEnd(started.name()));
  if (!extended.ok()) Fail("extending", extended.status());
  if (extended->draws_per_chain() != work.draws)
    Fail("extending", absl::InternalError("draws are missing: " + extended->ShortDebugString()));
  TakeDown(work.posterior);
}

void SamplingLane::AskAboutTraining(const Work& work) {
  const std::vector<std::string> ids = Ids(work.first_image, work.rows);
  const auto take_down = [&](const std::string& what, auto question) {
    ledger_.Answer(work.name + " " + what, Get(what, question));
  };
  take_down("traces", [&](client::Client& client) {
    return TracesDigest(client, work.posterior, work.dataset, ids);
  });
  take_down("scores", [&](client::Client& client) {
    return ScoresDigest(client, work.posterior, work.dataset, ids);
  });
  take_down("diagnostics",
            [&](client::Client& client) { return DiagnosticsDigest(client, work.posterior); });
  take_down("dataset",
            [&](client::Client& client) { return Ledger::StateOf(client, work.dataset); });
}

// A long run that is cancelled at once, and deleted.
void SamplingLane::CancelOne(const Work& work, Choices& choices) {
  v1::CreatePosteriorRequest request = PosteriorOn(work, choices);
  request.set_request_id(work.name + "-cancelled");
  request.mutable_settings()->set_draws_per_chain(2000);
  const auto started = Start(request.request_id(), [request](client::Client& client) {
    return client.CreatePosterior(request);
  });
  v1::PosteriorProgress progress;
  started.metadata().UnpackTo(&progress);
  ledger_.Changing(progress.posterior());
  DoOnce("CancelOperation",
         [&](client::Client& client) { return client.CancelOperation(started.name()); });
  AwaitEnd(started.name());
  DoOnce("DeletePosterior",
         [&](client::Client& client) { return client.DeletePosterior(progress.posterior()); });
  ledger_.Gone(progress.posterior());
}

void SamplingLane::CleanUp(const Work& work) {
  ledger_.Changing(work.posterior);
  DoOnce("DeletePosterior",
         [&](client::Client& client) { return client.DeletePosterior(work.posterior); });
  ledger_.Gone(work.posterior);
  ledger_.Changing(work.dataset);
  DoOnce("DeleteDataset",
         [&](client::Client& client) { return client.DeleteDataset(work.dataset); });
  ledger_.Gone(work.dataset);
  ledger_.Forgotten(work.operations.back());
  DoOnce("DeleteOperation",
         [&](client::Client& client) { return client.DeleteOperation(work.operations.back()); });
}

}  // namespace bif::testing
