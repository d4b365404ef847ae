#include "src/jobs/trace_index.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"

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
  if (row.slot >= ordinals.size()) {
    ordinals.resize(row.slot + 1);
    draws.resize(row.slot + 1);
  }
  ordinals[row.slot] = row.ordinal;
  draws[row.slot] = row.draws;
  slot_of[row.ordinal] = row.slot;
}

absl::Status TraceIndex::Reload(storage::Catalog& catalog, uint32_t draws) {
  BIF_ASSIGN_OR_RETURN(const auto records, catalog.Scan<storage::pb::TraceExtent>(
                                               storage::TraceExtentPrefix(posterior_number_)));
  absl::flat_hash_map<RowsKey, Rows> rows;
  for (const auto& [suffix, extent] : records) {
    if (suffix.size() != kSuffixBytes ||
        (extent.ordinals_size() != 0 &&
         static_cast<uint32_t>(extent.ordinals_size()) != extent.slots())) {
      return absl::DataLossError(absl::StrCat("an extent of traces of posterior number ",
                                              posterior_number_, " cannot be read"));
    }
    Rows& known = rows[{ReadBigEndianU32(suffix, 0), ReadBigEndianU32(suffix, 4)}];
    known.extents.push_back({extent.first_slot(), extent.slots()});
    for (uint32_t i = 0; i < extent.slots(); ++i) {
      const uint32_t slot = extent.first_slot() + i;
      known.Set({slot, extent.ordinals_size() == 0 ? slot : extent.ordinals(static_cast<int>(i)),
                 extent.draws()});
    }
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
      if (const auto slot = rows->slot_of.find(ordinal); slot != rows->slot_of.end()) {
        row.slot = slot->second;
        row.draws = rows->draws[row.slot];
      }
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
  covering.reserve(rows->ordinals.size());
  for (uint32_t slot = 0; slot < rows->ordinals.size(); ++slot) {
    if (rows->draws[slot] >= draws)
      covering.push_back({slot, rows->ordinals[slot], rows->draws[slot]});
  }
  return covering;
}

std::vector<SlotRun> TraceIndex::RunsCovering(uint32_t array, uint32_t dataset, uint32_t first_slot,
                                              uint32_t slots, uint32_t draws) const {
  absl::ReaderMutexLock lock(&mutex_);
  const Rows* rows = FindRows(array, dataset);
  std::vector<SlotRun> runs;
  if (rows == nullptr) return runs;
  const uint32_t end =
      std::min<uint32_t>(first_slot + slots, static_cast<uint32_t>(rows->draws.size()));
  bool open = false;
  for (uint32_t slot = first_slot; slot < end; ++slot) {
    if (rows->draws[slot] < draws) {
      open = false;
    } else if (open) {
      ++runs.back().slots;
    } else {
      runs.push_back({slot, 1});
      open = true;
    }
  }
  return runs;
}

uint32_t TraceIndex::next_slot(uint32_t array, uint32_t dataset) const {
  absl::ReaderMutexLock lock(&mutex_);
  const Rows* rows = FindRows(array, dataset);
  return rows == nullptr ? 0 : static_cast<uint32_t>(rows->ordinals.size());
}

uint64_t TraceIndex::version(uint32_t array, uint32_t dataset) const {
  absl::ReaderMutexLock lock(&mutex_);
  const Rows* rows = FindRows(array, dataset);
  return rows == nullptr ? 0 : rows->version;
}

TraceIndex::Rows::Cut TraceIndex::Rows::Update(absl::Span<const TracedRow> changed) {
  const uint32_t known_slots = static_cast<uint32_t>(ordinals.size());
  for (const TracedRow& row : changed) Set(row);
  Cut result;
  std::vector<SlotRun> kept;
  const auto cut = [&](uint32_t first, uint32_t end) {
    while (first < end) {
      uint32_t slot = first;
      while (slot < end && draws[slot] == draws[first]) ++slot;
      result.added.push_back({first, slot - first});
      kept.push_back(result.added.back());
      first = slot;
    }
  };
  for (const SlotRun& extent : extents) {
    const uint32_t end = extent.first_slot + extent.slots;
    if (std::any_of(changed.begin(), changed.end(), [&](const TracedRow& row) {
          return row.slot >= extent.first_slot && row.slot < end;
        })) {
      result.removed.push_back(extent);
      cut(extent.first_slot, end);
    } else {
      kept.push_back(extent);
    }
  }
  cut(known_slots, static_cast<uint32_t>(ordinals.size()));
  extents = std::move(kept);
  return result;
}

void TraceIndex::Prepare(uint32_t array, uint32_t dataset, absl::Span<const TracedRow> changed,
                         storage::WriteSet& writes) const {
  absl::ReaderMutexLock lock(&mutex_);
  const Rows* known = FindRows(array, dataset);
  Rows rows = known == nullptr ? Rows() : *known;
  const Rows::Cut cut = rows.Update(changed);
  const auto key_of = [&](const SlotRun& extent) {
    return storage::TraceExtentKey(posterior_number_, array, dataset, extent.first_slot);
  };
  for (const SlotRun& extent : cut.removed) writes.Delete(key_of(extent));
  for (const SlotRun& extent : cut.added) {
    storage::pb::TraceExtent record;
    record.set_first_slot(extent.first_slot);
    record.set_slots(extent.slots);
    record.set_draws(rows.draws[extent.first_slot]);
    for (uint32_t i = 0; i < extent.slots; ++i)
      record.add_ordinals(rows.ordinals[extent.first_slot + i]);
    writes.Put(key_of(extent), record);
  }
}

void TraceIndex::Apply(uint32_t array, uint32_t dataset, absl::Span<const TracedRow> changed) {
  absl::MutexLock lock(&mutex_);
  Rows& rows = rows_[{array, dataset}];
  rows.Update(changed);
  rows.version = ++changes_;
}

}  // namespace bif::jobs
