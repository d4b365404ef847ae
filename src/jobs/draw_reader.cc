#include "src/jobs/draw_reader.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "src/base/status.h"
#include "src/engine/draw_codec.h"

namespace bif::jobs {
namespace {

constexpr int64_t kReadyShare = 4;            // a quarter of the bytes is for what was prefetched
constexpr size_t kDrawsOfInterest = 1 << 14;  // of all posteriors that are asked about at a time

}  // namespace

DrawReader::DrawReader(storage::Store& store, WorkerPool* workers, Counters& counters,
                       int64_t cache_bytes)
    : store_(store),
      workers_(workers),
      counters_(counters),
      cache_(cache_bytes - cache_bytes / kReadyShare, kDrawsOfInterest),
      ready_(cache_bytes / kReadyShare) {}

absl::StatusOr<DrawReader::Delta> DrawReader::Read(const DrawPlace& place, int64_t elements,
                                                   CacheUse use) {
  if (auto cached = cache_.Find(place, use)) {
    ++counters_.draw_cache_hits;
    return *cached;
  }
  ++counters_.draw_cache_misses;
  std::optional<Delta> delta;
  while (!(delta = ready_.Take(place)) && !Claim(place)) {
    // Somebody decodes it right now: milliseconds.
    absl::MutexLock lock(&mutex_);
    const auto released = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
      return !decoding_.contains(place);
    };
    mutex_.Await(absl::Condition(&released));
  }
  if (!delta) {
    absl::StatusOr<Delta> decoded = Decode(place, elements);
    Release(place);
    BIF_RETURN_IF_ERROR(decoded.status());
    delta = *std::move(decoded);
  }
  cache_.Offer(place, *delta, elements * static_cast<int64_t>(sizeof(float)), use);
  return *std::move(delta);
}

void DrawReader::Prefetch(std::vector<DrawPlace> places, int64_t elements) {
  if (workers_ == nullptr || places.empty()) return;
  // A full queue only means that nothing is prefetched.
  workers_
      ->Submit([this, places = std::move(places), elements] {
        for (const DrawPlace& place : places) {
          if (cache_.Contains(place) || ready_.Find(place) || !Claim(place)) continue;
          const absl::StatusOr<Delta> delta = Decode(place, elements);
          if (delta.ok())
            ready_.Insert(place, *delta, elements * static_cast<int64_t>(sizeof(float)));
          Release(place);
        }
      })
      .IgnoreError();
}

void DrawReader::ForgetPosterior(uint64_t posterior) {
  const auto of_posterior = [&](const DrawPlace& place) { return place.posterior == posterior; };
  cache_.EraseIf(of_posterior);
  ready_.EraseIf(of_posterior);
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
