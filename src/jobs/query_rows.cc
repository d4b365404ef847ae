#include "src/jobs/query_rows.h"

#include <algorithm>
#include <map>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/jobs/dataset_record.h"
#include "src/jobs/posterior_record.h"
#include "src/jobs/samples.h"
#include "src/jobs/sequences.h"
#include "src/jobs/trace_cache.h"

namespace bif::jobs {
namespace {

// The training data's columns that the program looks at: an inline query must have these, but of
// any length where the program takes any.
std::vector<TensorSpec> NeededColumns(const storage::pb::DatasetRecord& training,
                                      const engine::ProgramInfo& info) {
  std::vector<TensorSpec> needed;
  for (TensorSpec& column : ColumnsOf(training)) {
    const auto wanted =
        std::find_if(info.columns.begin(), info.columns.end(),
                     [&](const TensorSpec& candidate) { return candidate.name == column.name; });
    if (wanted == info.columns.end()) continue;
    if (wanted->variable() && !column.shape.empty()) column.shape[0] = -1;
    needed.push_back(std::move(column));
  }
  return needed;
}

// One hidden dataset a tenant and schema, so that nobody learns from a quick answer what another
// tenant has asked. No user can choose a name with an underscore.
std::string HiddenId(const std::string& tenant, const std::vector<TensorSpec>& columns) {
  std::vector<std::string> texts;
  for (const TensorSpec& column : columns) texts.push_back(column.ToString());
  std::sort(texts.begin(), texts.end());
  Sha256 digest;
  for (const std::string& text : texts) digest.UpdateField(text);
  return ScopedId(tenant, absl::StrCat("_inline-", ToHex(digest.Finish()).substr(0, 24)));
}

// The path of a part of the set; the set may be the whole request.
std::string Path(const std::string& field, const std::string& part) {
  return field.empty() ? part : absl::StrCat(field, ".", part);
}

}  // namespace

std::vector<size_t> QueryRows::Missing(uint32_t draws) const {
  std::vector<size_t> missing;
  for (size_t r = 0; r < rows.size(); ++r) {
    if (rows[r].traced.draws < draws) missing.push_back(r);
  }
  return missing;
}

std::shared_ptr<EvaluatedRows> QueryRows::NewValues(size_t chains, uint32_t draws) const {
  std::vector<uint32_t> traces;
  for (const QueryRow& row : rows) traces.push_back(row.traces);
  return std::make_shared<EvaluatedRows>(traces, chains, draws);
}

absl::StatusOr<QueryRows> QueryRowsResolver::Resolve(const SampleSet& set,
                                                     const PosteriorView& view,
                                                     const PosteriorTraces& traces,
                                                     const engine::Observable& observable,
                                                     const std::string& field, int64_t max_rows) {
  QueryRows rows;
  rows.is_inline = !set.inline_samples.empty();
  rows.tenant = set.tenant;
  rows.field = Path(field, rows.is_inline ? "inline" : "sample_ids");
  if (rows.is_inline && (!set.dataset.empty() || !set.sample_ids.empty())) {
    return FieldError(field, "has inline samples and stored ones; ask for one kind at a time");
  }
  if (!rows.is_inline && set.dataset.empty()) {
    return FieldError(set.sample_ids.empty() ? field : Path(field, "dataset"),
                      "names no samples; give inline ones, or a dataset and ids");
  }
  const auto given =
      static_cast<int64_t>(std::max(set.inline_samples.size(), set.sample_ids.size()));
  if (given > max_rows) {
    return FieldError(rows.field, absl::StrCat("holds ", given, " samples, at most ", max_rows,
                                               " are allowed in a call"));
  }
  BIF_RETURN_IF_ERROR(rows.is_inline ? ResolveInline(set.inline_samples, view, rows)
                                     : ResolveStored(set, view, field, max_rows, rows));

  std::vector<uint32_t> ordinals;
  for (const QueryRow& row : rows.rows) ordinals.push_back(row.ordinal.value_or(0));
  rows.array = traces.ArrayOf(observable);
  const auto traced = traces.index().Find(rows.array, rows.dataset, ordinals);
  for (size_t r = 0; r < rows.rows.size(); ++r) {
    if (rows.rows[r].ordinal) rows.rows[r].traced = traced[r];
  }
  if (observable.kind == engine::ObservableKind::kTokenLosses)
    BIF_RETURN_IF_ERROR(CountTokens(view, rows));
  return rows;
}

absl::Status QueryRowsResolver::ResolveInline(const std::vector<Sample>& samples,
                                              const PosteriorView& view, QueryRows& rows) {
  BIF_ASSIGN_OR_RETURN(const auto training, store_.catalog().Get<storage::pb::DatasetRecord>(
                                                storage::DatasetKey(view.record.dataset())));
  const std::vector<TensorSpec> all = ColumnsOf(training);
  rows.columns = NeededColumns(training, view.sources.info);
  // A sample may be given with all of its dataset's columns: what the program does not look at is
  // no part of a query.
  std::vector<Sample> needed = samples;
  for (Sample& sample : needed) {
    std::erase_if(sample.tensors, [&](const Column& tensor) {
      const auto same = [&](const TensorSpec& column) { return column.name == tensor.spec.name; };
      return std::any_of(all.begin(), all.end(), same) &&
             std::none_of(rows.columns.begin(), rows.columns.end(), same);
    });
  }
  BIF_ASSIGN_OR_RETURN(rows.inline_batch, BatchOf(needed, rows.columns, rows.field));
  rows.hidden_id = HiddenId(rows.tenant, rows.columns);
  for (int64_t r = 0; r < rows.inline_batch.rows; ++r) {
    rows.rows.push_back({ToHex(storage::SampleDigest(rows.inline_batch, r)), std::nullopt, {}});
  }
  const auto hidden =
      store_.catalog().Get<storage::pb::DatasetRecord>(storage::DatasetKey(rows.hidden_id));
  if (absl::IsNotFound(hidden.status())) return absl::OkStatus();
  BIF_RETURN_IF_ERROR(hidden.status());
  rows.dataset = hidden->number();
  std::vector<storage::RecordKey> keys;
  for (const QueryRow& row : rows.rows)
    keys.push_back(storage::SampleDigestKey(rows.dataset, row.sample_id));
  BIF_ASSIGN_OR_RETURN(const auto known, store_.catalog().GetU32s(keys));
  for (size_t r = 0; r < known.size(); ++r) rows.rows[r].ordinal = known[r];
  return absl::OkStatus();
}

absl::Status QueryRowsResolver::ResolveStored(const SampleSet& set, const PosteriorView& view,
                                              const std::string& field, int64_t max_rows,
                                              QueryRows& rows) {
  BIF_ASSIGN_OR_RETURN(const auto record, datasets_.Record(set.dataset, Path(field, "dataset")));
  if (const absl::Status fit = CheckColumnsFit(ColumnsOf(record), view.sources.info.columns);
      !fit.ok()) {
    return FieldError(Path(field, "dataset"), std::string(fit.message()));
  }
  rows.columns = ColumnsOf(record);
  rows.dataset = record.number();
  std::vector<uint32_t> ordinals;
  if (!set.sample_ids.empty()) {
    BIF_ASSIGN_OR_RETURN(ordinals, datasets_.OrdinalsOf(record, set.sample_ids));
    absl::flat_hash_set<uint32_t> seen;
    for (size_t i = 0; i < ordinals.size(); ++i) {
      if (!seen.insert(ordinals[i]).second) {
        return FieldError(absl::StrCat(rows.field, "[", i, "]"),
                          absl::StrCat("names ", set.sample_ids[i], " again"));
      }
      rows.rows.push_back({set.sample_ids[i], ordinals[i], {}});
    }
    return absl::OkStatus();
  }
  const int64_t living = record.rows() - record.deleted();
  if (living == 0) return FieldError(Path(field, "dataset"), "holds no samples");
  if (living > max_rows) {
    return FieldError(rows.field, absl::StrCat("is empty, which means all ", living,
                                               " samples of the dataset; at most ", max_rows,
                                               " are allowed in a call"));
  }
  BIF_ASSIGN_OR_RETURN(ordinals, datasets_.LivingOrdinals(record));
  for (uint32_t ordinal : ordinals) {
    BIF_ASSIGN_OR_RETURN(const auto headers,
                         store_.samples().ReadHeaders(rows.dataset, ordinal, 1));
    if (!headers.empty()) rows.rows.push_back({headers[0].id, ordinal, {}});
  }
  return absl::OkStatus();
}

absl::Status QueryRowsResolver::CountTokens(const PosteriorView& view, QueryRows& rows) {
  const auto name_of = [&rows](size_t row) { return absl::StrCat(rows.field, "[", row, "]"); };
  std::vector<SequenceShape> shapes;
  if (rows.is_inline) {
    BIF_ASSIGN_OR_RETURN(shapes, SequenceShapes(view.sources, rows.inline_batch, name_of));
  }
  for (size_t r = 0; r < rows.rows.size(); ++r) {
    QueryRow& row = rows.rows[r];
    if (row.traced.draws > 0) {
      row.traces = row.traced.slots;
    } else if (rows.is_inline) {
      row.traces = shapes[r].losses;
    } else {
      BIF_ASSIGN_OR_RETURN(const SampleBatch sample,
                           store_.samples().Read(rows.dataset, {*row.ordinal}));
      BIF_ASSIGN_OR_RETURN(
          shapes, SequenceShapes(view.sources, sample, [&](int64_t) { return name_of(r); }));
      row.traces = shapes[0].losses;
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<SampleBatch> QueryRowsResolver::SamplesOf(const QueryRows& rows) {
  if (rows.is_inline) return rows.inline_batch;
  std::vector<uint32_t> ordinals;  // the store wants them ascending
  for (const QueryRow& row : rows.rows) ordinals.push_back(*row.ordinal);
  std::sort(ordinals.begin(), ordinals.end());
  BIF_ASSIGN_OR_RETURN(const SampleBatch samples, store_.samples().Read(rows.dataset, ordinals));
  std::vector<size_t> order;
  for (const QueryRow& row : rows.rows) {
    order.push_back(static_cast<size_t>(
        std::lower_bound(ordinals.begin(), ordinals.end(), *row.ordinal) - ordinals.begin()));
  }
  return SelectRows(samples, order);
}

absl::StatusOr<EvaluationSpec> QueryRowsResolver::SpecFor(const QueryRows& rows,
                                                          const PosteriorView& view,
                                                          const engine::Observable& observable) {
  EvaluationSpec spec;
  spec.view = view;
  spec.observable = observable;
  spec.field_of_row = [field = rows.field](size_t row) {
    return absl::StrCat(field, "[", row, "]");
  };
  std::map<uint32_t, std::vector<size_t>> by_first_draw;
  for (size_t r : rows.Missing(view.draws)) by_first_draw[rows.rows[r].traced.draws].push_back(r);
  for (auto& [first_draw, members] : by_first_draw) {
    EvaluationGroup group;
    group.first_draw = first_draw;
    if (rows.is_inline) {
      group.samples = SelectRows(rows.inline_batch, members);
    } else {
      std::sort(members.begin(), members.end(),
                [&](size_t a, size_t b) { return *rows.rows[a].ordinal < *rows.rows[b].ordinal; });
      std::vector<uint32_t> ordinals;  // the store wants them ascending
      for (size_t r : members) ordinals.push_back(*rows.rows[r].ordinal);
      BIF_ASSIGN_OR_RETURN(group.samples, store_.samples().Read(rows.dataset, ordinals));
    }
    group.rows = std::move(members);
    spec.groups.push_back(std::move(group));
  }
  return spec;
}

absl::Status QueryRowsResolver::ReadStored(const QueryRows& rows, const PosteriorView& view,
                                           EvaluatedRows& values) {
  const storage::TraceArray array{view.record.number(), rows.array, rows.dataset};
  for (size_t r = 0; r < rows.rows.size(); ++r) {
    const TracedRow& traced = rows.rows[r].traced;
    const uint32_t draws = std::min(traced.draws, view.draws);
    if (draws == 0) continue;
    for (size_t c = 0; c < view.active_chains.size(); ++c) {
      BIF_RETURN_IF_ERROR(
          store_.traces().Read(array, view.active_chains[c], traced.slot, traced.slots, draws,
                               static_cast<int64_t>(values.stride()),
                               static_cast<int64_t>(c * view.draws), values.row(r)));
    }
  }
  return absl::OkStatus();
}

absl::Status QueryRowsResolver::StoreInlineSamples(const std::vector<Evaluated*>& all) {
  const QueryRows& any = *all[0]->rows;
  BIF_ASSIGN_OR_RETURN(const auto hidden, datasets_.EnsureHidden(any.hidden_id, any.columns));
  absl::MutexLock lock(&hidden_);
  std::vector<storage::RecordKey> keys;
  for (const Evaluated* one : all) {
    for (const QueryRow& row : one->rows->rows)
      keys.push_back(storage::SampleDigestKey(hidden.number(), row.sample_id));
  }
  BIF_ASSIGN_OR_RETURN(const auto known, store_.catalog().GetU32s(keys));
  absl::flat_hash_map<std::string, uint32_t>
      position;  // in the append; the same sample may come twice
  SampleBatch fresh;
  std::vector<std::string> ids;
  size_t key = 0;
  for (const Evaluated* one : all) {
    one->rows->dataset = hidden.number();
    std::vector<size_t> own;
    for (size_t r = 0; r < one->rows->rows.size(); ++r, ++key) {
      QueryRow& row = one->rows->rows[r];
      row.ordinal = known[key];
      if (known[key] || !position.try_emplace(row.sample_id, ids.size()).second) continue;
      own.push_back(r);
      ids.push_back(row.sample_id);
    }
    if (!own.empty()) AppendRows(SelectRows(one->rows->inline_batch, own), fresh);
  }
  if (ids.empty()) return absl::OkStatus();
  BIF_ASSIGN_OR_RETURN(const uint32_t first, datasets_.AppendHidden(any.hidden_id, fresh, ids));
  for (const Evaluated* one : all) {
    for (QueryRow& row : one->rows->rows) {
      if (!row.ordinal) row.ordinal = first + position[row.sample_id];
    }
  }
  return absl::OkStatus();
}

absl::Status QueryRowsResolver::KeepAll(const std::vector<Evaluated*>& all,
                                        const PosteriorView& view, PosteriorTraces& traces,
                                        const engine::Observable& observable) {
  const QueryRows& any = *all[0]->rows;
  if (any.is_inline) BIF_RETURN_IF_ERROR(StoreInlineSamples(all));
  // Several callers' fresh rows are copied, as if one caller had evaluated them.
  const bool alone = all.size() == 1;
  std::vector<uint32_t> counts;
  std::vector<NewTrace> fresh;
  std::vector<std::pair<const Evaluated*, size_t>> sources;
  for (const Evaluated* one : all) {
    for (const size_t r : one->rows->Missing(view.draws)) {
      const QueryRow& row = one->rows->rows[r];
      fresh.push_back({*row.ordinal, alone ? r : sources.size(), row.traced.draws});
      if (alone) continue;
      counts.push_back(row.traces);
      sources.emplace_back(one, r);
    }
  }
  EvaluatedRows together(counts, view.active_chains.size(), view.draws);
  for (size_t i = 0; i < sources.size(); ++i) {
    const auto& [one, r] = sources[i];
    const absl::Span<const float> row = one->values->row(r), anchor = one->values->anchor(r);
    std::copy(row.begin(), row.end(), together.row(i).begin());
    std::copy(anchor.begin(), anchor.end(), together.anchor(i).begin());
  }
  BIF_RETURN_IF_ERROR(traces.Keep(store_, view, observable, any.dataset, fresh,
                                  alone ? *all[0]->values : together, !any.is_inline));
  for (const Evaluated* one : all) one->rows->array = traces.ArrayOf(observable);
  return absl::OkStatus();
}

absl::Status QueryRowsResolver::Keep(QueryRows& rows, const PosteriorView& view,
                                     PosteriorTraces& traces, const engine::Observable& observable,
                                     EvaluatedRows& values) {
  if (rows.Missing(view.draws).empty()) return absl::OkStatus();
  const std::string key = absl::StrCat(
      DrawsKey(view), "/", rows.is_inline ? rows.hidden_id : absl::StrCat(rows.dataset), "/",
      static_cast<int>(observable.kind), ",", observable.logit_index, ",",
      observable.other_logit_index, ",", observable.span_begin, ",", observable.span_end, ",",
      observable.position);
  Evaluated own{&rows, &values, absl::OkStatus()};
  keeping_.Serve(key, own, values.values().size() * sizeof(float),
                 [&](const std::vector<Evaluated*>& all) {
                   const absl::Status status = KeepAll(all, view, traces, observable);
                   for (Evaluated* one : all) one->status = status;
                 });
  return own.status;
}

}  // namespace bif::jobs
