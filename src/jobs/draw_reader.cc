#include "src/jobs/draw_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/draw_codec.h"

namespace bif::jobs {

DrawReader::DrawReader(storage::Store& store, WorkerPool* workers, int64_t cache_bytes)
    : store_(store), workers_(workers), cache_(cache_bytes) {}

absl::StatusOr<DrawReader::Delta> DrawReader::Read(const DrawPlace& place, int64_t elements) {
  while (true) {
    if (auto cached = cache_.Find(place)) return *cached;
    if (Claim(place)) break;
    // Somebody decodes it right now: milliseconds.
    absl::MutexLock lock(&mutex_);
    const auto released = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return !decoding_.contains(place);
    };
    mutex_.Await(absl::Condition(&released));
  }
  absl::StatusOr<Delta> delta = Decode(place, elements);
  Release(place);
  return delta;
}

void DrawReader::Prefetch(std::vector<DrawPlace> places, int64_t elements) {
  if (workers_ == nullptr || places.empty()) return;
  // A full queue only means that nothing is prefetched.
  workers_
      ->Submit([this, places = std::move(places), elements] {
        for (const DrawPlace& place : places) {
          if (cache_.Find(place) || !Claim(place)) continue;
          Decode(place, elements).IgnoreError();
          Release(place);
        }
      })
      .IgnoreError();
}

void DrawReader::ForgetPosterior(uint64_t posterior) {
  cache_.EraseIf([&](const DrawPlace& place) { return place.posterior == posterior; });
}

absl::StatusOr<DrawReader::Delta> DrawReader::Decode(const DrawPlace& place, int64_t elements) {
  BIF_ASSIGN_OR_RETURN(const auto record,
                       store_.catalog().Get<storage::pb::DrawRecord>(
                           storage::DrawKey(place.posterior, place.chain, place.draw)));
  BIF_ASSIGN_OR_RETURN(const storage::EncodedDraw draw,
                       store_.draws().ReadDraw(place.posterior, record));
  if (draw.elements != static_cast<uint64_t>(elements)) {
    return absl::DataLossError(absl::StrCat("draw ", place.draw, " of chain ", place.chain,
                                            " holds ", draw.elements, " numbers where ", elements,
                                            " parameters move"));
  }
  auto delta = std::make_shared<std::vector<float>>(elements);
  BIF_RETURN_IF_ERROR(engine::DecodeDraw(static_cast<engine::DrawCodec>(draw.codec), draw.payload,
                                         absl::MakeSpan(*delta)));
  cache_.Insert(place, delta, elements * static_cast<int64_t>(sizeof(float)));
  return delta;
}

bool DrawReader::Claim(const DrawPlace& place) {
  absl::MutexLock lock(&mutex_);
  return decoding_.insert(place).second;
}

void DrawReader::Release(const DrawPlace& place) {
  absl::MutexLock lock(&mutex_);
  decoding_.erase(place);
}

}  // namespace bif::jobs
