#include "src/jobs/observable_registry.h"

#include <gtest/gtest.h>

#include "src/jobs/trace_arrays.h"
#include "src/storage/store.h"
#include "tests/support/temp_dir.h"

namespace bif::jobs {
namespace {

using engine::Observable;
using engine::ObservableKind;

Observable Span(uint32_t begin, uint32_t end) {
  Observable observable{ObservableKind::kSpanLoss};
  observable.span_begin = begin;
  observable.span_end = end;
  return observable;
}

class ObservableRegistryTest : public ::testing::Test {
 protected:
  ObservableRegistryTest() {
    storage::StoreOptions options;
    options.root = directory_ / "store";
    options.min_free_disk_bytes = 0;
    auto store = storage::OpenStore(options);
    EXPECT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  uint32_t Keep(ObservableRegistry& registry, const Observable& observable) {
    storage::WriteSet writes;
    const uint32_t array = registry.Prepare(observable, writes);
    EXPECT_TRUE(store_->catalog().Commit(writes).ok());
    registry.Apply(observable, array);
    return array;
  }

  testing::TempDir directory_;
  std::unique_ptr<storage::Store> store_;
};

TEST_F(ObservableRegistryTest, CodesOfOldStayWhatTheyWere) {
  ObservableRegistry registry(5);
  EXPECT_EQ(registry.Find({}), 0x0001'0000u);
  EXPECT_EQ(registry.Find({ObservableKind::kCorrectProbability}), 0x0002'0000u);
  EXPECT_EQ(registry.Find({ObservableKind::kMargin}), 0x0003'0000u);
  EXPECT_EQ(registry.Find({ObservableKind::kLogit, 7}), 0x0004'0007u);
  EXPECT_EQ(registry.Find({ObservableKind::kTokenLosses}), 0x0064'0000u);
  storage::WriteSet writes;
  EXPECT_EQ(registry.Prepare({ObservableKind::kLogit, 7}, writes), 0x0004'0007u);
  EXPECT_TRUE(writes.changes().empty()) << "they need no record";
}

TEST_F(ObservableRegistryTest, EveryOtherObservableIsGivenANumberOnce) {
  ObservableRegistry registry(5);
  Observable logit{ObservableKind::kLogit, 70'000};
  Observable logit_at{ObservableKind::kLogit, 7};
  logit_at.position = 3;
  Observable difference{ObservableKind::kLogitDifference, 3, 5};
  Observable reverse{ObservableKind::kLogitDifference, 5, 3};
  Observable probability{ObservableKind::kTokenProbability};
  probability.position = 17;
  const std::vector<Observable> all = {Span(1, 4), Span(1, 5), logit,      logit_at,
                                       difference, reverse,    probability};
  std::vector<uint32_t> arrays;
  for (const Observable& observable : all) {
    EXPECT_EQ(registry.Find(observable), kNoArray);
    arrays.push_back(Keep(registry, observable));
  }
  ObservableRegistry read(5);
  ASSERT_TRUE(read.Reload(store_->catalog()).ok());
  for (size_t i = 0; i < all.size(); ++i) {
    EXPECT_EQ(arrays[i], 0x4000'0001u + i);
    EXPECT_EQ(registry.Find(all[i]), arrays[i]);
    EXPECT_EQ(read.Find(all[i]), arrays[i]);
    EXPECT_EQ(Keep(registry, all[i]), arrays[i]);
  }
  ObservableRegistry other(6);
  ASSERT_TRUE(other.Reload(store_->catalog()).ok());
  EXPECT_EQ(other.Find(all[0]), kNoArray);
}

TEST_F(ObservableRegistryTest, ARecordThatCannotBeReadIsDamage) {
  storage::WriteSet writes;
  writes.PutBytes(storage::ObservableKey(5, 1), "\xff\xff");
  ASSERT_TRUE(store_->catalog().Commit(writes).ok());
  EXPECT_EQ(ObservableRegistry(5).Reload(store_->catalog()).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace bif::jobs
