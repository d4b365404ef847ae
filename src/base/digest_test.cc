#include "src/base/digest.h"

#include <gtest/gtest.h>

namespace bif {
namespace {

TEST(Sha256, MatchesTheStandardsExample) {  // FIPS 180-4, "abc"
  const std::string hex = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
  EXPECT_EQ(ToHex(Sha256Of("abc")), hex);
  EXPECT_EQ(*DigestFromHex(hex), Sha256Of("abc"));
}

TEST(Sha256, FieldsCannotRunIntoEachOther) {
  Sha256 first, second;
  first.UpdateField("ab");
  first.UpdateField("c");
  second.UpdateField("a");
  second.UpdateField("bc");
  EXPECT_NE(first.Finish(), second.Finish());
}

TEST(DigestFromHex, RefusesWhatIsNoDigest) {
  EXPECT_FALSE(DigestFromHex("ba78").ok());
  EXPECT_FALSE(DigestFromHex(std::string(64, 'x')).ok());
}

TEST(Checksum, SeesOneFlippedBit) {
  std::string bytes(1000, 'a');
  const uint64_t before = Checksum(bytes);
  bytes[500] ^= 1;
  EXPECT_NE(Checksum(bytes), before);
}

}  // namespace
}  // namespace bif
