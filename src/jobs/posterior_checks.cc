#include "src/jobs/posterior_checks.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/draw_codec.h"
#include "src/engine/sequences.h"
#include "src/engine/validate_settings.h"
#include "src/jobs/dataset_record.h"
#include "src/jobs/field_paths.h"
#include "src/jobs/observable_checks.h"
#include "src/jobs/sampler_settings_record.h"

namespace bif::jobs {
namespace {

constexpr int64_t kRowsAtOnce = 8192;
// A segment may end by the clock after this many draws, so there may be so many chain states.
constexpr uint32_t kFewestSegmentDraws = 4;

template <typename Integer>
std::optional<int64_t> FirstBadLabel(const Column& labels, int64_t rows, int64_t classes,
                                     int64_t& bad_row) {
  for (int64_t row = 0; row < rows; ++row) {
    Integer label;
    std::memcpy(&label, labels.data.data() + row * static_cast<int64_t>(sizeof(label)),
                sizeof(label));
    if (static_cast<int64_t>(label) < 0 || static_cast<int64_t>(label) >= classes) {
      bad_row = row;
      return static_cast<int64_t>(label);
    }
  }
  return std::nullopt;
}

std::optional<int64_t> FirstBadLabelOf(const Column& labels, int64_t rows, int64_t classes,
                                       int64_t& bad_row) {
  switch (labels.spec.dtype) {
    case DType::kUint8:
      return FirstBadLabel<uint8_t>(labels, rows, classes, bad_row);
    case DType::kInt32:
      return FirstBadLabel<int32_t>(labels, rows, classes, bad_row);
    case DType::kInt64:
      return FirstBadLabel<int64_t>(labels, rows, classes, bad_row);
    default:
      return std::nullopt;  // no label column: the engine refuses it
  }
}

struct BadSample {
  int64_t row = 0;  // of the batch
  std::string what;
};
using FirstBadSample = absl::StatusOr<std::optional<BadSample>>;

FirstBadSample FirstBadLabelIn(const SampleBatch& batch, const Checkpoints::Sources& sources) {
  const std::string& name = sources.program_source.target_column;
  const int64_t classes = sources.info.classes;
  const Column* labels = batch.Find(name);
  if (labels == nullptr || labels->spec.elements() != 1) return std::nullopt;
  BadSample bad;
  const std::optional<int64_t> label = FirstBadLabelOf(*labels, batch.rows, classes, bad.row);
  if (!label) return std::nullopt;
  bad.what = absl::StrCat("has label ", *label, " in column '", name, "'; the program has ",
                          classes, " classes, 0 to ", classes - 1);
  return bad;
}

FirstBadSample FirstBadSequenceIn(const SampleBatch& batch, const Checkpoints::Sources& sources) {
  const engine::ProgramSource& program = sources.program_source;
  const auto reader =
      engine::SequenceReader::Open(batch, program.target_column, program.sequence, sources.info);
  if (!reader.ok()) return FieldError("dataset", std::string(reader.status().message()));
  engine::Sequences read;
  for (int64_t row = 0; row < batch.rows; ++row) {
    const absl::Status status = reader->Read(row, read);
    if (!status.ok())
      return BadSample{row, absl::StrCat("cannot be used: ", std::string(status.message()))};
  }
  return std::nullopt;
}

}  // namespace

absl::StatusOr<CheckedPosterior> CheckPosterior(const PosteriorContext& context,
                                                const PosteriorSpec& spec) {
  CheckedPosterior checked;
  BIF_ASSIGN_OR_RETURN(checked.checkpoint_digest,
                       context.checkpoints.ResolveCheckpoint(spec.checkpoint, "checkpoint"));
  BIF_ASSIGN_OR_RETURN(checked.sources, context.checkpoints.GetSources(checked.checkpoint_digest));
  BIF_ASSIGN_OR_RETURN(checked.dataset, context.datasets.Record(spec.dataset, "dataset"));
  checked.token_traces = spec.token_traces;
  checked.token_trace_type = spec.token_trace_type;
  if (spec.token_traces) BIF_RETURN_IF_ERROR(CheckGranularity(checked.sources.info));
  if (checked.dataset.hidden())
    return absl::NotFoundError(absl::StrCat(spec.dataset, " does not exist"));

  if (const absl::Status fit =
          CheckColumnsFit(ColumnsOf(checked.dataset), checked.sources.info.columns);
      !fit.ok()) {
    return FieldError("dataset", std::string(fit.message()));
  }
  if (checked.dataset.rows() == checked.dataset.deleted()) {
    return FieldError("dataset", absl::StrCat(spec.dataset, " has no samples"));
  }
  BIF_RETURN_IF_ERROR(
      engine::ValidateSettings(spec.settings, checked.dataset.rows() - checked.dataset.deleted()));
  BIF_RETURN_IF_ERROR(engine::ValidateForDevice(spec.settings, context.engine.info().device));
  absl::StatusOr<engine::MovingSet> moving =
      engine::SelectParameters(checked.sources.info.parameters, spec.settings.parameters);
  if (!moving.ok()) return RenameField(moving.status(), "parameters", "settings.parameters");
  checked.moving = *std::move(moving);

  BIF_ASSIGN_OR_RETURN(checked.training_ordinals, context.datasets.LivingOrdinals(checked.dataset));
  if (static_cast<int64_t>(checked.training_ordinals.size()) !=
      checked.dataset.rows() - checked.dataset.deleted()) {
    return absl::UnavailableError(absl::StrCat(spec.dataset, " is changing just now; try again"));
  }
  BIF_ASSIGN_OR_RETURN(const std::string data_digest, context.datasets.DigestOf(checked.dataset));
  checked.key = ScopedId(spec.request.tenant,
                         PosteriorKeyOf(checked.checkpoint_digest, data_digest, spec.settings));
  return checked;
}

absl::Status CheckTargets(const PosteriorContext& context, const CheckedPosterior& checked) {
  const engine::LossKind loss = checked.sources.program_source.loss;
  if (loss != engine::LossKind::kCrossEntropy && loss != engine::LossKind::kNextToken)
    return absl::OkStatus();
  const std::vector<uint32_t>& ordinals = checked.training_ordinals;
  for (size_t begin = 0; begin < ordinals.size(); begin += kRowsAtOnce) {
    const size_t end = std::min(ordinals.size(), begin + kRowsAtOnce);
    BIF_ASSIGN_OR_RETURN(
        const SampleBatch batch,
        context.store.samples().Read(checked.dataset.number(),
                                     {ordinals.begin() + begin, ordinals.begin() + end}));
    BIF_ASSIGN_OR_RETURN(const std::optional<BadSample> bad,
                         loss == engine::LossKind::kNextToken
                             ? FirstBadSequenceIn(batch, checked.sources)
                             : FirstBadLabelIn(batch, checked.sources));
    if (!bad) continue;
    BIF_ASSIGN_OR_RETURN(const auto headers,
                         context.store.samples().ReadHeaders(checked.dataset.number(),
                                                             ordinals[begin + bad->row], 1));
    return FieldError("dataset", absl::StrCat("sample \"", headers.empty() ? "" : headers[0].id,
                                              "\" ", bad->what));
  }
  return absl::OkStatus();
}

CostEstimate EstimateCost(const PosteriorContext& context, const CheckedPosterior& checked,
                          const engine::SamplerSettings& settings, uint32_t draws,
                          int64_t carried_rows) {
  const auto rows = static_cast<int64_t>(checked.training_ordinals.size());
  const int64_t chains = settings.chains;
  const int64_t steps_between = std::max<int64_t>(1, settings.steps_between_draws);
  CostEstimate estimate;
  estimate.gradient_samples =
      chains * (settings.burn_in_steps + draws * steps_between) * GradientRows(settings);
  estimate.forward_samples = rows + (rows + carried_rows) * chains * static_cast<int64_t>(draws);
  estimate.device_bytes =
      context.engine.EstimateDeviceBytes(checked.sources.info, checked.moving, settings, rows);

  const auto draw_bytes =
      static_cast<int64_t>(engine::EncodedDrawBytes(settings.draw_codec, checked.moving.elements));
  const int64_t state_floats = settings.algorithm == engine::Algorithm::kRmspropSgld ? 2 : 1;
  const int64_t state_bytes =
      state_floats * checked.moving.elements * static_cast<int64_t>(sizeof(float));
  const uint32_t segment_draws = std::min(
      kFewestSegmentDraws, MaxSegmentDraws(context.options, rows, settings.chains, draw_bytes));
  const int64_t segments = draws / segment_draws + 2;
  const int64_t trace_bytes = rows * static_cast<int64_t>(sizeof(float));
  estimate.disk_bytes = chains * (draws * (draw_bytes + trace_bytes) + segments * state_bytes) +
                        trace_bytes +
                        carried_rows * chains * draws * static_cast<int64_t>(sizeof(float));
  if (checked.token_traces) {
    // A pass of its own at the stored draws. What no program bounds counts as 1024 tokens.
    const int64_t longest = checked.sources.info.longest_sequence;
    const int64_t tokens = rows * (longest > 0 ? longest : 1024);
    const int64_t bytes = checked.token_trace_type == storage::TraceType::kFloat16 ? 2 : 4;
    estimate.forward_samples += rows * chains * static_cast<int64_t>(draws);
    estimate.disk_bytes += tokens * bytes * chains * static_cast<int64_t>(draws);
  }
  estimate.duration = context.speeds.Predict(checked.checkpoint_digest, estimate.gradient_samples,
                                             estimate.forward_samples);
  return estimate;
}

int64_t GradientRows(const engine::SamplerSettings& settings) {
  if (settings.batch_order != engine::BatchOrder::kReplay) return settings.batch_size;
  return static_cast<int64_t>(settings.replay_batches.at(0).size());
}

absl::Status CheckRoom(const PosteriorContext& context, const CostEstimate& estimate) {
  const int64_t limit = context.options.max_device_bytes;
  if (limit > 0 && estimate.device_bytes > limit) {
    return WithReason(
        absl::ResourceExhaustedError(absl::StrCat(
            "the run needs ", estimate.device_bytes, " bytes of device memory; the daemon may use ",
            limit, ": use fewer chains, a smaller batch or a narrower parameter filter")),
        "DEVICE_MEMORY");
  }
  return context.store.HasSpaceFor(estimate.disk_bytes);
}

uint32_t MaxSegmentDraws(const Posteriors::Options& options, int64_t training_rows, uint32_t chains,
                         uint64_t encoded_draw_bytes) {
  const uint64_t trace_bytes = static_cast<uint64_t>(training_rows) * sizeof(float);
  const uint64_t bytes_a_draw = chains * std::max<uint64_t>(1, trace_bytes + encoded_draw_bytes);
  // A power of two: segments then begin where tiles do, or a whole number of them fills a tile.
  const uint64_t fit =
      std::bit_floor(static_cast<uint64_t>(options.tile_buffer_bytes) / bytes_a_draw);
  const uint64_t most = std::min<uint64_t>(options.max_segment_draws, storage::kTileDraws);
  return static_cast<uint32_t>(std::clamp<uint64_t>(fit, 1, std::max<uint64_t>(1, most)));
}

}  // namespace bif::jobs
