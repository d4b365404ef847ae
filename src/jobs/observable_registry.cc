#include "src/jobs/observable_registry.h"

#include <algorithm>

#include "src/base/status.h"
#include "src/jobs/trace_arrays.h"

namespace bif::jobs {
namespace {

engine::Observable FromRecord(const storage::pb::ObservableRecord& record) {
  engine::Observable observable;
  observable.kind = static_cast<engine::ObservableKind>(record.kind());
  observable.logit_index = record.logit_index();
  observable.other_logit_index = record.other_logit_index();
  observable.span_begin = record.span_begin();
  observable.span_end = record.span_end();
  observable.position = record.position();
  return observable;
}

storage::pb::ObservableRecord ToRecord(const engine::Observable& observable, uint32_t number) {
  storage::pb::ObservableRecord record;
  record.set_kind(static_cast<uint32_t>(observable.kind));
  record.set_logit_index(observable.logit_index);
  record.set_other_logit_index(observable.other_logit_index);
  record.set_span_begin(observable.span_begin);
  record.set_span_end(observable.span_end);
  record.set_position(observable.position);
  record.set_number(number);
  return record;
}

}  // namespace

absl::Status ObservableRegistry::Reload(storage::Catalog& catalog) {
  BIF_ASSIGN_OR_RETURN(const auto records, catalog.Scan<storage::pb::ObservableRecord>(
                                               storage::ObservablePrefix(posterior_number_)));
  absl::MutexLock lock(&mutex_);
  arrays_.clear();
  for (const auto& [suffix, record] : records)
    arrays_.emplace_back(FromRecord(record), kNumberedArrays | record.number());
  return absl::OkStatus();
}

uint32_t ObservableRegistry::FindNumbered(const engine::Observable& observable) const {
  const auto known = std::find_if(arrays_.begin(), arrays_.end(),
                                  [&](const auto& entry) { return entry.first == observable; });
  return known == arrays_.end() ? kNoArray : known->second;
}

uint32_t ObservableRegistry::Find(const engine::Observable& observable) const {
  if (const uint32_t array = ArrayCode(observable); array != kNoArray) return array;
  absl::ReaderMutexLock lock(&mutex_);
  return FindNumbered(observable);
}

uint32_t ObservableRegistry::Prepare(const engine::Observable& observable,
                                     storage::WriteSet& writes) const {
  if (const uint32_t known = Find(observable); known != kNoArray) return known;
  absl::ReaderMutexLock lock(&mutex_);
  uint32_t number = 1;
  for (const auto& [other, array] : arrays_)
    number = std::max(number, (array & ~kNumberedArrays) + 1);
  writes.Put(storage::ObservableKey(posterior_number_, number), ToRecord(observable, number));
  return kNumberedArrays | number;
}

void ObservableRegistry::Apply(const engine::Observable& observable, uint32_t array) {
  if (ArrayCode(observable) != kNoArray) return;
  absl::MutexLock lock(&mutex_);
  if (FindNumbered(observable) == kNoArray) arrays_.emplace_back(observable, array);
}

}  // namespace bif::jobs
