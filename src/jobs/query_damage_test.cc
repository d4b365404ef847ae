// Queries over stored draws that cannot be read any more.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/support/queries_fixture.h"

namespace bif::jobs {
namespace {

class QueryDamageTest : public QueriesFixture {
 protected:
  // Draw files of the posterior, which is the only one. Chain states lie beside them and are left
  // alone.
  std::vector<std::filesystem::path> DrawFiles() {
    std::vector<std::filesystem::path> files;
    const auto posterior = jobs_->posteriors().Open(posterior_);
    EXPECT_TRUE(posterior.ok());
    for (uint32_t chain = 0; chain < kChains; ++chain) {
      const auto record = store_->catalog().Get<storage::pb::DrawRecord>(
          storage::DrawKey(posterior->record.number(), chain, 0));
      EXPECT_TRUE(record.ok()) << record.status();
      for (const auto& entry :
           std::filesystem::recursive_directory_iterator(data_ / "store/draws")) {
        if (entry.path().filename() == std::filesystem::path(record->file().name()).filename()) {
          files.push_back(entry.path());
        }
      }
    }
    return files;
  }
  // The first byte of the file's first draw, behind its header.
  static void DamageFirstDraw(const std::filesystem::path& path) {
    constexpr int kHeaderBytes = 64;
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(kHeaderBytes);
    const char byte = static_cast<char>(file.get());
    file.seekp(kHeaderBytes);
    file.put(static_cast<char>(byte ^ 0x40));
  }
};

TEST_F(QueryDamageTest, ADamagedDrawIsLeftOutAndCounted) {
  SampleIt();
  const auto files = DrawFiles();
  ASSERT_FALSE(files.empty());
  DamageFirstDraw(files[0]);
  const AttributeUpdate answer = Answer(Ask(Inline(1)));
  ASSERT_EQ(answer.rankings.size(), 1u);
  EXPECT_EQ(answer.provenance.draws_left_out, 1u);
  EXPECT_EQ(answer.provenance.draws_per_chain, kDraws - 1);

  // Asked again from the store, the answer is the same.
  Restart();
  const AttributeUpdate again = Answer(Ask(Inline(1)));
  EXPECT_EQ(again.rows_evaluated, 0u);
  EXPECT_EQ(again.provenance.draws_left_out, answer.provenance.draws_left_out);
  EXPECT_EQ(again.rankings[0].helpful[0].score, answer.rankings[0].helpful[0].score);

  // A stored training row needs no draw: its trace is whole.
  EXPECT_EQ(Answer(Ask({{}, "datasets/train", {"r1"}})).provenance.draws_left_out, 0u);
}

TEST_F(QueryDamageTest, CandidatesTracedOverADamagedDrawLeaveItOutToo) {
  SampleIt();
  const auto files = DrawFiles();
  ASSERT_FALSE(files.empty());
  MakeDataset("more", 12, 5);
  DamageFirstDraw(files[0]);
  const auto operation = jobs_->queries().TraceSamples({{}, posterior_, "datasets/more", {}});
  ASSERT_TRUE(operation.ok());
  ASSERT_TRUE(WaitFor(operation->name).error.ok());
  AttributeRequest request = Ask({{}, "datasets/train", {"r1"}});
  request.candidates.dataset = "datasets/more";
  const AttributeUpdate answer = Answer(request);
  EXPECT_EQ(answer.provenance.draws_left_out, 1u);
  for (const ScoredSample& sample : answer.rankings[0].helpful) {
    EXPECT_FALSE(sample.constant);
    EXPECT_NE(sample.score, 0);
  }
}

TEST_F(QueryDamageTest, WithoutAnyReadableDrawThereIsNoAnswer) {
  SampleIt();
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data_ / "store/draws")) {
    if (entry.is_regular_file()) std::filesystem::resize_file(entry.path(), 1);
  }
  EXPECT_EQ(ErrorOf(Ask(Inline(1))).code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace bif::jobs
