#include "src/observe/log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "src/observe/log_format.h"

namespace bif::observe {
namespace {

const absl::Time kNoon = absl::FromUnixMillis(1769860800123);  // 2026-01-31T12:00:00.123Z

TEST(LogFormat, TextLineIsTimeLevelSentenceAndFields) {
  const LogField scope[] = {{"operation", "ab12"}};
  const LogField fields[] = {{"draws", 8}, {"seconds", 1.5}, {"resumed", true}};
  EXPECT_EQ(
      FormatLogLine(LogFormat::kText, kNoon, LogLevel::kInfo, "segment committed", scope, fields),
      "2026-01-31T12:00:00.123Z info segment committed operation=ab12 draws=8 seconds=1.5 "
      "resumed=true");
}

TEST(LogFormat, TextValuesWithSpacesOrLineBreaksAreQuotedSoThatALineStaysALine) {
  const LogField fields[] = {{"error", "no \"x\"\nhere"}, {"empty", ""}};
  EXPECT_EQ(FormatLogLine(LogFormat::kText, kNoon, LogLevel::kError, "two\nlines", {}, fields),
            R"(2026-01-31T12:00:00.123Z error two lines error="no \"x\"\nhere" empty="")");
}

TEST(LogFormat, JsonLineParsesBackWithTypesKept) {
  const LogField scope[] = {{"tenant", "default"}};
  const LogField fields[] = {{"draws", -3}, {"ratio", 0.25}, {"ok", false}, {"text", "a\"b\n"}};
  const std::string line =
      FormatLogLine(LogFormat::kJson, kNoon, LogLevel::kWarning, "odd \\ message", scope, fields);
  EXPECT_EQ(line.find('\n'), std::string::npos);
  const auto json = nlohmann::json::parse(line);
  EXPECT_EQ(json["time"], "2026-01-31T12:00:00.123Z");
  EXPECT_EQ(json["level"], "warning");
  EXPECT_EQ(json["message"], "odd \\ message");
  EXPECT_EQ(json["tenant"], "default");
  EXPECT_EQ(json["draws"], -3);
  EXPECT_EQ(json["ratio"], 0.25);
  EXPECT_EQ(json["ok"], false);
  EXPECT_EQ(json["text"], "a\"b\n");
}

TEST(LogFormat, BytesThatAreNotUtf8AndNumbersThatAreNotFiniteStillGiveValidJson) {
  const LogField fields[] = {{"id", std::string("\xff\xfe")}, {"loss", std::nan("")}};
  const std::string line = FormatLogLine(LogFormat::kJson, kNoon, LogLevel::kInfo, "m", {}, fields);
  EXPECT_TRUE(nlohmann::json::accept(line)) << line;
}

TEST(Log, LinesCarryTheFieldsOfTheirScopeOnly) {
  testing::internal::CaptureStderr();
  {
    ScopedLogFields outer{{"tenant", "t1"}};
    {
      ScopedLogFields inner{{"operation", "op1"}};
      LogInfo("inside");
    }
    LogInfo("outside");
  }
  LogInfo("bare");
  LogDebug("dropped: below the level");
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("inside tenant=t1 operation=op1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("outside tenant=t1\n"), std::string::npos) << text;
  EXPECT_NE(text.find("bare\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("dropped"), std::string::npos) << text;
}

TEST(Log, UnknownLevelsAndFormatsAreRefused) {
  EXPECT_EQ(*ParseLogLevel("warning"), LogLevel::kWarning);
  EXPECT_EQ(ParseLogLevel("loud").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(*ParseLogFormat("json"), LogFormat::kJson);
  EXPECT_EQ(ParseLogFormat("xml").status().code(), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace bif::observe
