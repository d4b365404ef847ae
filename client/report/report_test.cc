#include "client/report/report.h"

#include <png.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "client/report/png.h"
#include "client/report/svg.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bif::client {
namespace {

using testing::HasSubstr;
using testing::Not;

v1::Tensor Tensor(const std::string& name, v1::DType dtype, std::vector<int64_t> shape,
                  std::string data) {
  v1::Tensor tensor;
  tensor.mutable_spec()->set_name(name);
  tensor.mutable_spec()->set_dtype(dtype);
  for (const int64_t size : shape) tensor.mutable_spec()->add_shape(size);
  tensor.set_data(std::move(data));
  return tensor;
}

// Decodes with libpng what EncodePng wrote.
std::vector<uint8_t> DecodePng(const std::string& file, int channels, int* width, int* height) {
  png_image png;
  std::memset(&png, 0, sizeof(png));
  png.version = PNG_IMAGE_VERSION;
  EXPECT_TRUE(png_image_begin_read_from_memory(&png, file.data(), file.size()));
  png.format = channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  std::vector<uint8_t> pixels(PNG_IMAGE_SIZE(png));
  EXPECT_TRUE(png_image_finish_read(&png, nullptr, pixels.data(), 0, nullptr));
  *width = static_cast<int>(png.width);
  *height = static_cast<int>(png.height);
  return pixels;
}

TEST(Png, AGreyImageComesBackAsItWas) {
  const auto image = ImageFromTensor(
      Tensor("image", v1::UINT8, {2, 3}, std::string("\x00\x10\x20\x30\x40\xff", 6)));
  ASSERT_TRUE(image.ok());
  const auto file = EncodePng(*image);
  ASSERT_TRUE(file.ok());
  int width = 0, height = 0;
  EXPECT_EQ(DecodePng(*file, 1, &width, &height),
            (std::vector<uint8_t>{0x00, 0x10, 0x20, 0x30, 0x40, 0xff}));
  EXPECT_EQ(width, 3);
  EXPECT_EQ(height, 2);
}

TEST(Png, ChannelsFirstBecomesInterleaved) {
  const auto image = ImageFromTensor(Tensor("image", v1::UINT8, {3, 1, 2}, "rRgGbB"));
  ASSERT_TRUE(image.ok());
  const auto file = EncodePng(*image);
  ASSERT_TRUE(file.ok());
  int width = 0, height = 0;
  EXPECT_EQ(DecodePng(*file, 3, &width, &height),
            (std::vector<uint8_t>{'r', 'g', 'b', 'R', 'G', 'B'}));
}

TEST(Png, FloatsAreStretchedAndNanIsBlack) {
  const float values[] = {-1, 0, 1, std::numeric_limits<float>::quiet_NaN()};
  const auto image = ImageFromTensor(Tensor(
      "image", v1::FLOAT32, {1, 2, 2}, std::string(reinterpret_cast<const char*>(values), 16)));
  ASSERT_TRUE(image.ok());
  EXPECT_EQ(image->pixels, (std::vector<uint8_t>{0, 128, 255, 0}));
}

TEST(Png, WhatIsNoImageIsRefused) {
  EXPECT_FALSE(ImageFromTensor(Tensor("label", v1::INT64, {}, std::string(8, '\0'))).ok());
  EXPECT_FALSE(ImageFromTensor(Tensor("image", v1::UINT8, {2, 2, 2}, std::string(8, '\0'))).ok());
  EXPECT_FALSE(ImageFromTensor(Tensor("image", v1::UINT8, {2, 2}, "abc")).ok());
  EXPECT_FALSE(ImageFromTensor(Tensor("image", v1::INT32, {2, 2}, std::string(16, '\0'))).ok());
  EXPECT_FALSE(ImageFromTensor(Tensor("image", v1::UINT8, {1000000, 1000000}, "abc")).ok());
  EXPECT_FALSE(ImageFromTensor(Tensor("image", v1::UINT8, {-1, 5}, "abc")).ok());
}

TEST(Svg, EveryLineIsDrawnAndGapsLiftThePen) {
  Chart chart;
  chart.title = "a < b";
  chart.lines = {{"chain 0", {1, 2, NAN, 3}}, {"chain 1", {2, 2, 2, 2}, true}};
  const std::string svg = DrawChart(chart);
  EXPECT_THAT(svg, HasSubstr("a &lt; b"));
  EXPECT_THAT(svg, HasSubstr("class=\"line line0\""));
  EXPECT_THAT(svg, HasSubstr("class=\"line line1 dimmed\""));
  const std::string first = svg.substr(svg.find("line0"), svg.find("line1") - svg.find("line0"));
  EXPECT_EQ(std::count(first.begin(), first.end(), 'M'), 2);
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(Svg, ManyDrawsAreAveragedIntoFewPoints) {
  Chart chart;
  chart.lines = {{"chain 0", std::vector<float>(20000, 1.0f)}};
  EXPECT_LT(DrawChart(chart).size(), 20000u);
}

TEST(Svg, NothingToDrawIsEmpty) {
  EXPECT_EQ(DrawChart({}), "");
  Chart chart;
  chart.lines = {{"chain 0", {NAN}}};
  EXPECT_EQ(DrawChart(chart), "");
}

v1::Sample Picture(const std::string& id, int64_t label) {
  v1::Sample sample;
  sample.set_id(id);
  *sample.add_tensors() = Tensor("image", v1::UINT8, {2, 2}, "abcd");
  *sample.add_tensors() = Tensor("label", v1::INT64, {},
                                 std::string(reinterpret_cast<const char*>(&label), sizeof(label)));
  return sample;
}

v1::Score Score(const std::string& id, float score, bool helps, bool distinguishable) {
  v1::Score result;
  result.set_sample_id(id);
  result.set_score(score);
  result.set_standard_error(0.002f);
  result.set_helps(helps);
  result.set_distinguishable(distinguishable);
  return result;
}

// One query, test/4, with two helpful and one harmful training images.
ReportContent Canned() {
  ReportContent content;
  content.posterior.set_name("posteriors/p1");
  content.posterior.set_dataset("datasets/train");
  content.posterior.set_training_samples(60000);
  content.diagnostics.set_verdict("MIXED");
  content.diagnostics.set_explanation("The chains agree.");
  content.diagnostics.set_r_hat(1.0123);
  content.diagnostics.set_llc(31.25);
  auto& chain = *content.diagnostics.add_chains();
  for (const float loss : {0.5f, 0.4f, 0.45f}) chain.add_sampling_loss(loss);
  auto& ranking = *content.answer.add_rankings();
  ranking.set_sample_id("4");
  ranking.set_helpful_stability(0.82);
  *ranking.add_helpful() = Score("11", -0.03f, true, true);
  *ranking.add_helpful() = Score("12", -0.01f, true, false);
  *ranking.add_harmful() = Score("13", 0.02f, false, true);
  content.answer.mutable_provenance()->set_chains(2);
  content.answer.mutable_provenance()->set_draws_per_chain(100);
  content.query_dataset = "datasets/test";
  content.candidate_dataset = "datasets/train";
  content.label_column = "label";
  content.class_names = {"shirt", "coat"};
  content.samples["datasets/test/samples/4"] = Picture("4", 1);
  content.samples["datasets/train/samples/11"] = Picture("11", 0);
  content.samples["datasets/train/samples/13"] = Picture("13", 9);
  return content;
}

// The list item of one training sample.
std::string Item(const std::string& page, const std::string& id) {
  const size_t at = page.find("soft id\">" + id + "<");
  const size_t begin = page.rfind("<li", at);
  return at == std::string::npos ? "" : page.substr(begin, page.find("</li>", begin) - begin);
}

TEST(Report, IsSelfContained) {
  const auto page = RenderReport(Canned());
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(*page, Not(HasSubstr("<script")));
  EXPECT_THAT(*page, Not(HasSubstr("http")));
  EXPECT_THAT(*page, Not(HasSubstr("{{")));
  EXPECT_THAT(*page, HasSubstr("prefers-color-scheme: dark"));
  EXPECT_THAT(*page, HasSubstr("name=\"viewport\""));
  EXPECT_THAT(*page, HasSubstr("src=\"data:image/png;base64,iVBOR"));
}

TEST(Report, AScoreStandsWithItsErrorAndItsMeaningInWords) {
  const std::string page = *RenderReport(Canned());
  const std::string helpful = Item(page, "11");
  EXPECT_THAT(helpful, HasSubstr("shirt"));
  EXPECT_THAT(helpful, HasSubstr("−0.03"));
  EXPECT_THAT(helpful, HasSubstr("± 0.002"));
  EXPECT_THAT(helpful, HasSubstr("helps"));
  EXPECT_THAT(helpful, HasSubstr("width:100%"));
  const std::string harmful = Item(page, "13");
  EXPECT_THAT(harmful, HasSubstr("hurts"));
  EXPECT_THAT(harmful, HasSubstr("class 9"));  // there is no name for it
  EXPECT_THAT(page, HasSubstr("82 % of these stay"));
}

TEST(Report, WhatIsNotDistinguishableFromZeroIsMarked) {
  ReportContent content = Canned();
  content.samples["datasets/train/samples/12"] = Picture("12", 0);
  const std::string page = *RenderReport(content);
  EXPECT_THAT(Item(page, "12"), HasSubstr("class=\"zero\""));
  EXPECT_THAT(Item(page, "12"), HasSubstr("≈ 0?"));
  EXPECT_THAT(Item(page, "11"), Not(HasSubstr("class=\"zero\"")));
}

TEST(Report, ASampleThatIsGoneIsShownByItsId) {
  const std::string page = *RenderReport(Canned());
  EXPECT_THAT(page, HasSubstr("<div class=\"blank\">12</div>"));
}

TEST(Report, NotesBecomeBadgesOfTheSampleThatIsMeant) {
  ReportContent content = Canned();
  content.notes = {
      {"13", "label flipped: was 3"}, {"test/4", "misread"}, {"4", "of training sample 4"}};
  const std::string page = *RenderReport(content);
  EXPECT_THAT(Item(page, "13"), HasSubstr("label flipped: was 3"));
  EXPECT_THAT(Item(page, "11"), Not(HasSubstr("badge")));
  EXPECT_THAT(page, HasSubstr("misread"));
  EXPECT_THAT(page, Not(HasSubstr("of training sample 4")));
}

TEST(Report, TextFromOutsideCannotBecomeMarkup) {
  ReportContent content = Canned();
  content.title = "<b>title</b>";
  content.class_names = {"<i>shirt</i>", "coat"};
  content.notes = {{"11", "\"><script>"}};
  const std::string page = *RenderReport(content);
  EXPECT_THAT(page, Not(HasSubstr("<b>title")));
  EXPECT_THAT(page, Not(HasSubstr("<i>shirt")));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
}

TEST(Report, TheChainsAreJudgedInWords) {
  ReportContent content = Canned();
  EXPECT_THAT(*RenderReport(content),
              HasSubstr("<span class=\"verdict\">mixed</span> The chains agree."));
  EXPECT_THAT(*RenderReport(content), HasSubstr("1.012"));
  EXPECT_THAT(*RenderReport(content), HasSubstr("class=\"line line0\""));
  content.diagnostics.set_verdict("STUCK_AT_ANCHOR");
  EXPECT_THAT(*RenderReport(content),
              HasSubstr("<span class=\"verdict bad\">stuck-at-anchor</span>"));
}

TEST(Report, SummaryAndProvenanceAreShown) {
  ReportContent content = Canned();
  content.summary = {{"AUROC of self-influence", "0.94"}};
  content.provenance = {{"this answer took", "12 ms"}};
  const std::string page = *RenderReport(content);
  EXPECT_THAT(page, HasSubstr("<dt>AUROC of self-influence</dt><dd>0.94</dd>"));
  EXPECT_THAT(page, HasSubstr("<td>12 ms</td>"));
  EXPECT_THAT(page, HasSubstr("<td>posteriors/p1</td>"));
}

// A query of three tokens and a training sequence of four, as their texts.
ReportContent TextContent() {
  ReportContent content;
  content.posterior.set_name("posteriors/p");
  content.query_dataset = "datasets/asked";
  content.candidate_dataset = "datasets/corpus";
  v1::QueryRanking& ranking = *content.answer.add_rankings();
  ranking.set_sample_id("q");
  *ranking.add_helpful() = Score("t", -0.5f, true, true);
  content.pieces["datasets/asked/samples/q"] = {"<s>", " camel", " & needle"};
  content.pieces["datasets/corpus/samples/t"] = {"<s>", " a", " rich", " man"};
  return content;
}

TokenHeat Heat() {
  TokenHeat heat;
  heat.columns = 2;
  heat.scores = {0.f, 0.001f, -0.04f, 0.02f, -0.01f, 0.f};
  heat.standard_errors = std::vector<float>(6, 0.003f);
  heat.completions = {0.001f, -0.02f, -0.01f};
  heat.completion_errors = std::vector<float>(3, 0.005f);
  return heat;
}

TEST(Report, SequencesAreShownAsText) {
  const auto page = RenderReport(TextContent());
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(*page, HasSubstr("&lt;s&gt; camel &amp; needle</p>"));
  EXPECT_THAT(*page, HasSubstr("&lt;s&gt; a rich man</p>"));
  EXPECT_THAT(*page, Not(HasSubstr("no image")));
  EXPECT_THAT(*page, Not(HasSubstr("token against token")));
  EXPECT_THAT(*page, Not(HasSubstr("<script")));
}

TEST(Report, TokensAreTintedByTheirScoreWithTheWholeQuery) {
  ReportContent content = TextContent();
  content.heat[{"datasets/asked/samples/q", "datasets/corpus/samples/t"}] = Heat();
  const auto page = RenderReport(content);
  ASSERT_TRUE(page.ok()) << page.status();
  // The first token has no loss, the strongest is tinted fully, and titles say the numbers.
  EXPECT_THAT(*page, HasSubstr("<p class=\"passage\">&lt;s&gt;<span"));
  EXPECT_THAT(*page, HasSubstr("<span class=\"t helps\" style=\"--s:1.00\" "
                               "title=\"rich: −0.02 ± 0.005, helps\"> rich</span>"));
  EXPECT_THAT(*page, HasSubstr("<span class=\"t hurts\" style=\"--s:0.05\""));
}

TEST(Report, TheMapShowsTokenAgainstTokenAndSaysTheStrongest) {
  ReportContent content = TextContent();
  content.heat[{"datasets/asked/samples/q", "datasets/corpus/samples/t"}] = Heat();
  const auto page = RenderReport(content);
  ASSERT_TRUE(page.ok()) << page.status();
  EXPECT_THAT(*page, HasSubstr("strongest: rich × camel (−0.04 ± 0.003, helps); "
                               "rich × &amp; needle (0.02 ± 0.003, hurts)"));
  EXPECT_THAT(*page, HasSubstr("<td class=\"helps\" style=\"--s:1.00\" "
                               "title=\"rich × camel: −0.04 ± 0.003, helps\"></td>"));
  const std::string map = page->substr(page->find("<table class=\"cells\">"));
  const std::string table = map.substr(0, map.find("</table>"));
  size_t cells = 0;
  for (size_t at = table.find("<td"); at != std::string::npos; at = table.find("<td", at + 1))
    ++cells;
  EXPECT_EQ(cells, 6u);
}

TEST(Report, WithACovarianceAPositiveScoreHelps) {
  TokenHeat heat = Heat();
  heat.positive_helps = true;
  ReportContent content = TextContent();
  content.heat[{"datasets/asked/samples/q", "datasets/corpus/samples/t"}] = heat;
  EXPECT_THAT(*RenderReport(content), HasSubstr("<span class=\"t hurts\" style=\"--s:1.00\""));
}

}  // namespace
}  // namespace bif::client
