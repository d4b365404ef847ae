#include "src/jobs/posteriors.h"

#include <algorithm>
#include <bit>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/validate_settings.h"
#include "src/jobs/carried_rows.h"
#include "src/jobs/list_records.h"
#include "src/jobs/posterior_checks.h"
#include "src/jobs/posterior_context.h"
#include "src/jobs/posterior_diagnostics.h"
#include "src/jobs/posterior_job.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/resource_names.h"
#include "src/jobs/sampler_settings_record.h"

namespace bif::jobs {
namespace {

using storage::RecordKind;
using storage::pb::PosteriorRecord;

constexpr absl::Duration kDeleteWait = absl::Minutes(1);

void AddTo(Sha256& sha, const TargetSpec& spec) {
  sha.UpdateField("target");
  sha.UpdateU64(static_cast<uint64_t>(spec.target.kind));
  sha.UpdateU64(std::bit_cast<uint64_t>(spec.target.value));
  sha.UpdateU64(static_cast<uint64_t>(spec.target.k));
  sha.UpdateField(spec.pilot_dataset);
  for (const std::string& id : spec.pilot_sample_ids) sha.UpdateField(id);
  sha.UpdateU64(spec.max_draws_per_chain);
  sha.UpdateU64(static_cast<uint64_t>(absl::ToInt64Microseconds(spec.max_time)));
}

// Both are over what was asked, and not over what it led to: when a call is repeated, its dataset
// may have got samples, and with them its posterior another key.
Digest BodyOf(const PosteriorSpec& spec) {
  Sha256 sha;
  sha.UpdateField("create posterior");
  sha.UpdateField(spec.checkpoint);
  sha.UpdateField(spec.dataset);
  sha.UpdateField(CanonicalSettings(spec.settings));
  sha.UpdateField(spec.display_name);
  sha.UpdateU64(spec.settings.draws_per_chain);
  sha.UpdateU64(spec.token_traces);
  sha.UpdateU64(static_cast<uint64_t>(spec.token_trace_type));
  if (spec.target) AddTo(sha, *spec.target);
  return sha.Finish();
}

Digest BodyOf(const std::string& extended, uint32_t draws,
              const std::optional<TargetSpec>& target) {
  Sha256 sha;
  sha.UpdateField("extend posterior");
  sha.UpdateField(extended);
  sha.UpdateU64(draws);
  if (target) AddTo(sha, *target);
  return sha.Finish();
}

PosteriorRecord NewRecord(const PosteriorSpec& spec, const CheckedPosterior& checked,
                          uint64_t number, absl::Time now) {
  PosteriorRecord record;
  record.set_key(checked.key);
  record.set_display_name(spec.display_name);
  record.set_checkpoint(checked.checkpoint_digest);
  record.set_dataset(checked.dataset.id());
  *record.mutable_settings() = ToRecord(spec.settings);
  record.set_number(number);
  for (uint32_t c = 0; c < spec.settings.chains; ++c) record.add_chains()->set_index(c);
  record.set_steps_between_draws(spec.settings.steps_between_draws);
  record.set_training_rows(checked.dataset.rows());
  uint32_t next = 0;
  for (const uint32_t ordinal : checked.training_ordinals) {
    for (; next < ordinal; ++next) record.add_excluded_rows(next);
    ++next;
  }
  for (; next < checked.dataset.rows(); ++next) record.add_excluded_rows(next);
  record.set_moving_parameters(checked.moving.elements);
  record.set_token_traces(spec.token_traces);
  record.set_token_trace_type(static_cast<uint32_t>(spec.token_trace_type));
  record.set_create_time_unix_micros(absl::ToUnixMicros(now));
  return record;
}

storage::pb::SamplingRequest Wanted(uint32_t draws_per_chain, int priority) {
  storage::pb::SamplingRequest wanted;
  wanted.set_draws_per_chain(draws_per_chain);
  wanted.set_priority(priority);
  return wanted;
}

bool IsOnTheWayTo(const storage::pb::SamplingTarget& target, const PosteriorRecord& record) {
  return record.has_stop() && SameTarget(record.stop().target(), target);
}

// The longest run that the spec may lead to.
engine::SamplerSettings MostSettings(const PosteriorSpec& spec) {
  engine::SamplerSettings settings = spec.settings;
  if (spec.target) settings.draws_per_chain = MostDraws(*spec.target);
  return settings;
}

}  // namespace

class Posteriors::Impl {
 public:
  Impl(const PosteriorContext& context, DeviceExecutor& executor)
      : context_(context), executor_(executor), request_ids_(context.store.catalog()) {}

  absl::Status Recover();
  absl::StatusOr<Operation> Create(const PosteriorSpec& spec);
  absl::StatusOr<CostEstimate> Estimate(const PosteriorSpec& spec);
  absl::StatusOr<Operation> Extend(const RequestId& request, const std::string& name,
                                   storage::pb::SamplingRequest wanted,
                                   const std::optional<TargetSpec>& target);
  absl::Status Delete(const std::string& name);
  absl::StatusOr<PosteriorRecord> Find(const std::string& name);
  absl::StatusOr<PosteriorView> Open(const std::string& name);

  const PosteriorContext& context() const { return context_; }
  std::function<void(uint64_t)> on_deleted;

 private:
  storage::Catalog& catalog() { return context_.store.catalog(); }
  absl::StatusOr<PosteriorRecord> FindByKey(const std::string& key);
  // The operation that this call was answered with before. To be asked ahead of all checks: what
  // they look at may have changed since, and a client whose answer was lost is to get it.
  absl::StatusOr<std::optional<Operation>> AnsweredBefore(const RequestId& request,
                                                          const Digest& body);
  // Goes on where the record stands, up to the wanted draws; or answers with what runs or is done
  // already. Under reference_mutex.
  absl::StatusOr<Operation> Continue(const char* kind, const RequestId& request, const Digest& body,
                                     PosteriorRecord record,
                                     const storage::pb::SamplingRequest& wanted,
                                     const CostEstimate& estimate);
  absl::Status SettleStates();
  absl::StatusOr<Operation> AnswerDone(const RequestId& request, const Digest& body,
                                       const PosteriorRecord& record);
  absl::StatusOr<Operation> Remembered(const RequestId& request, const Digest& body,
                                       const std::string& operation_id);
  absl::Status Submit(std::shared_ptr<RunningOperation> operation, const PosteriorRecord& record);
  // The operation that works on the posterior, or nullptr. Waits for one that is just ending.
  std::shared_ptr<RunningOperation> Active(const std::string& key) ABSL_LOCKS_EXCLUDED(mutex_);

  const PosteriorContext context_;
  DeviceExecutor& executor_;
  RequestIds request_ids_;
  absl::Mutex mutex_;  // guards what runs
  absl::flat_hash_map<std::string, std::shared_ptr<RunningOperation>> active_
      ABSL_GUARDED_BY(mutex_);  // by key
};

absl::StatusOr<PosteriorRecord> Posteriors::Impl::FindByKey(const std::string& key) {
  return catalog().Get<PosteriorRecord>(storage::PosteriorKey(key));
}

absl::StatusOr<PosteriorRecord> Posteriors::Impl::Find(const std::string& name) {
  BIF_ASSIGN_OR_RETURN(const std::string key, ResolveDigest(catalog(), RecordKind::kPosterior,
                                                            "posteriors", name, "name"));
  return FindByKey(key);
}

std::shared_ptr<RunningOperation> Posteriors::Impl::Active(const std::string& key) {
  absl::MutexLock lock(&mutex_);
  const auto settled = [this, &key]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    const auto found = active_.find(key);
    return found == active_.end() ||
           context_.operations.FindRunning(found->second->id()) != nullptr;
  };
  mutex_.Await(absl::Condition(&settled));
  const auto found = active_.find(key);
  return found == active_.end() ? nullptr : found->second;
}

absl::Status Posteriors::Impl::Submit(std::shared_ptr<RunningOperation> operation,
                                      const PosteriorRecord& record) {
  const std::string key = record.key();
  storage::pb::SamplingRequest wanted;
  wanted.ParseFromString(operation->request());  // where it cannot be read, without a priority
  {
    absl::MutexLock lock(&mutex_);
    active_[key] = operation;
  }
  const auto ended = [this, key] {
    absl::MutexLock lock(&mutex_);
    active_.erase(key);
  };
  const absl::Status submitted =
      executor_.Submit({Priority::kSampling, TenantOf(operation->id()), wanted.priority()},
                       std::make_unique<PosteriorJob>(context_, operation, record, ended));
  // While the daemon drains, the operation waits in the catalog for the next start.
  if (submitted.ok() || absl::IsUnavailable(submitted)) return absl::OkStatus();
  PosteriorRecord failed = record;
  failed.set_state(static_cast<uint32_t>(PosteriorState::kFailed));
  failed.set_state_reason(std::string(submitted.message()));
  storage::WriteSet writes;
  writes.Put(storage::PosteriorKey(key), failed);
  operation->Finish(submitted, OperationResult{}, std::move(writes));
  ended();
  return submitted;
}

// The end of an operation may have been stored without what it says of its posterior, because the
// disk was full (OperationManager::StoreEnds).
absl::Status Posteriors::Impl::SettleStates() {
  BIF_ASSIGN_OR_RETURN(const auto records, catalog().Scan<PosteriorRecord>(
                                               storage::KindPrefix(RecordKind::kPosterior)));
  for (const auto& [key, record] : records) {
    const PosteriorState state = StateOf(record);
    if (state != PosteriorState::kQueued && state != PosteriorState::kSampling) continue;
    const auto operation = context_.operations.Get(OperationName(record.operation()));
    if (!operation.ok() || !operation->done) continue;
    PosteriorRecord settled = record;
    settled.set_state(static_cast<uint32_t>(PosteriorState::kFailed));
    settled.set_state_reason(std::string(operation->error.message()));
    storage::WriteSet writes;
    writes.Put(storage::PosteriorKey(record.key()), settled);
    BIF_RETURN_IF_ERROR(catalog().Commit(writes));
  }
  return absl::OkStatus();
}

absl::Status Posteriors::Impl::Recover() {
  BIF_RETURN_IF_ERROR(SettleStates());
  for (const char* kind : {kPosteriorOperation, kExtendOperation}) {
    for (const auto& operation : context_.operations.TakeUnfinished(kind)) {
      const absl::StatusOr<PosteriorRecord> record = FindByKey(operation->target_key());
      if (!record.ok()) {
        operation->Finish(Annotate(record.status(), "the posterior is gone"), OperationResult{});
        continue;
      }
      BIF_RETURN_IF_ERROR(Submit(operation, *record));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<CostEstimate> Posteriors::Impl::Estimate(const PosteriorSpec& asked) {
  PosteriorSpec spec = asked;
  if (spec.target) BIF_RETURN_IF_ERROR(CheckTarget(*spec.target));
  spec.settings = MostSettings(asked);
  BIF_ASSIGN_OR_RETURN(const CheckedPosterior checked, CheckPosterior(context_, spec));
  if (spec.target) {
    BIF_RETURN_IF_ERROR(ResolveTarget(context_, checked, spec.dataset, *spec.target).status());
  }
  BIF_RETURN_IF_ERROR(CheckTargets(context_, checked));
  const CostEstimate estimate =
      EstimateCost(context_, checked, spec.settings, spec.settings.draws_per_chain);
  BIF_RETURN_IF_ERROR(CheckRoom(context_, estimate));
  return estimate;
}

absl::StatusOr<std::optional<Operation>> Posteriors::Impl::AnsweredBefore(const RequestId& request,
                                                                          const Digest& body) {
  BIF_ASSIGN_OR_RETURN(const auto before, request_ids_.Find(request, body));
  if (!before) return std::nullopt;
  absl::StatusOr<Operation> known = context_.operations.Get(OperationName(*before));
  if (absl::IsNotFound(known.status())) return std::nullopt;  // forgotten
  if (!known.ok()) return known.status();
  return *std::move(known);
}

absl::StatusOr<Operation> Posteriors::Impl::Create(const PosteriorSpec& asked) {
  PosteriorSpec spec = asked;
  if (spec.target) BIF_RETURN_IF_ERROR(CheckTarget(*spec.target));
  spec.settings = MostSettings(asked);
  const Digest body = BodyOf(spec);
  BIF_ASSIGN_OR_RETURN(const std::optional<Operation> before, AnsweredBefore(spec.request, body));
  if (before) return *before;
  BIF_ASSIGN_OR_RETURN(const CheckedPosterior checked, CheckPosterior(context_, spec));
  const uint32_t draws = spec.settings.draws_per_chain;
  storage::pb::SamplingRequest wanted = Wanted(draws, spec.priority);
  if (spec.target) {
    BIF_ASSIGN_OR_RETURN(*wanted.mutable_target(),
                         ResolveTarget(context_, checked, spec.dataset, *spec.target));
  }
  const CostEstimate estimate = EstimateCost(context_, checked, spec.settings, draws);
  if (absl::IsNotFound(FindByKey(checked.key).status()))
    BIF_RETURN_IF_ERROR(CheckTargets(context_, checked));

  // From here to the commit nobody deletes what the posterior needs, and nobody else creates the
  // same one.
  absl::MutexLock lock(&context_.checkpoints.reference_mutex());
  BIF_RETURN_IF_ERROR(context_.checkpoints.GetSources(checked.checkpoint_digest).status());
  BIF_RETURN_IF_ERROR(context_.datasets.Record(spec.dataset, "dataset").status());
  absl::StatusOr<PosteriorRecord> record = FindByKey(checked.key);
  if (absl::IsNotFound(record.status())) {
    BIF_RETURN_IF_ERROR(CheckRoom(context_, estimate));
    // A sample that was deleted after the checks may be erased by now.
    BIF_ASSIGN_OR_RETURN(const auto dataset, context_.datasets.Record(spec.dataset, "dataset"));
    if (dataset.deleted() != checked.dataset.deleted())
      return absl::AbortedError(absl::StrCat(spec.dataset, " has just lost samples; try again"));
    BIF_ASSIGN_OR_RETURN(const uint64_t number, catalog().NextNumber("posterior"));
    record = NewRecord(spec, checked, number, context_.clock.Now());
  }
  if (!record.ok()) return record.status();
  return Continue(kPosteriorOperation, spec.request, body, *std::move(record), wanted, estimate);
}

absl::StatusOr<Operation> Posteriors::Impl::Extend(const RequestId& request,
                                                   const std::string& name,
                                                   storage::pb::SamplingRequest wanted,
                                                   const std::optional<TargetSpec>& target) {
  if (target) BIF_RETURN_IF_ERROR(CheckTarget(*target));
  const uint32_t draws = wanted.draws_per_chain();
  if (draws < 2 || draws > engine::kMaxDrawsPerChain) {
    return FieldError("draws_per_chain",
                      absl::StrCat("must be 2 to ", engine::kMaxDrawsPerChain, ", is ", draws));
  }
  const Digest body = BodyOf(name, draws, target);
  BIF_ASSIGN_OR_RETURN(const std::optional<Operation> before, AnsweredBefore(request, body));
  if (before) return *before;
  absl::MutexLock lock(&context_.checkpoints.reference_mutex());
  BIF_ASSIGN_OR_RETURN(PosteriorRecord record, Find(name));
  if (draws < record.draws_committed()) {
    return FieldError(target ? "target.max_draws_per_chain" : "draws_per_chain",
                      absl::StrCat("is the new total; ", name, " has ", record.draws_committed(),
                                   " draws a chain already"));
  }
  engine::SamplerSettings settings = FromRecord(record.settings());
  CheckedPosterior checked;
  checked.checkpoint_digest = record.checkpoint();
  BIF_ASSIGN_OR_RETURN(checked.sources, context_.checkpoints.GetSources(record.checkpoint()));
  BIF_ASSIGN_OR_RETURN(checked.moving, engine::SelectParameters(checked.sources.info.parameters,
                                                                settings.parameters));
  checked.training_ordinals = TrainingOrdinals(record);
  checked.token_traces = record.token_traces();
  checked.token_trace_type = TokenTraceTypeOf(record);
  if (target) {
    BIF_ASSIGN_OR_RETURN(*wanted.mutable_target(),
                         ResolveTarget(context_, checked, DatasetName(record.dataset()), *target));
  }
  settings.steps_between_draws = record.steps_between_draws();
  if (record.draws_committed() > 0) settings.burn_in_steps = 0;
  BIF_ASSIGN_OR_RETURN(const auto traces,
                       context_.traces.Get(record.number(), record.draws_committed()));
  BIF_ASSIGN_OR_RETURN(const RowsByDataset carried, FindRowsToCarry(context_, record, *traces));
  int64_t carried_rows = 0;
  for (const auto& [dataset, rows] : carried) carried_rows += static_cast<int64_t>(rows.size());
  const CostEstimate estimate =
      EstimateCost(context_, checked, settings, draws - record.draws_committed(), carried_rows);
  return Continue(kExtendOperation, request, body, std::move(record), wanted, estimate);
}

absl::StatusOr<Operation> Posteriors::Impl::Remembered(const RequestId& request, const Digest& body,
                                                       const std::string& operation_id) {
  storage::WriteSet writes;
  request_ids_.Remember(request, body, operation_id, context_.clock.Now(), writes);
  if (!writes.changes().empty()) BIF_RETURN_IF_ERROR(catalog().Commit(writes));
  return context_.operations.Get(OperationName(operation_id));
}

absl::StatusOr<Operation> Posteriors::Impl::AnswerDone(const RequestId& request, const Digest& body,
                                                       const PosteriorRecord& record) {
  const absl::StatusOr<Operation> last = context_.operations.Get(OperationName(record.operation()));
  if (last.ok() && last->done && last->error.ok())
    return Remembered(request, body, record.operation());
  // The last one failed or was deleted; the draws are there all the same.
  BIF_ASSIGN_OR_RETURN(const std::string id, context_.operations.NewId(request.tenant));
  storage::WriteSet writes;
  request_ids_.Remember(request, body, id, context_.clock.Now(), writes);
  BIF_ASSIGN_OR_RETURN(const auto operation, context_.operations.Create(id, kPosteriorOperation,
                                                                        record.key(), "", writes));
  operation->Finish(absl::OkStatus(), OperationResult{});
  return context_.operations.Get(OperationName(id));
}

absl::StatusOr<Operation> Posteriors::Impl::Continue(const char* kind, const RequestId& request,
                                                     const Digest& body, PosteriorRecord record,
                                                     const storage::pb::SamplingRequest& wanted,
                                                     const CostEstimate& estimate) {
  const uint32_t draws = wanted.draws_per_chain();
  // Once more, under the lock: the same call may have come twice at once.
  BIF_ASSIGN_OR_RETURN(const std::optional<Operation> before, AnsweredBefore(request, body));
  if (before) return *before;
  if (const auto active = Active(record.key()); active != nullptr) {
    BIF_ASSIGN_OR_RETURN(const PosteriorRecord running, FindByKey(record.key()));
    // A run towards a target may end before it has the draws that others want.
    const bool serves = wanted.has_target()
                            ? IsOnTheWayTo(wanted.target(), running)
                            : !running.has_stop() && draws <= running.draws_target();
    if (serves) return Remembered(request, body, active->id());
    return WithReason(
        absl::FailedPreconditionError(absl::StrCat(
            PosteriorName(record.key()), " is being sampled up to ", running.draws_target(),
            " draws a chain; wait for ", OperationName(active->id()), ", then extend it")),
        "POSTERIOR_RUNNING");
  }
  const bool known_posterior = !record.operation().empty();
  if (known_posterior) {
    // It may have gone on between the caller's look and Active's wait.
    BIF_ASSIGN_OR_RETURN(record, FindByKey(record.key()));
    // Without the losses of its tokens a run is not done yet.
    const bool tokens_lack = record.token_traces() && StateOf(record) != PosteriorState::kReady;
    const bool reached = wanted.has_target() ? IsOnTheWayTo(wanted.target(), record) &&
                                                   record.stop().reason() !=
                                                       static_cast<uint32_t>(StopReason::kGoesOn)
                                             : record.draws_committed() >= draws;
    if (reached && !ActiveChains(record).empty() && !tokens_lack)
      return AnswerDone(request, body, record);
    if (ActiveChains(record).empty()) {
      return WithReason(
          absl::FailedPreconditionError(absl::StrCat(
              PosteriorName(record.key()), " has no chain left: ", DivergenceSummary(record),
              "; create one with a lower step_size or a higher gamma")),
          "ALL_CHAINS_DIVERGED");
    }
    BIF_RETURN_IF_ERROR(CheckRoom(context_, estimate));
  }
  {
    absl::MutexLock lock(&mutex_);
    if (active_.size() >= context_.options.max_posterior_jobs) {
      return WithReason(
          absl::ResourceExhaustedError(absl::StrCat(
              active_.size(), " posteriors are waiting or being sampled already; try again later")),
          "QUEUE_FULL");
    }
  }
  BIF_ASSIGN_OR_RETURN(const std::string id, context_.operations.NewId(request.tenant));
  record.set_operation(id);
  record.set_draws_target(draws);
  if (!wanted.has_target()) {
    record.clear_stop();
  } else if (!IsOnTheWayTo(wanted.target(), record) ||
             record.stop().reason() != static_cast<uint32_t>(StopReason::kGoesOn)) {
    record.set_draws_target(std::max(draws, record.draws_committed()));
    record.mutable_stop()->Clear();
    *record.mutable_stop()->mutable_target() = wanted.target();
    record.mutable_stop()->set_first_draw(record.draws_committed());
    record.mutable_stop()->set_first_micros(record.sampling_micros());
  }
  record.set_state(static_cast<uint32_t>(PosteriorState::kQueued));
  record.clear_state_reason();
  storage::WriteSet writes;
  writes.Put(storage::PosteriorKey(record.key()), record);
  request_ids_.Remember(request, body, id, context_.clock.Now(), writes);
  BIF_ASSIGN_OR_RETURN(const auto operation, context_.operations.Create(
                                                 id, kind, record.key(), wanted.SerializeAsString(),
                                                 std::move(writes), estimate));
  OperationProgress progress = operation->progress();
  progress.draws_done = record.draws_committed() * static_cast<uint32_t>(record.chains_size());
  progress.draws_total = draws * static_cast<uint32_t>(record.chains_size());
  progress.rows = TrainingRowCount(record);
  progress.estimate = estimate;
  operation->Report(progress);
  BIF_RETURN_IF_ERROR(Submit(operation, record));
  return context_.operations.Get(OperationName(id));
}

absl::Status Posteriors::Impl::Delete(const std::string& name) {
  BIF_ASSIGN_OR_RETURN(const PosteriorRecord found, Find(name));
  const std::string& key = found.key();
  if (const auto active = Active(key); active != nullptr) {
    BIF_RETURN_IF_ERROR(context_.operations.Cancel(OperationName(active->id())));
    absl::MutexLock lock(&mutex_);
    const auto ended = [this, &key]()
                           ABSL_NO_THREAD_SAFETY_ANALYSIS { return !active_.contains(key); };
    mutex_.AwaitWithTimeout(absl::Condition(&ended), kDeleteWait);
  }
  PosteriorRecord record;
  {
    absl::MutexLock lock(&context_.checkpoints.reference_mutex());
    if (Active(key) != nullptr)
      return absl::UnavailableError(absl::StrCat(name, " is still stopping; try again"));
    BIF_ASSIGN_OR_RETURN(record, FindByKey(key));
    storage::WriteSet writes;
    writes.Delete(storage::PosteriorKey(key));
    writes.DeletePrefix(storage::DrawPrefix(record.number()));
    writes.DeletePrefix(storage::TraceExtentPrefix(record.number()));
    writes.DeletePrefix(storage::TokenExtentPrefix(record.number()));
    writes.DeletePrefix(storage::ObservablePrefix(record.number()));
    BIF_RETURN_IF_ERROR(catalog().Commit(writes));
  }
  // Nothing names its bytes any more; what a crash leaves of them is swept at start-up.
  (void)executor_.RunAndWait({Priority::kInteractive}, [this, &key] {
    context_.models.ForgetPosterior(key);
    return absl::OkStatus();
  });
  context_.traces.Forget(record.number());
  if (on_deleted) on_deleted(record.number());
  context_.datasets.Released(record.dataset());
  BIF_RETURN_IF_ERROR(context_.store.draws().DeletePosterior(record.number()));
  return context_.store.traces().DeletePosterior(record.number());
}

absl::StatusOr<PosteriorView> Posteriors::Impl::Open(const std::string& name) {
  PosteriorView view;
  BIF_ASSIGN_OR_RETURN(view.record, Find(name));
  const PosteriorState state = StateOf(view.record);
  if (state == PosteriorState::kQueued || state == PosteriorState::kSampling) {
    // While it is extended, the draws that were there before stay open to queries.
    const auto running = context_.operations.FindRunning(view.record.operation());
    if (running != nullptr && running->kind() != kExtendOperation) {
      return WithReason(
          absl::FailedPreconditionError(absl::StrCat(name, " is still being sampled; wait for ",
                                                     OperationName(view.record.operation()))),
          "POSTERIOR_RUNNING");
    }
  }
  view.active_chains = ActiveChains(view.record);
  view.draws = view.record.draws_committed();
  if (view.draws < 2 || view.active_chains.empty()) {
    return WithReason(absl::FailedPreconditionError(absl::StrCat(
                          name, " has too few draws to answer from: ", view.draws, " of ",
                          view.active_chains.size(), " chains; ", view.record.state_reason())),
                      "TOO_FEW_DRAWS");
  }
  BIF_ASSIGN_OR_RETURN(view.sources, context_.checkpoints.GetSources(view.record.checkpoint()));
  view.settings = FromRecord(view.record.settings());
  BIF_ASSIGN_OR_RETURN(view.moving, engine::SelectParameters(view.sources.info.parameters,
                                                             view.settings.parameters));
  view.plan = FromRecord(view.record.plan());
  return view;
}

Posteriors::Posteriors(storage::Store& store, engine::Engine& engine, Checkpoints& checkpoints,
                       Datasets& datasets, OperationManager& operations, DeviceExecutor& executor,
                       OpenPosteriors& traces, ModelCache& models, Counters& counters, Clock& clock,
                       const Options& options)
    : speeds_(std::make_unique<Speeds>()),
      impl_(std::make_unique<Impl>(
          PosteriorContext{store, engine, checkpoints, datasets, operations, traces, models,
                           counters, clock, *speeds_, options},
          executor)) {}
Posteriors::~Posteriors() = default;

absl::Status Posteriors::Recover() { return impl_->Recover(); }
absl::StatusOr<Operation> Posteriors::Create(const PosteriorSpec& spec) {
  return impl_->Create(spec);
}
absl::StatusOr<CostEstimate> Posteriors::Estimate(const PosteriorSpec& spec) {
  return impl_->Estimate(spec);
}
absl::StatusOr<Operation> Posteriors::Extend(const RequestId& request, const std::string& name,
                                             uint32_t draws_per_chain, int priority) {
  return impl_->Extend(request, name, Wanted(draws_per_chain, priority), std::nullopt);
}
absl::StatusOr<Operation> Posteriors::Extend(const RequestId& request, const std::string& name,
                                             const TargetSpec& target, int priority) {
  return impl_->Extend(request, name, Wanted(MostDraws(target), priority), target);
}
absl::Status Posteriors::Delete(const std::string& name) { return impl_->Delete(name); }
absl::StatusOr<PosteriorView> Posteriors::Open(const std::string& name) {
  return impl_->Open(name);
}
void Posteriors::OnDeleted(std::function<void(uint64_t)> listener) {
  impl_->on_deleted = std::move(listener);
}

absl::StatusOr<Posterior> Posteriors::Get(const std::string& name) {
  BIF_ASSIGN_OR_RETURN(const PosteriorRecord record, impl_->Find(name));
  return FromRecord(record);
}

absl::StatusOr<Page<Posterior>> Posteriors::List(const PageRequest& page) {
  return ListRecords<PosteriorRecord, Posterior>(
      impl_->context().store.catalog(), RecordKind::kPosterior, "posteriors", page,
      [](const PosteriorRecord& record) { return FromRecord(record); });
}

absl::StatusOr<PosteriorDiagnostics> Posteriors::Diagnose(const std::string& name) {
  BIF_ASSIGN_OR_RETURN(const PosteriorRecord record, impl_->Find(name));
  BIF_ASSIGN_OR_RETURN(PosteriorDiagnostics diagnostics,
                       DiagnosePosterior(impl_->context().store, record));
  BIF_ASSIGN_OR_RETURN(const Checkpoints::Sources sources,
                       impl_->context().checkpoints.GetSources(record.checkpoint()));
  BIF_ASSIGN_OR_RETURN(diagnostics.component,
                       ComponentOf(sources.info, FromRecord(record.settings()).parameters));
  diagnostics.checkpoint = CheckpointName(record.checkpoint());
  return diagnostics;
}

}  // namespace bif::jobs
