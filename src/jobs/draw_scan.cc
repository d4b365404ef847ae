#include "src/jobs/draw_scan.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "src/base/catch_exceptions.h"
#include "src/base/half.h"
#include "src/base/status.h"
#include "src/jobs/observable_checks.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/samples.h"

namespace bif::jobs {
namespace {

// A slice is what an interactive query or a sampling step has to wait for: tens of milliseconds.
constexpr absl::Duration kQuickSlice = absl::Milliseconds(10);
constexpr absl::Duration kSlowSlice = absl::Milliseconds(40);
constexpr size_t kLargestSlice = 64;              // places
constexpr size_t kSliceBytes = size_t{64} << 20;  // decoded draws held at once

// Damage that one draw may have, and the others not.
bool IsDamage(const absl::Status& status) {
  return absl::IsDataLoss(status) || absl::IsNotFound(status);
}

// The columns that the program looks at: batches of several riders hold no others.
void KeepNeededColumns(const engine::ProgramInfo& info, SampleBatch& samples) {
  std::erase_if(samples.columns, [&](const Column& column) {
    return std::none_of(info.columns.begin(), info.columns.end(),
                        [&](const TensorSpec& needed) { return needed.name == column.spec.name; });
  });
}

}  // namespace

// One group of a rider, and how far it has come.
struct DrawScan::Unit {
  uint64_t number = 0;  // no other unit of the scan ever has it, while its address may come again
  Rider* rider = nullptr;
  const EvaluationGroup* group = nullptr;
  size_t total = 0;
  size_t first = 0;  // the first place that it needs
  size_t start = 0;  // where it joined; at the end of the places it goes on at `first`
  size_t done = 0;   // places

  size_t rows() const { return group->rows.size(); }
  bool finished() const { return done == total - first; }
  bool in_first_round() const { return done < total - start; }
  size_t next() const { return in_first_round() ? start + done : first + done - (total - start); }
  size_t stretch_end() const { return in_first_round() ? total : start; }
  // How many places from `origin` on it knows, the stored ones among them.
  size_t known_from(size_t origin) const {
    if (finished()) return total;
    return in_first_round() ? next() - origin : total - origin + next();
  }
};

struct DrawScan::Rider {
  ScanRider asked;
  size_t origin = 0;  // where its window of known draws begins
  std::vector<std::unique_ptr<Unit>> units;

  size_t known() const {
    size_t least = units[0]->total;
    for (const auto& unit : units) least = std::min(least, unit->known_from(origin));
    return least;
  }
  bool finished() const { return known() == units[0]->total; }
};

struct DrawScan::Batch {
  std::vector<uint64_t> numbers;  // of the members: who they were, also when they are gone
  std::vector<Unit*> members;
  std::unique_ptr<engine::ResidentRows> rows;
  size_t traces = 0;  // numbers of all its rows at one draw

  const engine::Observable& observable() const { return members[0]->rider->asked.spec.observable; }
};

DrawScan::DrawScan(const PosteriorView& view, CacheUse use, ModelCache& models, DrawReader& draws,
                   Counters& counters)
    : view_(view),
      use_(use),
      models_(models),
      draws_(draws),
      counters_(counters),
      total_(view.active_chains.size() * view.draws) {}

DrawScan::~DrawScan() = default;

absl::Status DrawScan::LoadModel() {
  if (model_ != nullptr) return absl::OkStatus();
  draws_.Prefetch(Places(position_, position_ + slice_), view_.moving.elements);
  BIF_ASSIGN_OR_RETURN(model_, models_.GetModel(view_.record.checkpoint()));
  return absl::OkStatus();
}

void DrawScan::Join(std::vector<ScanRider> asked) {
  const size_t chains = view_.active_chains.size();
  if (riders_.empty()) position_ = 0;
  std::vector<std::unique_ptr<Rider>> joining;
  for (ScanRider& one : asked) {
    auto rider = std::make_unique<Rider>();
    one.result->Begin();
    rider->asked = std::move(one);
    rider->origin = (position_ + chains - 1) / chains * chains % total_;
    for (EvaluationGroup& group : rider->asked.spec.groups) {
      KeepNeededColumns(view_.sources.info, group.samples);
      auto unit = std::make_unique<Unit>();
      unit->number = ++last_unit_;
      unit->rider = rider.get();
      unit->group = &group;
      unit->total = total_;
      unit->first = group.first_draw * chains;
      unit->start = std::max(rider->origin, unit->first);
      rider->units.push_back(std::move(unit));
    }
    joining.push_back(std::move(rider));
  }
  shares_.clear();
  const absl::Status status = CatchExceptions([&] { return TryJoin(joining); });
  for (auto& rider : joining) {
    if (rider == nullptr) continue;  // it has ended with an error of its own
    if (status.ok()) {
      riders_.push_back(std::move(rider));
    } else {
      rider->asked.result->Report({{}, true, status});
    }
  }
}

// Riders whose samples are wrong are ended and reset; any other error is for all that are left.
absl::Status DrawScan::TryJoin(std::vector<std::unique_ptr<Rider>>& joining) {
  BIF_RETURN_IF_ERROR(LoadModel());
  while (true) {
    std::vector<Unit*> units;
    for (const auto& rider : joining) {
      if (rider == nullptr) continue;
      for (const auto& unit : rider->units) units.push_back(unit.get());
    }
    SetShares(units);
    absl::Status wrong;
    for (std::vector<Unit*>& alike : Alike(units)) {
      const absl::StatusOr<Batch*> batch = BatchOf(std::move(alike));
      wrong = batch.ok() ? EvaluateAnchor(**batch) : batch.status();
      if (!wrong.ok()) break;
    }
    if (!absl::IsInvalidArgument(wrong)) return wrong;
    bool found = false;
    for (auto& rider : joining) {
      absl::Status own;
      for (size_t u = 0; rider != nullptr && own.ok() && u < rider->units.size(); ++u)
        own = CheckAlone(*rider->units[u]);
      if (own.ok()) continue;
      if (!absl::IsInvalidArgument(own)) return own;
      rider->asked.result->Report({{}, true, own});
      rider.reset();
      found = true;
    }
    if (!found) return wrong;
  }
}

// Whose fault is it? One sample after the other, to name the request's own field.
absl::Status DrawScan::CheckAlone(const Unit& unit) {
  const ScanRider& asked = unit.rider->asked;
  for (size_t r = 0; r < unit.rows(); ++r) {
    const auto alone = model_->Upload(SelectRows(unit.group->samples, {&r, 1}));
    if (absl::IsInvalidArgument(alone.status())) {
      return FieldError(asked.spec.field_of_row(unit.group->rows[r]),
                        std::string(alone.status().message()));
    }
    BIF_RETURN_IF_ERROR(alone.status());
  }
  BIF_ASSIGN_OR_RETURN(const auto all, model_->Upload(unit.group->samples));
  return CheckSequences(unit, *all, 0);
}

absl::Status DrawScan::CheckSequences(const Unit& unit, const engine::ResidentRows& resident,
                                      int64_t first_row) {
  const ScanRider& asked = unit.rider->asked;
  for (size_t r = 0; r < unit.rows(); ++r) {
    const size_t row = unit.group->rows[r];
    const int64_t losses = resident.token_losses(first_row + static_cast<int64_t>(r));
    BIF_RETURN_IF_ERROR(
        CheckPositions(asked.spec.observable, losses + 1, asked.spec.field_of_row(row)));
    if (asked.spec.observable.kind == engine::ObservableKind::kTokenLosses &&
        losses != static_cast<int64_t>(asked.result->traces(row))) {
      return absl::InternalError(absl::StrCat(asked.spec.field_of_row(row), " has ", losses,
                                              " losses of tokens on the device and ",
                                              asked.result->traces(row), " in the jobs"));
    }
  }
  return absl::OkStatus();
}

std::vector<std::vector<DrawScan::Unit*>> DrawScan::Alike(const std::vector<Unit*>& units) {
  const auto alike = [](const Unit& a, const Unit& b) {
    const auto& x = a.group->samples.columns;
    const auto& y = b.group->samples.columns;
    return a.rider->asked.spec.observable == b.rider->asked.spec.observable &&
           std::equal(x.begin(), x.end(), y.begin(), y.end(),
                      [](const Column& c, const Column& d) { return c.spec == d.spec; });
  };
  std::vector<std::vector<Unit*>> sets;
  for (Unit* unit : units) {
    const auto set = std::find_if(sets.begin(), sets.end(),
                                  [&](const auto& other) { return alike(*other[0], *unit); });
    if (set == sets.end()) {
      sets.push_back({unit});
    } else {
      set->push_back(unit);
    }
  }
  return sets;
}

absl::StatusOr<DrawScan::Batch*> DrawScan::BatchOf(std::vector<Unit*> members) {
  std::vector<uint64_t> numbers;
  for (const Unit* unit : members) numbers.push_back(unit->number);
  for (const auto& known : batches_) {
    if (known->numbers == numbers) return known.get();
  }
  auto batch = std::make_unique<Batch>();
  batch->numbers = std::move(numbers);
  batch->members = std::move(members);
  if (batch->members.size() == 1) {
    BIF_ASSIGN_OR_RETURN(batch->rows, model_->Upload(batch->members[0]->group->samples));
  } else {
    SampleBatch all;
    for (const Unit* unit : batch->members) AppendRows(unit->group->samples, all);
    BIF_ASSIGN_OR_RETURN(batch->rows, model_->Upload(all));
  }
  int64_t row = 0;
  for (const Unit* unit : batch->members) {
    BIF_RETURN_IF_ERROR(CheckSequences(*unit, *batch->rows, row));
    row += static_cast<int64_t>(unit->rows());
    for (const size_t r : unit->group->rows) batch->traces += unit->rider->asked.result->traces(r);
  }
  batches_.push_back(std::move(batch));
  return batches_.back().get();
}

absl::Status DrawScan::Observe(const Batch& batch,
                               absl::Span<const absl::Span<const float>> deltas) {
  observed_.resize(deltas.size() * batch.traces);
  BIF_RETURN_IF_ERROR(model_->Observe(view_.moving, deltas, *batch.rows, 0, batch.rows->rows(),
                                      batch.observable(), view_.plan, absl::MakeSpan(observed_)));
  if (batch.observable().kind == engine::ObservableKind::kTokenLosses &&
      TokenTraceTypeOf(view_.record) == storage::TraceType::kFloat16) {
    for (float& value : observed_) value = RoundToHalf(value);
  }
  return absl::OkStatus();
}

absl::Status DrawScan::EvaluateAnchor(const Batch& batch) {
  const absl::Span<const float> anchor;  // an empty delta stands for w*
  BIF_RETURN_IF_ERROR(Observe(batch, {&anchor, 1}));
  auto from = observed_.begin();
  for (const Unit* unit : batch.members) {
    for (const size_t row : unit->group->rows) {
      const absl::Span<float> to = unit->rider->asked.result->anchor(row);
      std::copy_n(from, to.size(), to.begin());
      from += static_cast<int64_t>(to.size());
    }
  }
  return absl::OkStatus();
}

absl::Status DrawScan::EvaluateSlice(const Batch& batch,
                                     const std::vector<DrawReader::Delta>& deltas) {
  const size_t chains = view_.active_chains.size();
  std::vector<absl::Span<const float>> wanted;
  std::vector<size_t> columns;  // of the result
  for (size_t i = 0; i < deltas.size(); ++i) {
    if (deltas[i] == nullptr) continue;
    wanted.push_back(*deltas[i]);
    columns.push_back((position_ + i) % chains * view_.draws + (position_ + i) / chains);
  }
  if (wanted.empty()) return absl::OkStatus();
  BIF_RETURN_IF_ERROR(Observe(batch, wanted));
  const float* from = observed_.data();  // of the first draw
  for (const Unit* unit : batch.members) {
    EvaluatedRows& result = *unit->rider->asked.result;
    for (const size_t row : unit->group->rows) {
      const absl::Span<float> to = result.row(row);
      for (size_t t = 0; t < result.traces(row); ++t, ++from) {
        for (size_t d = 0; d < columns.size(); ++d)
          to[t * result.stride() + columns[d]] = from[d * batch.traces];
      }
    }
    counters_.query_rows_observed += wanted.size() * unit->rows();
  }
  counters_.scan_draws_served += wanted.size() * batch.members.size();
  return absl::OkStatus();
}

std::vector<DrawPlace> DrawScan::Places(size_t begin, size_t end) const {
  const std::vector<uint32_t>& chains = view_.active_chains;
  std::vector<DrawPlace> places;
  for (size_t k = begin; k < std::min(end, total_); ++k) {
    places.push_back({view_.record.number(), chains[k % chains.size()],
                      static_cast<uint32_t>(k / chains.size())});
  }
  return places;
}

std::vector<DrawScan::Unit*> DrawScan::Units() const {
  std::vector<Unit*> units;
  for (const auto& rider : riders_) {
    for (const auto& unit : rider->units) {
      if (!unit->finished()) units.push_back(unit.get());
    }
  }
  return units;
}

void DrawScan::End(Rider& rider, const absl::Status& status) {
  const DrawWindow all{0, status.ok() ? view_.draws : 0};
  rider.asked.result->Report({all, true, status});
}

void DrawScan::EndAll(const absl::Status& why) {
  for (const auto& rider : riders_) End(*rider, why);
  batches_.clear();
  riders_.clear();
}

void DrawScan::DropCancelled() {
  std::erase_if(riders_, [this](const auto& rider) {
    if (!rider->asked.cancel.cancelled()) return false;
    End(*rider, absl::CancelledError("the query was cancelled"));
    return true;
  });
}

void DrawScan::SetShares(const std::vector<Unit*>& units) {
  std::map<std::string, size_t> rows;
  size_t all = 0;
  for (const Unit* unit : units) {
    rows[unit->rider->asked.tenant] += unit->rows();
    all += unit->rows();
  }
  shares_.clear();
  for (const auto& [tenant, count] : rows)
    shares_.push_back({tenant, static_cast<double>(count) / static_cast<double>(all)});
}

void DrawScan::Slice() {
  const absl::Time begin = absl::Now();
  shares_.clear();
  DropCancelled();
  const std::vector<Unit*> units = Units();
  if (units.empty()) return EndAll(absl::OkStatus());

  // The next place that somebody lacks; as many more as all that lack it go on without a break.
  const auto ahead = [this](const Unit* u) { return (u->next() + total_ - position_) % total_; };
  const Unit* nearest = *std::min_element(units.begin(), units.end(),
                                          [&](Unit* a, Unit* b) { return ahead(a) < ahead(b); });
  position_ = nearest->next();
  const size_t delta_bytes =
      std::max<size_t>(1, static_cast<size_t>(view_.moving.elements) * sizeof(float));
  slice_ = std::max<size_t>(1, std::min(slice_, kSliceBytes / delta_bytes));
  size_t end = std::min(position_ + slice_, total_);
  std::vector<Unit*> active;
  for (Unit* unit : units) {
    if (unit->next() == position_) {
      active.push_back(unit);
      end = std::min(end, unit->stretch_end());
    } else if (unit->next() > position_) {
      end = std::min(end, unit->next());
    }
  }
  SetShares(active);

  std::vector<DrawReader::Delta> deltas;
  for (const DrawPlace& place : Places(position_, end)) {
    absl::StatusOr<DrawReader::Delta> delta = draws_.Read(place, view_.moving.elements, use_);
    if (!delta.ok() && !IsDamage(delta.status())) return EndAll(delta.status());
    deltas.push_back(delta.ok() ? *delta : nullptr);
  }
  counters_.scan_draws_loaded += deltas.size();
  const bool goes_on = std::any_of(units.begin(), units.end(), [&](const Unit* u) {
    return u->next() != position_ || u->done + (end - position_) < total_ - u->first;
  });
  if (goes_on) draws_.Prefetch(Places(end % total_, end % total_ + slice_), view_.moving.elements);

  std::vector<Batch*> batches;
  for (std::vector<Unit*>& alike : Alike(active)) {
    const absl::StatusOr<Batch*> batch = BatchOf(std::move(alike));
    if (!batch.ok()) return EndAll(batch.status());
    batches.push_back(*batch);
    const absl::Status evaluated = EvaluateSlice(**batch, deltas);
    if (!evaluated.ok()) return EndAll(evaluated);
  }
  std::erase_if(batches_, [&](const auto& batch) {
    return std::find(batches.begin(), batches.end(), batch.get()) == batches.end();
  });

  for (Unit* unit : active) unit->done += end - position_;
  position_ = end % total_;
  const size_t chains = view_.active_chains.size();
  std::erase_if(riders_, [&](const auto& rider) {
    if (rider->finished()) {
      End(*rider, absl::OkStatus());
      return true;
    }
    rider->asked.result->Report({{static_cast<uint32_t>(rider->origin / chains),
                                  static_cast<uint32_t>(rider->known() / chains)},
                                 false,
                                 absl::OkStatus()});
    return false;
  });

  const absl::Duration took = absl::Now() - begin;
  if (took < kQuickSlice) slice_ = std::min(2 * slice_, kLargestSlice);
  if (took > kSlowSlice) slice_ = std::max<size_t>(1, slice_ / 2);
}

}  // namespace bif::jobs
