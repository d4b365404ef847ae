#include "src/engine/torch/symbolic.h"

#include <limits>

#include "gtest/gtest.h"

namespace bif::engine {
namespace {

using c10::IValue;

constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
constexpr int64_t kSmallest = std::numeric_limits<int64_t>::min();

IValue Evaluate(const std::string& name, std::vector<IValue> operands) {
  const auto result = EvaluateSymbolic(*FindSymbolicOp(name), operands);
  EXPECT_TRUE(result.ok()) << name << ": " << result.status();
  return result.ok() ? *result : IValue();
}

int64_t Whole(const std::string& name, std::vector<IValue> operands) {
  return Evaluate(name, std::move(operands)).toInt();
}

bool Fails(const std::string& name, std::vector<IValue> operands) {
  return EvaluateSymbolic(*FindSymbolicOp(name), operands).status().code() ==
         absl::StatusCode::kInvalidArgument;
}

TEST(Symbolic, DivisionRoundsDownAsInPython) {
  EXPECT_EQ(Whole("floordiv", {7, 2}), 3);
  EXPECT_EQ(Whole("floordiv", {-7, 2}), -4);
  EXPECT_EQ(Whole("floordiv", {7, -2}), -4);
  EXPECT_EQ(Whole("mod", {-7, 2}), 1);
  EXPECT_EQ(Whole("mod", {7, -2}), -1);
  EXPECT_EQ(Whole("mod", {kSmallest, -1}), 0);
  EXPECT_EQ(Evaluate("truediv", {7, 2}).toDouble(), 3.5);
  EXPECT_EQ(Evaluate("floordiv", {-7.0, 2}).toDouble(), -4.0);
}

TEST(Symbolic, WholeNumbersStayWhole) {
  EXPECT_EQ(Whole("mul", {int64_t{3'000'000'001}, 3}), 9'000'000'003);
  EXPECT_EQ(Whole("pow", {3, 4}), 81);
  EXPECT_EQ(Whole("pow", {-1, kLargest}), -1);
  EXPECT_EQ(Evaluate("pow", {2, -1}).toDouble(), 0.5);
  EXPECT_EQ(Whole("neg", {5}), -5);
  EXPECT_EQ(Whole("sym_max", {3, 4}), 4);
  EXPECT_EQ(Whole("sym_min", {3, 4}), 3);
  EXPECT_EQ(Whole("sym_ite", {true, 3, 4}), 3);
  EXPECT_EQ(Whole("trunc", {-2.5}), -2);
  EXPECT_TRUE(Evaluate("lt", {kLargest - 1, kLargest}).toBool()) << "not compared as doubles";
}

TEST(Symbolic, WhatPythonWouldNotComputeIsAnError) {
  EXPECT_TRUE(Fails("floordiv", {1, 0}));
  EXPECT_TRUE(Fails("mod", {1, 0}));
  EXPECT_TRUE(Fails("truediv", {1.0, 0}));
  EXPECT_TRUE(Fails("add", {kLargest, 1}));
  EXPECT_TRUE(Fails("floordiv", {kSmallest, -1}));
  EXPECT_TRUE(Fails("pow", {10, 100}));
  EXPECT_TRUE(Fails("neg", {kSmallest}));
  EXPECT_TRUE(Fails("sym_sqrt", {-1}));
  EXPECT_TRUE(Fails("trunc", {1e300}));
  EXPECT_TRUE(Fails("add", {1}));
  EXPECT_TRUE(Fails("add", {1, "one"}));
  EXPECT_TRUE(Fails("_assert_scalar", {false, "too long"}));
}

TEST(Symbolic, SizesOfTensors) {
  const at::Tensor tensor = at::zeros({2, 5});
  EXPECT_EQ(Whole("sym_size", {tensor, 1}), 5);
  EXPECT_EQ(Whole("sym_size", {tensor, -2}), 2);
  EXPECT_EQ(Whole("sym_numel", {tensor}), 10);
  EXPECT_TRUE(Fails("sym_size", {tensor, 2}));
  EXPECT_TRUE(Fails("sym_size", {3, 0}));
}

}  // namespace
}  // namespace bif::engine
