// Requests of a stranger, as far as they can be judged without any state: converted, or refused
// with a field. What is accepted keeps the ranges that the rest of the daemon builds on.
//
// The first byte chooses the message, the rest is its bytes.
#include <cmath>

#include "server/convert_attribution.h"
#include "server/convert_checkpoints.h"
#include "server/convert_common.h"
#include "server/convert_datasets.h"
#include "server/convert_posteriors.h"
#include "server/convert_settings.h"
#include "src/base/status.h"
#include "src/engine/validate_settings.h"
#include "src/jobs/resource_names.h"
#include "src/jobs/sampler_settings_record.h"
#include "src/jobs/tenant.h"
#include "tests/fuzz/fuzz.h"

using namespace bif;

namespace {

constexpr char kTenant[] = "vision";

// The struct that a message stands for, or nothing.
template <typename Message>
auto Converted(std::string_view bytes) {
  Message message;
  const bool parsed = message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  auto converted = server::FromProto(parsed ? message : Message(), kTenant);
  if (!converted.ok()) fuzz::RequireRefusal(converted.status(), absl::StatusCode::kInvalidArgument);
  return converted;
}

void CheckSettings(const engine::SamplerSettings& settings) {
  const absl::Status valid = engine::ValidateSettings(settings, 1000);
  if (!valid.ok()) {
    fuzz::RequireRefusal(valid, absl::StatusCode::kInvalidArgument);
    return;
  }
  fuzz::Require(std::isfinite(settings.step_size) && settings.step_size > 0, "a step size");
  fuzz::Require(std::isfinite(settings.nbeta) && settings.nbeta > 0, "nbeta");
  fuzz::Require(std::isfinite(settings.gamma) && settings.gamma >= 0, "gamma");
  fuzz::Require(!settings.box || (std::isfinite(*settings.box) && *settings.box > 0), "a box");
  fuzz::Require(settings.chains >= 1 && settings.chains <= engine::kMaxChains, "chains");
  fuzz::Require(
      settings.draws_per_chain >= 1 && settings.draws_per_chain <= engine::kMaxDrawsPerChain,
      "draws");
  for (const auto& batch : settings.replay_batches) {
    for (const uint32_t index : batch) fuzz::Require(index < 1000, "replayed rows are there");
  }
  // On disk and in the API the settings are the same ones, and so is the posterior's key.
  const std::string canonical = jobs::CanonicalSettings(settings);
  fuzz::Require(jobs::CanonicalSettings(jobs::FromRecord(jobs::ToRecord(settings))) == canonical,
                "settings survive the disk");
  server::v1::SamplerSettings message;
  server::ToProto(settings, &message);
  const auto again = server::FromProto(message, "settings");
  fuzz::Require(again.ok() && jobs::CanonicalSettings(*again) == canonical,
                "settings survive the API");
}

const std::vector<TensorSpec> kColumns = {{"image", DType::kUint8, {2, 2}},
                                          {"tokens", DType::kInt32, {-1}},
                                          {"weight", DType::kFloat32, {}}};

void CheckSamples(std::string_view bytes) {
  server::v1::SampleSet message;
  if (!message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return;
  const auto samples = server::FromProto(message.inline_(), "samples");
  if (!samples.ok()) {
    fuzz::RequireRefusal(samples.status(), absl::StatusCode::kInvalidArgument);
    return;
  }
  const auto batch = jobs::BatchOf(*samples, kColumns, "samples");
  if (!batch.ok()) {
    fuzz::RequireRefusal(batch.status(), absl::StatusCode::kInvalidArgument);
    return;
  }
  const absl::Status valid = ValidateBatch(*batch, kColumns);
  fuzz::Require(valid.ok(), "an accepted batch is valid: " + valid.ToString());
  for (int64_t row = 0; row < batch->rows; ++row) {
    const jobs::Sample sample =
        jobs::SampleAt(*batch, row, (*samples)[static_cast<size_t>(row)].id);
    const auto again = jobs::BatchOf({sample}, kColumns, "samples");
    fuzz::Require(again.ok() && again->rows == 1, "a row of it is a sample again");
  }
}

void CheckColumns(std::string_view bytes) {
  const auto dataset = Converted<server::v1::CreateDatasetRequest>(bytes);
  if (!dataset.ok() || !ValidateColumns(dataset->columns).ok()) return;
  for (const TensorSpec& column : dataset->columns) {
    fuzz::Require(column.elements() >= 1 && static_cast<int64_t>(column.bytes()) <= kMaxSampleBytes,
                  "a valid column fits a sample");
  }
}

void CheckNames(std::string_view name) {
  if (const auto id = jobs::IdFromName("datasets", name, "name"); id.ok())
    fuzz::Require(jobs::DatasetName(*id) == name, "a name is its collection and its id");
  if (const auto sample = jobs::ParseSampleName(name, "name"); sample.ok()) {
    fuzz::Require(jobs::SampleName(sample->first, sample->second) == name,
                  "a sample's name is its dataset's and its own");
  }
  const std::string scoped = jobs::ScopedId(kTenant, name);
  fuzz::Require(jobs::TenantOf(scoped) == kTenant && jobs::WithoutTenant(scoped) == name,
                "what a tenant names is the tenant's, whatever the name");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const uint32_t choice = input.TakeBelow(14);
  const std::string_view bytes = input.rest();
  switch (choice) {
    case 0:
      if (const auto spec = Converted<server::v1::CreatePosteriorRequest>(bytes); spec.ok())
        CheckSettings(spec->settings);
      break;
    case 1:
      Converted<server::v1::AttributeRequest>(bytes).IgnoreError();
      break;
    case 2:
      Converted<server::v1::ScoreMatrixRequest>(bytes).IgnoreError();
      break;
    case 3:
      Converted<server::v1::SelfInfluenceRequest>(bytes).IgnoreError();
      break;
    case 4:
      Converted<server::v1::TokenInfluenceRequest>(bytes).IgnoreError();
      break;
    case 5:
      Converted<server::v1::ExportTracesRequest>(bytes).IgnoreError();
      break;
    case 6:
      Converted<server::v1::TraceSamplesRequest>(bytes).IgnoreError();
      break;
    case 7:
      CheckColumns(bytes);
      break;
    case 8:
      Converted<server::v1::ImportSamplesRequest>(bytes).IgnoreError();
      break;
    case 9:
      Converted<server::v1::ProgramSpec>(bytes).IgnoreError();
      break;
    case 10:
      CheckSamples(bytes);
      break;
    case 11:
      CheckNames(bytes);
      break;
    case 12: {
      google::protobuf::Duration duration;
      if (!duration.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) break;
      google::protobuf::Duration again;
      server::ToProto(server::FromProto(duration), &again);
      break;
    }
    default: {
      server::v1::SamplerSettings settings;
      if (!settings.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) break;
      if (const auto converted = server::FromProto(settings, "settings"); converted.ok())
        CheckSettings(*converted);
    }
  }
  return 0;
}
