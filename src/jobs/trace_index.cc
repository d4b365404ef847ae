#include "src/jobs/trace_index.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/jobs/trace_arrays.h"

namespace bif::jobs {
namespace {

// The end of a TraceExtentKey after its posterior: array, dataset, first slot, each u32 big endian.
constexpr size_t kSuffixBytes = 12;

uint32_t ReadBigEndianU32(const std::string& bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

}  // namespace

void TraceIndex::Rows::Set(const TracedRow& row) {
  const auto [known, is_new] = position_of.try_emplace(row.ordinal, rows.size());
  if (is_new) {
    rows.push_back(row);
  } else {
    rows[known->second] = row;
  }
}

absl::Status TraceIndex::Reload(storage::Catalog& catalog, uint32_t draws) {
  absl::flat_hash_map<RowsKey, Rows> rows;
  const auto unreadable = [this] {
    return absl::DataLossError(absl::StrCat("an extent of traces of posterior number ",
                                            posterior_number_, " cannot be read"));
  };
  // False if it speaks of slots or samples that another one has.
  const auto add = [&rows](const std::string& suffix, const std::vector<TracedRow>& extent) {
    Rows& known = rows[{ReadBigEndianU32(suffix, 0), ReadBigEndianU32(suffix, 4)}];
    if (!extent.empty() && extent[0].slot < known.end_slot()) return false;
    known.extents.push_back({known.rows.size(), extent.size()});
    for (const TracedRow& row : extent) known.Set(row);
    return known.rows.size() == known.extents.back().first + extent.size();
  };
  BIF_ASSIGN_OR_RETURN(const auto extents, catalog.Scan<storage::pb::TraceExtent>(
                                               storage::TraceExtentPrefix(posterior_number_)));
  std::vector<TracedRow> read;
  for (const auto& [suffix, extent] : extents) {
    const bool numbered = extent.ordinals_size() == 0;
    if (suffix.size() != kSuffixBytes ||
        (!numbered && static_cast<uint32_t>(extent.ordinals_size()) != extent.slots())) {
      return unreadable();
    }
    read.clear();
    for (uint32_t i = 0; i < extent.slots(); ++i) {
      const uint32_t slot = extent.first_slot() + i;
      read.push_back(
          {slot, numbered ? slot : extent.ordinals(static_cast<int>(i)), extent.draws()});
    }
    if (!add(suffix, read)) return unreadable();
  }
  BIF_ASSIGN_OR_RETURN(const auto tokens, catalog.Scan<storage::pb::TokenExtent>(
                                              storage::TokenExtentPrefix(posterior_number_)));
  for (const auto& [suffix, extent] : tokens) {
    if (suffix.size() != kSuffixBytes || extent.ordinals_size() != extent.tokens_size())
      return unreadable();
    read.clear();
    uint32_t slot = extent.first_slot();
    for (int i = 0; i < extent.ordinals_size(); ++i) {
      read.push_back({slot, extent.ordinals(i), extent.draws(), extent.tokens(i)});
      slot += extent.tokens(i);
    }
    if (!add(suffix, read)) return unreadable();
  }
  absl::MutexLock lock(&mutex_);
  ++changes_;
  for (auto& [key, known] : rows) known.version = changes_;
  rows_ = std::move(rows);
  loaded_draws_ = draws;
  return absl::OkStatus();
}

uint32_t TraceIndex::loaded_draws() const {
  absl::ReaderMutexLock lock(&mutex_);
  return loaded_draws_;
}

const TraceIndex::Rows* TraceIndex::FindRows(uint32_t array, uint32_t dataset) const {
  const auto found = rows_.find({array, dataset});
  return found == rows_.end() ? nullptr : &found->second;
}

std::vector<TracedRow> TraceIndex::Find(uint32_t array, uint32_t dataset,
                                        absl::Span<const uint32_t> ordinals) const {
  absl::ReaderMutexLock lock(&mutex_);
  const Rows* rows = FindRows(array, dataset);
  std::vector<TracedRow> found;
  found.reserve(ordinals.size());
  for (uint32_t ordinal : ordinals) {
    TracedRow row{0, ordinal, 0};
    if (rows != nullptr) {
      const auto known = rows->position_of.find(ordinal);
      if (known != rows->position_of.end()) row = rows->rows[known->second];
    }
    found.push_back(row);
  }
  return found;
}

std::vector<TracedRow> TraceIndex::RowsCovering(uint32_t array, uint32_t dataset,
                                                uint32_t draws) const {
  absl::ReaderMutexLock lock(&mutex_);
  const Rows* rows = FindRows(array, dataset);
  std::vector<TracedRow> covering;
  if (rows == nullptr) return covering;
  covering.reserve(rows->rows.size());
  std::copy_if(rows->rows.begin(), rows->rows.end(), std::back_inserter(covering),
               [draws](const TracedRow& row) { return row.draws >= draws; });
  return covering;
}

std::vector<SlotRun> TraceIndex::RunsCovering(uint32_t array, uint32_t dataset, uint32_t first_slot,
                                              uint32_t slots, uint32_t draws) const {
  absl::ReaderMutexLock lock(&mutex_);
  const Rows* rows = FindRows(array, dataset);
  std::vector<SlotRun> runs;
  if (rows == nullptr) return runs;
  auto row =
      std::lower_bound(rows->rows.begin(), rows->rows.end(), first_slot,
                       [](const TracedRow& known, uint32_t slot) { return known.slot < slot; });
  for (; row != rows->rows.end() && row->slot < first_slot + slots; ++row) {
    if (row->draws < draws) continue;
    if (!runs.empty() && runs.back().first_slot + runs.back().slots == row->slot) {
      ++runs.back().slots;
    } else {
      runs.push_back({row->slot, 1});
    }
  }
  return runs;
}

uint32_t TraceIndex::next_slot(uint32_t array, uint32_t dataset) const {
  absl::ReaderMutexLock lock(&mutex_);
  const Rows* rows = FindRows(array, dataset);
  return rows == nullptr ? 0 : rows->end_slot();
}

uint64_t TraceIndex::version(uint32_t array, uint32_t dataset) const {
  absl::ReaderMutexLock lock(&mutex_);
  const Rows* rows = FindRows(array, dataset);
  return rows == nullptr ? 0 : rows->version;
}

TraceIndex::Rows::Cut TraceIndex::Rows::Update(absl::Span<const TracedRow> changed) {
  const size_t known_rows = rows.size();
  for (const TracedRow& row : changed) Set(row);
  Cut result;
  std::vector<Extent> kept;
  const auto cut = [&](size_t first, size_t end) {
    while (first < end) {
      size_t next = first;
      while (next < end && rows[next].draws == rows[first].draws) ++next;
      result.added.push_back({first, next - first});
      kept.push_back(result.added.back());
      first = next;
    }
  };
  for (const Extent& extent : extents) {
    const size_t end = extent.first + extent.rows;
    if (std::any_of(changed.begin(), changed.end(), [&](const TracedRow& row) {
          const size_t position = position_of[row.ordinal];
          return position >= extent.first && position < end;
        })) {
      result.removed.push_back(extent);
      cut(extent.first, end);
    } else {
      kept.push_back(extent);
    }
  }
  cut(known_rows, rows.size());
  extents = std::move(kept);
  return result;
}

storage::RecordKey TraceIndex::KeyOf(uint32_t array, uint32_t dataset,
                                     const TracedRow& first) const {
  return array == kTokenLossArray
             ? storage::TokenExtentKey(posterior_number_, array, dataset, first.slot)
             : storage::TraceExtentKey(posterior_number_, array, dataset, first.slot);
}

void TraceIndex::Put(const storage::RecordKey& key, uint32_t array,
                     absl::Span<const TracedRow> rows, storage::WriteSet& writes) {
  if (array == kTokenLossArray) {
    storage::pb::TokenExtent record;
    record.set_first_slot(rows[0].slot);
    record.set_draws(rows[0].draws);
    for (const TracedRow& row : rows) {
      record.add_ordinals(row.ordinal);
      record.add_tokens(row.slots);
    }
    writes.Put(key, record);
    return;
  }
  storage::pb::TraceExtent record;
  record.set_first_slot(rows[0].slot);
  record.set_slots(static_cast<uint32_t>(rows.size()));
  record.set_draws(rows[0].draws);
  for (const TracedRow& row : rows) record.add_ordinals(row.ordinal);
  writes.Put(key, record);
}

void TraceIndex::Prepare(uint32_t array, uint32_t dataset, absl::Span<const TracedRow> changed,
                         storage::WriteSet& writes) const {
  absl::ReaderMutexLock lock(&mutex_);
  const Rows* known = FindRows(array, dataset);
  Rows rows = known == nullptr ? Rows() : *known;
  const Rows::Cut cut = rows.Update(changed);
  for (const Extent& extent : cut.removed)
    writes.Delete(KeyOf(array, dataset, rows.rows[extent.first]));
  for (const Extent& extent : cut.added) {
    Put(KeyOf(array, dataset, rows.rows[extent.first]), array,
        absl::MakeConstSpan(rows.rows).subspan(extent.first, extent.rows), writes);
  }
}

void TraceIndex::Apply(uint32_t array, uint32_t dataset, absl::Span<const TracedRow> changed) {
  absl::MutexLock lock(&mutex_);
  Rows& rows = rows_[{array, dataset}];
  rows.Update(changed);
  rows.version = ++changes_;
}

}  // namespace bif::jobs
