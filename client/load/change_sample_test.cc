#include "client/load/change_sample.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <string>
#include <vector>

namespace bif::client::load {
namespace {

template <typename Element>
void Add(v1::Sample& sample, v1::DType dtype, const std::vector<int64_t>& shape,
         const std::vector<Element>& values) {
  v1::Tensor& tensor = *sample.add_tensors();
  tensor.mutable_spec()->set_dtype(dtype);
  tensor.mutable_spec()->mutable_shape()->Assign(shape.begin(), shape.end());
  tensor.set_data(values.data(), values.size() * sizeof(Element));
}

template <typename Element>
std::vector<Element> ValuesOf(const v1::Tensor& tensor) {
  std::vector<Element> values(tensor.data().size() / sizeof(Element));
  std::memcpy(values.data(), tensor.data().data(), tensor.data().size());
  return values;
}

v1::Sample Image() {
  v1::Sample sample;
  sample.set_id("17");
  sample.set_digest("abc");
  std::vector<uint8_t> pixels(28 * 28);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = i % 2 == 0 ? 0 : 255;
  Add<uint8_t>(sample, v1::UINT8, {28, 28}, pixels);
  Add<int64_t>(sample, v1::INT64, {}, {9});
  return sample;
}

TEST(ChangeSample, PixelsMoveByOneAtMostAndLabelsStay) {
  const v1::Sample image = Image();
  v1::Sample changed = image;
  Random random(1);
  ASSERT_TRUE(ChangeSample(random, changed));
  EXPECT_EQ(changed.id(), "");
  EXPECT_EQ(changed.digest(), "");
  EXPECT_EQ(changed.tensors(1).SerializeAsString(), image.tensors(1).SerializeAsString());
  const auto before = ValuesOf<uint8_t>(image.tensors(0));
  const auto after = ValuesOf<uint8_t>(changed.tensors(0));
  EXPECT_NE(before, after);
  for (size_t i = 0; i < before.size(); ++i) EXPECT_LE(std::abs(before[i] - after[i]), 8);
}

TEST(ChangeSample, TokensAreTheSameInAnotherOrderAndMasksStay) {
  v1::Sample sample;
  std::vector<int32_t> tokens(40);
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i * i);
  Add<int32_t>(sample, v1::INT32, {40}, tokens);
  Add<uint8_t>(sample, v1::UINT8, {40}, std::vector<uint8_t>(40, 1));
  v1::Sample changed = sample;
  Random random(1);
  ASSERT_TRUE(ChangeSample(random, changed));
  auto after = ValuesOf<int32_t>(changed.tensors(0));
  EXPECT_NE(after, tokens);
  std::sort(after.begin(), after.end());
  EXPECT_EQ(after, tokens);
  EXPECT_EQ(changed.tensors(1).data(), sample.tensors(1).data());
}

TEST(ChangeSample, FloatsStayCloseAndFinite) {
  v1::Sample sample;
  const std::vector<float> values = {0, 1, -3, 1000, -1};
  Add<float>(sample, v1::FLOAT32, {5}, values);
  Random random(1);
  ASSERT_TRUE(ChangeSample(random, sample));
  const auto after = ValuesOf<float>(sample.tensors(0));
  EXPECT_NE(after, values);
  for (size_t i = 0; i < values.size(); ++i)
    EXPECT_NEAR(after[i], values[i], 1.1e-3 * (1 + std::abs(values[i])));
}

TEST(ChangeSample, NoTwoChangesAreTheSameAndASeedRepeatsThem) {
  std::set<std::string> seen;
  Random random(5), again(5);
  for (int i = 0; i < 1000; ++i) {
    v1::Sample changed = Image();
    ChangeSample(random, changed);
    EXPECT_TRUE(seen.insert(changed.SerializeAsString()).second) << i;
    v1::Sample repeated = Image();
    ChangeSample(again, repeated);
    EXPECT_EQ(repeated.SerializeAsString(), changed.SerializeAsString());
  }
}

TEST(ChangeSample, WhatMayNotChangeIsSaid) {
  v1::Sample sample;
  Add<int64_t>(sample, v1::INT64, {}, {3});
  Add<uint8_t>(sample, v1::BOOL, {4}, {1, 1, 0, 0});
  Random random(1);
  EXPECT_FALSE(ChangeSample(random, sample));
}

}  // namespace
}  // namespace bif::client::load
