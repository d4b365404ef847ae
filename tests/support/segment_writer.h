// A job without an engine: writes a posterior segment by segment, as src/jobs does, with everything
// that a store can hold, and makes and deletes small posteriors beside it. What it writes depends
// on the segment's number alone, so two stores with as many segments hold the same. For tests;
// throws if the store refuses. Thread-compatible.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "src/storage/store.h"

namespace bif::storage {

inline constexpr uint64_t kWrittenPosterior = 1;
inline constexpr uint32_t kWrittenDataset = 1;

class SegmentWriter {
 public:
  explicit SegmentWriter(Store& store) : store_(store) {}

  // The next segment, in one commit, and what it deletes.
  void Write();
  void WriteMany(uint32_t segments) {
    while (segments_ < segments) Write();
  }
  uint32_t segments() const { return segments_; }

  // How many segments a store holds.
  static uint32_t SegmentsIn(Store& store);

 private:
  void AddSamples(WriteSet& writes);
  void AddBlob(WriteSet& writes);
  void AddDraws(WriteSet& writes);
  void AddPassingPosterior(WriteSet& writes);

  Store& store_;
  uint32_t segments_ = 0;
  pb::PosteriorRecord posterior_;
};

}  // namespace bif::storage
