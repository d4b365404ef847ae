// Names, numbers, tables, progress lines and CSV cells: everything of bifctl that is text and needs
// no server.
#include <sstream>

#include "client/cli/csv.h"
#include "client/cli/names.h"
#include "client/cli/output.h"
#include "client/cli/progress.h"
#include "client/cli/query_options.h"
#include "client/cli/session.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bif::client {
namespace {

using testing::HasSubstr;

TEST(Names, ShortOnesAreQualifiedAndFullOnesStay) {
  EXPECT_EQ(Qualified("posteriors", "ab12"), "posteriors/ab12");
  EXPECT_EQ(Qualified("posteriors", "posteriors/ab12"), "posteriors/ab12");
  EXPECT_EQ(Qualified("posteriors", ""), "");
  EXPECT_EQ(ShortName("posteriors/ab12"), "ab12");
  EXPECT_EQ(ShortName("ab12"), "ab12");
}

TEST(Names, ASampleIsDatasetAndId) {
  for (const char* text : {"fashion/17", "datasets/fashion/17", "datasets/fashion/samples/17"}) {
    const auto reference = ParseSampleReference(text);
    ASSERT_TRUE(reference.ok()) << text;
    EXPECT_EQ(reference->name(), "datasets/fashion/samples/17");
  }
  EXPECT_EQ(ParseSampleReference("fashion/a/b")->sample_id, "a/b");
  for (const char* text : {"", "fashion", "fashion/", "/17"}) {
    EXPECT_TRUE(IsUsageError(ParseSampleReference(text).status())) << text;
  }
}

TEST(Names, ASampleSetIsOfOneDataset) {
  const auto set = ParseSampleSet({"a/1", "a/2"});
  ASSERT_TRUE(set.ok());
  EXPECT_EQ(set->dataset(), "datasets/a");
  EXPECT_EQ(set->sample_ids_size(), 2);
  EXPECT_EQ(ParseSampleSet({"a/*"})->sample_ids_size(), 0);
  EXPECT_EQ(ParseSampleSet({})->dataset(), "");
  EXPECT_TRUE(IsUsageError(ParseSampleSet({"a/1", "b/1"}).status()));
}

TEST(Names, AColumnIsNameDtypeAndShape) {
  const auto image = ParseColumn("image:uint8:28,28");
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(image->name(), "image");
  EXPECT_EQ(image->dtype(), v1::UINT8);
  EXPECT_EQ(ShapeText(image->shape()), "[28, 28]");
  EXPECT_EQ(ParseColumn("label:int64")->shape_size(), 0);
  const auto tokens = ParseColumn("tokens:int32:?");
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  EXPECT_EQ(tokens->shape(0), -1);
  EXPECT_EQ(ShapeText(tokens->shape()), "[?]");
  for (const char* text : {"", "image", "image:float64", ":uint8", "a:uint8:0", "a:uint8:x",
                           "a:uint8:1:2", "a:uint8:2,?", "a:dtype_unspecified"}) {
    EXPECT_TRUE(IsUsageError(ParseColumn(text).status())) << text;
  }
}

TEST(Names, AnObservableIsAKindAndPerhapsAnIndex) {
  EXPECT_EQ(ParseObservable("margin")->kind(), v1::MARGIN);
  EXPECT_EQ(ParseObservable("logit:3")->logit_index(), 3u);
  EXPECT_EQ(ParseObservable("logit:3@7")->position(), 7u);
  EXPECT_EQ(ParseObservable("logit-difference:3:5@2")->other_logit_index(), 5u);
  EXPECT_EQ(ParseObservable("span:4")->span_begin(), 4u);
  EXPECT_EQ(ParseObservable("span:4:9")->span_end(), 9u);
  EXPECT_EQ(ParseObservable("token-probability@6")->position(), 6u);
  for (const char* text :
       {"", "logit", "logit:x", "margin:1", "accuracy", "logit:1:2", "loss@3", "span", "span:1:2:3",
        "token-probability:4", "logit:1@", "logit:1@2@3", "logit-difference:1"}) {
    EXPECT_TRUE(IsUsageError(ParseObservable(text).status())) << text;
  }
}

TEST(Output, NumbersAreReadable) {
  EXPECT_EQ(Count(0), "0");
  EXPECT_EQ(Count(999), "999");
  EXPECT_EQ(Count(-1234567), "-1,234,567");
  EXPECT_EQ(Bytes(512), "512 B");
  EXPECT_EQ(Bytes(1536), "1.5 KiB");
  EXPECT_EQ(DurationText(absl::Milliseconds(8)), "8 ms");
  EXPECT_EQ(DurationText(absl::Seconds(12.34)), "12.3 s");
  EXPECT_EQ(DurationText(absl::Seconds(187)), "3 min 07 s");
  EXPECT_EQ(DurationText(absl::Minutes(62)), "1 h 02 min");
  EXPECT_EQ(ScoreText(-0.012345, 0.00211), "-0.0123 ± 0.0021");
  EXPECT_EQ(Kebab("RMSPROP_SGLD"), "rmsprop-sgld");
}

TEST(Output, TablesAreAlignedAndNumbersStandRight) {
  Table table({"NAME", ">COUNT", "STATE"});
  table.Add({"a", "7", "ready"});
  table.Add({"± long", "1,234", ""});
  std::ostringstream out;
  table.Print(out);
  EXPECT_EQ(out.str(),
            "NAME    COUNT  STATE\n"
            "a           7  ready\n"
            "± long  1,234\n");
}

TEST(Output, FieldsLeaveOutWhatIsEmpty) {
  Fields fields;
  fields.Add("name", "datasets/a").Add("display name", "").Add("samples", "5");
  std::ostringstream out;
  fields.Print(out);
  EXPECT_EQ(out.str(), "name     datasets/a\nsamples  5\n");
}

TEST(Output, JsonHasDefaultValuesAndEndsItsLine) {
  v1::AppendSamplesResponse response;
  response.mutable_dataset()->set_name("datasets/a");
  std::ostringstream line;
  PrintJsonLine(line, response);
  EXPECT_THAT(line.str(), HasSubstr("\"appended\":\"0\""));
  std::ostringstream lines;
  PrintJson(lines, response);
  EXPECT_EQ(lines.str().back(), '\n');
}

TEST(Progress, ShowsShareRateAndTimeLeft) {
  const ProgressState state{
      .stage = "sampling", .done = 50, .total = 200, .unit = "draws", .rate = 12.5};
  EXPECT_EQ(RenderProgress(state, 8),
            "sampling  [##......]  25 %  50/200 draws  12.5/s  12.0 s left");
}

TEST(Progress, TheServersOwnEstimateOfTheRestIsPreferred) {
  const ProgressState state{.stage = "sampling",
                            .done = 50,
                            .total = 200,
                            .unit = "draws",
                            .rate = 12.5,
                            .remaining = absl::Seconds(90)};
  EXPECT_THAT(RenderProgress(state, 8), HasSubstr("1 min 30 s left"));
}

TEST(Progress, BytesAreShownAsSuchAndAnEndHasNothingLeft) {
  const ProgressState state{.stage = "uploading", .done = 2048, .total = 2048, .unit = "B"};
  EXPECT_EQ(RenderProgress(state, 4), "uploading  [####] 100 %  2.0 KiB/2.0 KiB");
  EXPECT_EQ(RenderProgress({.stage = "queued"}, 4), "queued");
}

TEST(Progress, WithoutATerminalAPlainLineEveryTenth) {
  std::ostringstream out, err;
  Session session(out, err);
  {
    Progress progress(session);
    for (int done = 0; done <= 100; ++done) {
      progress.Update(
          {.stage = "sampling", .done = done, .total = 100, .unit = "draws", .rate = 1});
    }
  }
  const std::string text = err.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 11);
  EXPECT_EQ(text.find('\r'), std::string::npos);
  EXPECT_TRUE(out.str().empty());
}

TEST(Progress, OnATerminalOneLineIsRedrawn) {
  std::ostringstream out, err;
  Session session(out, err);
  session.err_is_terminal = true;
  {
    Progress progress(session);
    progress.Update({.stage = "queued"});
    progress.Update({.stage = "sampling", .done = 1, .total = 2, .unit = "draws"});
  }
  const std::string text = err.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1);
  EXPECT_EQ(std::count(text.begin(), text.end(), '\r'), 2);
}

TEST(Progress, AQuietSessionShowsNone) {
  std::ostringstream out, err;
  Session session(out, err);
  session.quiet = true;
  Progress(session).Update({.stage = "sampling"});
  EXPECT_TRUE(err.str().empty());
}

TEST(Csv, CellsAreQuotedWhereTheyMustBe) {
  EXPECT_EQ(CsvCell("plain"), "plain");
  EXPECT_EQ(CsvCell("a,b"), "\"a,b\"");
  EXPECT_EQ(CsvCell("say \"hi\""), "\"say \"\"hi\"\"\"");
  EXPECT_EQ(std::stof(CsvNumber(0.1f)), 0.1f);
}

}  // namespace
}  // namespace bif::client
