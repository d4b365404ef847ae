#include "src/jobs/admission_cache.h"

#include <gtest/gtest.h>

namespace bif::jobs {
namespace {

struct Itself {
  uint64_t operator()(int key) const { return static_cast<uint64_t>(key); }
};
using Cache = AdmissionCache<int, int, Itself>;

// Asks for a value as its users do; whether it was there.
bool Ask(Cache& cache, int key, CacheUse use = CacheUse::kInteractive) {
  if (cache.Find(key, use)) return true;
  cache.Offer(key, 10 * key, 1, use);
  return false;
}
int Hits(Cache& cache, int begin, int end, CacheUse use = CacheUse::kInteractive) {
  int hits = 0;
  for (int key = begin; key < end; ++key) hits += Ask(cache, key, use);
  return hits;
}

TEST(AdmissionCache, GivesWhatItKeeps) {
  Cache cache(100, 100);
  EXPECT_FALSE(Ask(cache, 7));
  EXPECT_EQ(cache.Find(7, CacheUse::kInteractive), 70);
  EXPECT_EQ(cache.bytes(), 1);
  cache.EraseIf([](int key) { return key == 7; });
  EXPECT_EQ(cache.Find(7, CacheUse::kInteractive), std::nullopt);
  EXPECT_EQ(cache.bytes(), 0);
}

// A cache of what was used last would hit never.
TEST(AdmissionCache, AScanOfTwiceItsSizeHitsForHalfOfIt) {
  Cache cache(100, 400);
  Hits(cache, 0, 200);
  for (int round = 0; round < 5; ++round) EXPECT_GE(Hits(cache, 0, 200), 90);
  EXPECT_LE(cache.bytes(), 100);
}

TEST(AdmissionCache, BulkWorkMovesNobodyOut) {
  Cache cache(100, 400);
  Hits(cache, 0, 100);
  EXPECT_EQ(Hits(cache, 0, 100), 100);
  for (int round = 0; round < 20; ++round) EXPECT_EQ(Hits(cache, 1000, 2000, CacheUse::kBulk), 0);
  EXPECT_EQ(Hits(cache, 0, 100), 100);
}

TEST(AdmissionCache, BulkWorkUsesRoomThatIsFreeUntilSomebodyNeedsIt) {
  Cache cache(100, 400);
  Hits(cache, 0, 100, CacheUse::kBulk);
  EXPECT_EQ(Hits(cache, 0, 100, CacheUse::kBulk), 100);
  for (int round = 0; round < 3; ++round) Hits(cache, 200, 300);
  EXPECT_GE(Hits(cache, 200, 300), 95);
}

TEST(AdmissionCache, OneScanDoesNotFlushWhatIsPopular) {
  Cache cache(100, 400);
  for (int round = 0; round < 3; ++round) Hits(cache, 0, 100);
  Hits(cache, 1000, 1200);
  EXPECT_GE(Hits(cache, 0, 100), 95);
}

TEST(AdmissionCache, WhatBecomesPopularTakesOver) {
  Cache cache(100, 100);
  for (int round = 0; round < 5; ++round) Hits(cache, 0, 100);
  for (int round = 0; round < 30; ++round) Hits(cache, 1000, 1100);
  EXPECT_GE(Hits(cache, 1000, 1100), 95);
}

TEST(AdmissionCache, AValueAboveTheLimitIsNotKept) {
  Cache cache(10, 10);
  EXPECT_FALSE(cache.Offer(1, 1, 11, CacheUse::kInteractive));
  EXPECT_EQ(cache.bytes(), 0);
}

TEST(FrequencySketch, CountsAndForgets) {
  FrequencySketch sketch(64);
  for (int i = 0; i < 8; ++i) sketch.Count(1);
  EXPECT_GE(sketch.Frequency(1), 8);
  EXPECT_LT(sketch.Frequency(2), 8);
  for (int i = 0; i < 5000; ++i) sketch.Count(static_cast<uint64_t>(i % 20 + 100));
  EXPECT_LE(sketch.Frequency(1), 1);
}

}  // namespace
}  // namespace bif::jobs
