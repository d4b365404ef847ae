// The negative controls of whoever looks for losses: each kind of loss, made on purpose, is found.
#include "tests/faults/store_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/faults/store_content.h"
#include "tests/support/test_directory.h"

namespace bif::faults {
namespace {

using storage::WriteSet;
using ::testing::HasSubstr;
namespace pb = storage::pb;

// What stands in `history` about a directory that holds dataset 1 with 10 rows and record 1.
Findings Check(storage::TestDirectory& directory, const std::string& history) {
  return CheckStore(directory.store(), directory.root(), ParseHistory(history));
}

class StoreCheck : public ::testing::Test {
 protected:
  StoreCheck() {
    WriteSet writes;
    storage::Store& store = directory_.store();
    Must(store.samples().Write(1, 0, Rows(1, 0, 10), RowIds(1, 0, 10), true, writes));
    pb::DatasetRecord dataset;
    dataset.set_number(1);
    dataset.set_rows(10);
    writes.Put(storage::DatasetKey("1"), dataset);
    pb::OperationRecord record;
    record.set_request(RecordBytes(1));
    writes.Put(storage::OperationKey("1"), record);
    Must(store.catalog().Commit(writes));
  }
  void Commit(const WriteSet& writes) { Must(directory_.store().catalog().Commit(writes)); }
  void ExpectViolation(const std::string& history, const std::string& words) {
    const Findings findings = Check(directory_, history);
    ASSERT_FALSE(findings.violations.empty());
    EXPECT_THAT(findings.ToString(), HasSubstr(words));
  }

  const std::string whole_ = "try rows 1 10\nok rows 1 10\nok record 1\n";
  storage::TestDirectory directory_;
};

TEST_F(StoreCheck, FindsNothingWhereNothingIsWrong) {
  EXPECT_TRUE(Check(directory_, whole_).Clean()) << Check(directory_, whole_).ToString();
  EXPECT_TRUE(Check(directory_, "try rows 1 10\ntry record 1\n").Clean()) << "or came to be";
}

TEST_F(StoreCheck, FindsALostRecord) {
  ExpectViolation(whole_ + "ok record 2\n", "record 2 was acknowledged and is lost");
  ExpectViolation(whole_ + "ok segment 3 5\n", "posterior 3 was acknowledged and is lost");
}

TEST_F(StoreCheck, FindsLostRows) { ExpectViolation(whole_ + "ok rows 1 12\n", "has 10 rows"); }

TEST_F(StoreCheck, FindsRowsThatNobodyAdded) {
  ExpectViolation("ok rows 1 8\nok record 1\n", "has 10 rows");
}

TEST_F(StoreCheck, FindsAChangedRow) {
  WriteSet writes;
  Must(directory_.store().samples().Write(1, 10, Rows(1, 11, 1), RowIds(1, 10, 1), true, writes));
  pb::DatasetRecord dataset;
  dataset.set_number(1);
  dataset.set_rows(11);
  writes.Put(storage::DatasetKey("1"), dataset);
  Commit(writes);
  ExpectViolation("ok rows 1 11\nok record 1\n", "row 10 has wrong values");
}

TEST_F(StoreCheck, FindsAMarkThatIsMissingOrNobodyMade) {
  ExpectViolation(whole_ + "ok delete-rows 1 2 4\n", "marks of deleted rows");
  WriteSet writes;
  Must(directory_.store().samples().MarkDeleted(1, {3}, writes));
  Commit(writes);
  ExpectViolation(whole_, "marks of deleted rows");
  ExpectViolation(whole_ + "try delete-rows 1 2 4\n", "marks of deleted rows");
}

TEST_F(StoreCheck, FindsAHoleInTheTraces) {
  WriteSet writes;
  pb::PosteriorRecord record;
  record.set_number(3);
  record.set_draws_committed(5);
  pb::TraceExtent extent;
  extent.set_slots(20);
  extent.set_draws(5);
  for (uint32_t chain = 0; chain < 2; ++chain) {
    Must(directory_.store().traces().Write({3, kLosses, 1}, chain, 0, 20 - chain, 0, 5,
                                           Traces(3, chain, 20 - chain, 0, 5)));
    std::vector<storage::EncodedDraw> draws;
    for (uint32_t d = 0; d < 5; ++d) draws.push_back(Draw(3, chain, d));
    const auto records = Must(directory_.store().draws().WriteDraws(3, chain, 0, draws));
    for (uint32_t d = 0; d < 5; ++d) writes.Put(storage::DrawKey(3, chain, d), records[d]);
    pb::ChainRecord& chain_record = *record.add_chains();
    chain_record.set_index(chain);
    chain_record.set_draws(5);
    *chain_record.add_states() =
        Must(directory_.store().draws().WriteState(3, chain, ChainState(3, chain, StepAfter(5))));
  }
  writes.Put(storage::PosteriorKey("3"), record);
  writes.Put(storage::TraceExtentKey(3, kLosses, 1, 0), extent);
  Commit(writes);
  const Findings findings = Check(directory_, whole_ + "ok segment 3 5\n");
  EXPECT_THAT(findings.damaged, ::testing::ElementsAre(HasSubstr("slot 19 draw 0 is missing")));
  EXPECT_FALSE(findings.Clean());
}

TEST_F(StoreCheck, FindsHalfOfACommit) {
  WriteSet writes;
  writes.Put(storage::DrawKey(3, 0, 0), pb::DrawRecord());
  Commit(writes);
  ExpectViolation(whole_ + "try segment 3 5\n", "posterior 3 is not there, but parts of it are");
}

TEST_F(StoreCheck, FindsWhatNobodyMade) {
  WriteSet writes;
  writes.Put(storage::OperationKey("7"), pb::OperationRecord());
  Commit(writes);
  ExpectViolation(whole_, "that nobody made");
}

TEST_F(StoreCheck, FindsWhatCameBack) {
  ExpectViolation(whole_ + "ok drop-dataset 1\n", "is there again after it was dropped");
}

TEST_F(StoreCheck, FindsAFileThatWasLeftBehind) {
  Must(WriteFileDurably(directory_.root() + "/tmp", directory_.root() + "/blobs/stray", "x"));
  ExpectViolation(whole_, "blobs/stray was left behind");
}

TEST_F(StoreCheck, FindsACounterThatWentBack) {
  ExpectViolation(whole_ + "ok counter 5\n", "the counter gives 1 after 5");
}

}  // namespace
}  // namespace bif::faults
