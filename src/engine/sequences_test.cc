#include "src/engine/sequences.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bif::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <typename T>
Column Ragged(const std::string& name, DType dtype, const std::vector<std::vector<T>>& rows) {
  Column column{{name, dtype, {-1}}, {}};
  for (const std::vector<T>& row : rows)
    column.Append({reinterpret_cast<const std::byte*>(row.data()), row.size() * sizeof(T)});
  return column;
}

ProgramInfo Vocabulary(int64_t tokens, int64_t longest = 0) {
  ProgramInfo info;
  info.classes = tokens;
  info.longest_sequence = longest;
  info.sequences = true;
  return info;
}

absl::StatusOr<Sequences> ReadAll(const std::vector<Column>& columns, const SequenceSpec& spec = {},
                                  const ProgramInfo& program = Vocabulary(10)) {
  SampleBatch batch;
  batch.rows = static_cast<int64_t>(columns[0].row_ends.size());
  batch.columns = columns;
  auto reader = SequenceReader::Open(batch, "tokens", spec, program);
  if (!reader.ok()) return reader.status();
  Sequences sequences;
  for (int64_t row = 0; row < batch.rows; ++row) {
    if (const absl::Status status = reader->Read(row, sequences); !status.ok()) return status;
  }
  return sequences;
}

void ExpectRefused(const absl::StatusOr<Sequences>& read, const std::string& part) {
  EXPECT_EQ(read.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(read.status().message()), HasSubstr(part));
}

Column Tokens(const std::vector<std::vector<int32_t>>& rows) {
  return Ragged("tokens", DType::kInt32, rows);
}
Column Mask(const std::vector<std::vector<uint8_t>>& rows) {
  return Ragged("mask", DType::kBool, rows);
}

TEST(Sequences, ReadEveryIntegerType) {
  for (const Column& tokens :
       {Tokens({{1, 2, 3}, {4, 5}}), Ragged<uint8_t>("tokens", DType::kUint8, {{1, 2, 3}, {4, 5}}),
        Ragged<int64_t>("tokens", DType::kInt64, {{1, 2, 3}, {4, 5}})}) {
    const auto read = ReadAll({tokens});
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(read->rows(), 2);
    EXPECT_THAT(read->Row(0), ElementsAre(1, 2, 3));
    EXPECT_THAT(read->Row(1), ElementsAre(4, 5));
    EXPECT_TRUE(read->Counts(1, 1));
    EXPECT_FALSE(read->masked());
  }
  ExpectRefused(ReadAll({Ragged<float>("tokens", DType::kFloat32, {{1, 2}})}), "uint8, int32");
}

TEST(Sequences, AreCutWithTheirMask) {
  SequenceSpec spec;
  spec.mask_column = "mask";
  spec.max_tokens = 3;
  const auto read =
      ReadAll({Tokens({{1, 2, 3, 4, 77}, {5, 6}}), Mask({{1, 0, 1, 0, 0}, {0, 1}})}, spec);
  ASSERT_TRUE(read.ok()) << read.status();  // 77 is not read
  EXPECT_THAT(read->Row(0), ElementsAre(1, 2, 3));
  EXPECT_THAT(read->Row(1), ElementsAre(5, 6));
  EXPECT_FALSE(read->Counts(0, 1));
  EXPECT_TRUE(read->Counts(0, 2));
  EXPECT_TRUE(read->Counts(1, 1));
}

TEST(Sequences, MasksMayBeNumbersOfAnyKind) {
  SequenceSpec spec;
  spec.mask_column = "mask";
  for (const Column& mask : {Ragged<float>("mask", DType::kFloat32, {{0, 0.5f, 0}}),
                             Ragged<int64_t>("mask", DType::kInt64, {{0, -1, 0}}),
                             Ragged<int32_t>("mask", DType::kInt32, {{0, 256, 0}})}) {
    const auto read = ReadAll({Tokens({{1, 2, 3}}), mask}, spec);
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_TRUE(read->Counts(0, 1));
    EXPECT_FALSE(read->Counts(0, 2));
  }
}

TEST(Sequences, BadRowsAreRefusedAndAppendNothing) {
  ExpectRefused(ReadAll({Tokens({{1, 2, 10}})}), "token 10 at position 2");
  ExpectRefused(ReadAll({Tokens({{1, -1, 3}})}), "token -1 at position 1");
  ExpectRefused(ReadAll({Tokens({{1}})}), "it has 1 token;");
  ExpectRefused(ReadAll({Tokens({{1, 2, 3, 4}})}, {}, Vocabulary(10, 3)), "the program takes 3");
  SequenceSpec spec;
  spec.mask_column = "mask";
  ExpectRefused(ReadAll({Tokens({{1, 2, 3}}), Mask({{1, 1}})}, spec), "has 2 entries for 3 tokens");
  ExpectRefused(ReadAll({Tokens({{1, 2, 3}}), Mask({{1, 0, 0}})}, spec), "hides every token");
  ExpectRefused(ReadAll({Tokens({{1, 2, 3}})}, spec), "no column 'mask'");
  spec.max_tokens = 2;  // what is left of the mask hides all
  ExpectRefused(ReadAll({Tokens({{1, 2, 3}}), Mask({{1, 0, 1}})}, spec), "positions 1 to 1");

  SampleBatch batch;
  batch.rows = 2;
  batch.columns = {Tokens({{1, 2}, {3, 10}})};
  const auto reader = SequenceReader::Open(batch, "tokens", {}, Vocabulary(10));
  ASSERT_TRUE(reader.ok());
  Sequences sequences;
  EXPECT_TRUE(reader->Read(0, sequences).ok());
  EXPECT_FALSE(reader->Read(1, sequences).ok());
  EXPECT_EQ(sequences.rows(), 1);
  EXPECT_THAT(sequences.Row(0), ElementsAre(1, 2));
}

TEST(Sequences, ColumnsOfFixedLengthAreFine) {
  const std::vector<int32_t> tokens = {1, 2, 3, 4, 5, 6};
  SampleBatch batch;
  batch.rows = 2;
  batch.columns = {Column{{"tokens", DType::kInt32, {3}}, {}}};
  batch.columns[0].Append({reinterpret_cast<const std::byte*>(tokens.data()), 24});
  const auto reader = SequenceReader::Open(batch, "tokens", {}, Vocabulary(10));
  ASSERT_TRUE(reader.ok());
  Sequences sequences;
  EXPECT_TRUE(reader->Read(1, sequences).ok());
  EXPECT_THAT(sequences.Row(0), ElementsAre(4, 5, 6));
}

}  // namespace
}  // namespace bif::engine
