#include "src/jobs/candidates.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/jobs/resource_names.h"
#include "src/jobs/trace_arrays.h"

namespace bif::jobs {

DrawSelection::DrawSelection(size_t chains, uint32_t draws, DrawWindow window,
                             const std::vector<uint32_t>& missing_columns)
    : chains_(chains), draws_(draws) {
  std::vector<bool> missing(draws);
  for (uint32_t column : missing_columns) missing[column % draws] = true;
  for (uint32_t t = 0; t < draws; ++t) {
    if (window.Contains(t, draws) && !missing[t]) kept_.push_back(t);
  }
}

void DrawSelection::Gather(const float* row, float* gathered) const {
  const bool is_prefix = !kept_.empty() && kept_.back() + 1 == kept_.size();
  for (size_t c = 0; c < chains_; ++c, row += draws_, gathered += kept_.size()) {
    if (is_prefix) {
      std::memcpy(gathered, row, kept_.size() * sizeof(float));
    } else {
      for (size_t i = 0; i < kept_.size(); ++i) gathered[i] = row[kept_[i]];
    }
  }
}

std::vector<CandidateBlock> BlocksOf(const Candidates& candidates) {
  std::vector<CandidateBlock> blocks;
  for (size_t i = 0; i < candidates.rows.size(); ++i) {
    const uint32_t number = candidates.rows[i].slot / storage::kTileSlots;
    if (blocks.empty() || blocks.back().number != number) blocks.push_back({number, i, i});
    blocks.back().end = i + 1;
  }
  return blocks;
}

absl::StatusOr<Candidates> CandidateReader::Resolve(const SampleSet& set, const PosteriorView& view,
                                                    const PosteriorTraces& traces, uint32_t array,
                                                    const std::string& field) {
  if (!set.inline_samples.empty()) {
    return FieldError(
        field + ".inline",
        "only stored samples can be scored: append them to a dataset and call TraceSamples");
  }
  if (set.dataset.empty() && !set.sample_ids.empty())
    return FieldError(field + ".dataset", "is needed with sample_ids");
  const std::string name = set.dataset.empty() ? DatasetName(view.record.dataset()) : set.dataset;
  BIF_ASSIGN_OR_RETURN(const auto record, datasets_.Record(name, field + ".dataset"));
  Candidates candidates;
  candidates.dataset = record.number();
  candidates.array = array;
  // The version is taken first: an answer kept under it is then never newer than it says.
  candidates.version =
      absl::StrCat(record.number(), ".", array, ".", traces.index().version(array, record.number()),
                   ".", record.rows(), ".", record.deleted());
  if (set.sample_ids.empty()) {
    BIF_ASSIGN_OR_RETURN(const Living living, LivingOf(record));
    candidates.rows = traces.index().RowsCovering(array, record.number(), view.draws);
    std::erase_if(candidates.rows, [&](const TracedRow& row) {
      return row.ordinal >= living->size() || !(*living)[row.ordinal];
    });
  } else {
    BIF_ASSIGN_OR_RETURN(const auto ordinals, datasets_.OrdinalsOf(record, set.sample_ids));
    candidates.rows = traces.index().Find(array, record.number(), ordinals);
    Sha256 digest;
    for (size_t i = 0; i < ordinals.size(); ++i) {
      digest.UpdateU64(ordinals[i]);
      if (candidates.rows[i].draws >= view.draws) continue;
      return absl::FailedPreconditionError(absl::StrCat(
          SampleName(record.id(), set.sample_ids[i]), " has traces at ", candidates.rows[i].draws,
          " of ", view.draws, " draws; call TraceSamples for it first"));
    }
    absl::StrAppend(&candidates.version, ".", ToHex(digest.Finish()));
    const auto by_slot = [](const TracedRow& a, const TracedRow& b) { return a.slot < b.slot; };
    std::sort(candidates.rows.begin(), candidates.rows.end(), by_slot);
    const auto same = [](const TracedRow& a, const TracedRow& b) { return a.slot == b.slot; };
    candidates.rows.erase(std::unique(candidates.rows.begin(), candidates.rows.end(), same),
                          candidates.rows.end());
  }
  if (candidates.rows.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("no sample of ", name, " has traces at all ", view.draws,
                     " draws of this posterior; call TraceSamples first"));
  }
  const int64_t job_rows = view.record.training_rows() - view.record.excluded_rows_size();
  candidates.by_training_job = array == kLossArray && record.id() == view.record.dataset() &&
                               static_cast<int64_t>(candidates.rows.back().slot) < job_rows;
  return candidates;
}

absl::StatusOr<CandidateReader::Living> CandidateReader::LivingOf(
    const storage::pb::DatasetRecord& record) {
  const std::string key = absl::StrCat(record.number(), ".", record.rows(), ".", record.deleted());
  if (auto known = living_.Find(key)) return *known;
  auto living = std::make_shared<std::vector<bool>>(record.rows(), record.deleted() == 0);
  if (record.deleted() != 0) {
    BIF_ASSIGN_OR_RETURN(const auto ordinals, datasets_.LivingOrdinals(record));
    for (uint32_t ordinal : ordinals) {
      if (ordinal < living->size()) (*living)[ordinal] = true;
    }
  }
  living_.Insert(key, living, static_cast<int64_t>(living->size() / 8 + 64));
  return Living(living);
}

absl::StatusOr<std::shared_ptr<const TraceBlock>> CandidateReader::Block(
    const Candidates& candidates, const CandidateBlock& block, const PosteriorView& view,
    const PosteriorTraces& traces) {
  const auto runs = traces.index().RunsCovering(candidates.array, candidates.dataset,
                                                block.number * storage::kTileSlots,
                                                storage::kTileSlots, view.draws);
  return cache_.Get({view.record.number(), candidates.array, candidates.dataset},
                    view.active_chains, view.draws, block.number, runs);
}

absl::StatusOr<absl::Span<const float>> CandidateReader::Rows(
    const Candidates& candidates, const CandidateBlock& block, const PosteriorView& view,
    const PosteriorTraces& traces, const DrawSelection& selection, Buffer& buffer) {
  BIF_ASSIGN_OR_RETURN(buffer.block, Block(candidates, block, view, traces));
  const size_t stride = view.active_chains.size() * view.draws;
  const size_t count = block.end - block.begin;
  const uint32_t first_slot = candidates.rows[block.begin].slot;
  const absl::Span<const float> stored(buffer.block->values);
  const auto row_at = [&](size_t i) {
    return stored.subspan((candidates.rows[i].slot - buffer.block->first_slot) * stride, stride);
  };
  const bool consecutive = candidates.rows[block.end - 1].slot - first_slot + 1 == count;
  if (selection.all() && consecutive) {
    return stored.subspan((first_slot - buffer.block->first_slot) * stride, count * stride);
  }
  buffer.gathered.resize(count * selection.stride());
  for (size_t i = 0; i < count; ++i) {
    selection.Gather(row_at(block.begin + i).data(),
                     buffer.gathered.data() + i * selection.stride());
  }
  return absl::Span<const float>(buffer.gathered);
}

absl::StatusOr<std::vector<uint32_t>> CandidateReader::MissingColumnsOf(
    const Candidates& candidates, const PosteriorView& view, const PosteriorTraces& traces) {
  std::vector<uint32_t> missing;
  if (candidates.by_training_job) return missing;
  for (const CandidateBlock& block : BlocksOf(candidates)) {
    BIF_ASSIGN_OR_RETURN(const auto rows, Block(candidates, block, view, traces));
    missing.insert(missing.end(), rows->missing_columns.begin(), rows->missing_columns.end());
  }
  std::sort(missing.begin(), missing.end());
  missing.erase(std::unique(missing.begin(), missing.end()), missing.end());
  return missing;
}

absl::StatusOr<std::string> CandidateReader::IdOf(uint32_t dataset, uint32_t ordinal) {
  BIF_ASSIGN_OR_RETURN(const auto headers, store_.samples().ReadHeaders(dataset, ordinal, 1));
  if (headers.empty())
    return absl::DataLossError(
        absl::StrCat("sample ", ordinal, " of dataset number ", dataset, " is missing"));
  return headers[0].id;
}

absl::StatusOr<std::vector<std::string>> CandidateReader::IdsOf(const Candidates& candidates,
                                                                const CandidateBlock& block) {
  std::vector<std::string> ids;
  for (size_t i = block.begin; i < block.end;) {
    // Ordinals mostly rise with slots: read the headers of each stretch at once.
    size_t end = i + 1;
    while (end < block.end && candidates.rows[end].ordinal == candidates.rows[end - 1].ordinal + 1)
      ++end;
    BIF_ASSIGN_OR_RETURN(const auto headers, store_.samples().ReadHeaders(
                                                 candidates.dataset, candidates.rows[i].ordinal,
                                                 static_cast<int64_t>(end - i)));
    if (headers.size() != end - i) return absl::DataLossError("headers of samples are missing");
    for (const auto& header : headers) ids.push_back(header.id);
    i = end;
  }
  return ids;
}

}  // namespace bif::jobs
