#include "src/jobs/pagination.h"

#include <gtest/gtest.h>

#include "src/base/status.h"

namespace bif::jobs {
namespace {

TEST(Pagination, SizesAreDefaultedLoweredOrRefused) {
  EXPECT_EQ(OpenPage({0, ""}, "things")->size, 50u);
  EXPECT_EQ(OpenPage({7, ""}, "things")->size, 7u);
  EXPECT_EQ(OpenPage({1 << 30, ""}, "things")->size, 1000u);
  const absl::Status negative = OpenPage({-1, ""}, "things").status();
  EXPECT_TRUE(absl::IsInvalidArgument(negative));
  EXPECT_EQ(FieldPath(negative), "page_size");
}

TEST(Pagination, ATokenGoesOnWhereItsPageEnded) {
  const std::string position("a\0b", 3);
  const std::string token = NextPageToken("things", position);
  EXPECT_EQ(OpenPage({0, token}, "things")->after, position);
}

TEST(Pagination, ATokenBelongsToItsArguments) {
  const std::string token = NextPageToken("things of a", "position");
  for (const std::string& bad :
       {token, std::string("x"), std::string("!!!!"), token.substr(1), token + "AAAA"}) {
    const absl::Status refused = OpenPage({0, bad}, "things of b").status();
    EXPECT_TRUE(absl::IsInvalidArgument(refused)) << bad;
    EXPECT_EQ(FieldPath(refused), "page_token");
  }
  EXPECT_FALSE(OpenPage({0, token.substr(0, token.size() - 4)}, "things of a").ok());
}

}  // namespace
}  // namespace bif::jobs
