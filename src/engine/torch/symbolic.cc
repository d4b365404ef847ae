#include "src/engine/torch/symbolic.h"

#include <ATen/core/Tensor.h>

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"

namespace bif::engine {
namespace {

using c10::IValue;

struct Row {
  const char* name;
  SymbolicOp op;
  size_t operands;
};

constexpr Row kRows[] = {
    {"sym_size", SymbolicOp::kSize, 2},
    {"sym_numel", SymbolicOp::kNumel, 1},
    {"add", SymbolicOp::kAdd, 2},
    {"sub", SymbolicOp::kSub, 2},
    {"mul", SymbolicOp::kMul, 2},
    {"floordiv", SymbolicOp::kFloorDiv, 2},
    {"mod", SymbolicOp::kMod, 2},
    {"pow", SymbolicOp::kPow, 2},
    {"truediv", SymbolicOp::kTrueDiv, 2},
    {"neg", SymbolicOp::kNeg, 1},
    {"pos", SymbolicOp::kPos, 1},
    {"eq", SymbolicOp::kEq, 2},
    {"ne", SymbolicOp::kNe, 2},
    {"lt", SymbolicOp::kLt, 2},
    {"le", SymbolicOp::kLe, 2},
    {"gt", SymbolicOp::kGt, 2},
    {"ge", SymbolicOp::kGe, 2},
    {"and_", SymbolicOp::kAnd, 2},
    {"or_", SymbolicOp::kOr, 2},
    {"sym_not", SymbolicOp::kNot, 1},
    {"sym_min", SymbolicOp::kMin, 2},
    {"sym_max", SymbolicOp::kMax, 2},
    {"sym_ite", SymbolicOp::kIte, 3},
    {"sym_sqrt", SymbolicOp::kSqrt, 1},
    {"trunc", SymbolicOp::kTrunc, 1},
    {"sym_int", SymbolicOp::kTrunc, 1},
    {"sym_float", SymbolicOp::kToFloat, 1},
    {"_assert_scalar", SymbolicOp::kAssert, 2},
};

absl::Status Bad(absl::string_view message) { return absl::InvalidArgumentError(message); }

bool IsNumber(const IValue& value) { return value.isInt() || value.isDouble() || value.isBool(); }
bool IsWhole(const IValue& value) { return value.isInt() || value.isBool(); }
int64_t Whole(const IValue& value) {
  return value.isBool() ? static_cast<int64_t>(value.toBool()) : value.toInt();
}
double Real(const IValue& value) {
  return value.isDouble() ? value.toDouble() : static_cast<double>(Whole(value));
}
bool Truth(const IValue& value) { return Real(value) != 0; }

absl::StatusOr<IValue> SizeOfTensor(const IValue& tensor, const IValue& dimension) {
  if (!tensor.isTensor() || !dimension.isInt())
    return Bad("the size of something that is no tensor is asked for");
  const at::Tensor& value = tensor.toTensor();
  const int64_t wanted = dimension.toInt();
  if (wanted < -value.dim() || wanted >= value.dim()) {
    return Bad(absl::StrCat("dimension ", wanted, " of a tensor of ", value.dim(),
                            " dimensions is asked for"));
  }
  return IValue(value.size(wanted));
}

absl::StatusOr<int64_t> WholePower(int64_t base, int64_t exponent) {
  int64_t power = 1;
  // At most 63 rounds unless the base is -1, 0 or 1, where the power soon repeats.
  if (base >= -1 && base <= 1) return exponent == 0 ? 1 : (exponent % 2 == 0 ? base * base : base);
  for (int64_t i = 0; i < exponent; ++i) {
    if (__builtin_mul_overflow(power, base, &power)) return Bad("a power is beyond 64 bits");
  }
  return power;
}

absl::StatusOr<IValue> WholeArithmetic(SymbolicOp op, int64_t a, int64_t b) {
  int64_t result = 0;
  bool overflow = false;
  switch (op) {
    case SymbolicOp::kAdd:
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case SymbolicOp::kSub:
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case SymbolicOp::kMul:
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    case SymbolicOp::kFloorDiv:
    case SymbolicOp::kMod: {
      if (b == 0) return Bad("a division by zero");
      if (b == -1) {  // the one quotient that may overflow
        overflow = __builtin_sub_overflow(int64_t{0}, a, &result);
        if (op == SymbolicOp::kMod) return IValue(int64_t{0});
        break;
      }
      const bool below = a % b != 0 && (a < 0) != (b < 0);  // Python rounds down, C++ towards zero
      result = op == SymbolicOp::kFloorDiv ? a / b - (below ? 1 : 0) : a % b + (below ? b : 0);
      break;
    }
    default: {
      const absl::StatusOr<int64_t> power = WholePower(a, b);
      if (!power.ok()) return power.status();
      result = *power;
      break;
    }
  }
  if (overflow) return Bad("a number is beyond 64 bits");
  return IValue(result);
}

absl::StatusOr<IValue> RealArithmetic(SymbolicOp op, double a, double b) {
  const bool divides =
      op == SymbolicOp::kFloorDiv || op == SymbolicOp::kMod || op == SymbolicOp::kTrueDiv;
  if (divides && b == 0) return Bad("a division by zero");
  switch (op) {
    case SymbolicOp::kAdd:
      return IValue(a + b);
    case SymbolicOp::kSub:
      return IValue(a - b);
    case SymbolicOp::kMul:
      return IValue(a * b);
    case SymbolicOp::kFloorDiv:
      return IValue(std::floor(a / b));
    case SymbolicOp::kMod:
      return IValue(a - b * std::floor(a / b));
    case SymbolicOp::kTrueDiv:
      return IValue(a / b);
    default:
      return IValue(std::pow(a, b));
  }
}

// Of two numbers: -1, 0 or 1; whole numbers are not rounded to doubles.
int Compare(const IValue& a, const IValue& b) {
  if (IsWhole(a) && IsWhole(b)) return Whole(a) < Whole(b) ? -1 : (Whole(a) > Whole(b) ? 1 : 0);
  return Real(a) < Real(b) ? -1 : (Real(a) > Real(b) ? 1 : 0);
}

absl::StatusOr<IValue> Truncate(const IValue& value) {
  if (IsWhole(value)) return IValue(Whole(value));
  const double whole = std::trunc(value.toDouble());
  if (!(std::abs(whole) < 9e18)) return Bad("a number is beyond 64 bits");
  return IValue(static_cast<int64_t>(whole));
}

absl::StatusOr<IValue> Arithmetic(SymbolicOp op, const IValue& a, const IValue& b) {
  const bool stays_whole = IsWhole(a) && IsWhole(b) && op != SymbolicOp::kTrueDiv &&
                           !(op == SymbolicOp::kPow && Whole(b) < 0);
  if (stays_whole) return WholeArithmetic(op, Whole(a), Whole(b));
  return RealArithmetic(op, Real(a), Real(b));
}

}  // namespace

std::optional<SymbolicOp> FindSymbolicOp(const std::string& name) {
  for (const Row& row : kRows) {
    if (name == row.name) return row.op;
  }
  return std::nullopt;
}

size_t OperandCount(SymbolicOp op) {
  for (const Row& row : kRows) {
    if (op == row.op) return row.operands;
  }
  return 0;
}

absl::StatusOr<IValue> EvaluateSymbolic(SymbolicOp op, const std::vector<IValue>& operands) {
  if (operands.size() != OperandCount(op))
    return Bad("an operation on numbers has another number of operands");
  const IValue& a = operands.front();
  if (op == SymbolicOp::kSize) return SizeOfTensor(a, operands[1]);
  if (op == SymbolicOp::kNumel) {
    if (!a.isTensor()) return Bad("the size of something that is no tensor is asked for");
    return IValue(a.toTensor().numel());
  }
  if (!IsNumber(a)) return Bad("an operation on numbers meets something else");
  if (op == SymbolicOp::kAssert) {
    if (Truth(a)) return IValue();
    return Bad(operands[1].isString() ? operands[1].toStringRef()
                                      : std::string("an assertion of the program fails"));
  }
  for (const IValue& operand : operands) {
    if (!IsNumber(operand)) return Bad("an operation on numbers meets something else");
  }
  switch (op) {
    case SymbolicOp::kEq:
      return IValue(Compare(a, operands[1]) == 0);
    case SymbolicOp::kNe:
      return IValue(Compare(a, operands[1]) != 0);
    case SymbolicOp::kLt:
      return IValue(Compare(a, operands[1]) < 0);
    case SymbolicOp::kLe:
      return IValue(Compare(a, operands[1]) <= 0);
    case SymbolicOp::kGt:
      return IValue(Compare(a, operands[1]) > 0);
    case SymbolicOp::kGe:
      return IValue(Compare(a, operands[1]) >= 0);
    case SymbolicOp::kAnd:
    case SymbolicOp::kOr: {
      if (!a.isBool() || !operands[1].isBool()) {  // on whole numbers Python's & and | work on bits
        if (!IsWhole(a) || !IsWhole(operands[1])) return Bad("bits of a number that is not whole");
        const int64_t left = Whole(a);
        const int64_t right = Whole(operands[1]);
        return IValue(op == SymbolicOp::kAnd ? left & right : left | right);
      }
      return IValue(op == SymbolicOp::kAnd ? a.toBool() && operands[1].toBool()
                                           : a.toBool() || operands[1].toBool());
    }
    case SymbolicOp::kNot:
      return IValue(!Truth(a));
    case SymbolicOp::kMin:
      return Compare(a, operands[1]) <= 0 ? a : operands[1];
    case SymbolicOp::kMax:
      return Compare(a, operands[1]) >= 0 ? a : operands[1];
    case SymbolicOp::kIte:
      return Truth(a) ? operands[1] : operands[2];
    case SymbolicOp::kSqrt:
      if (Real(a) < 0) return Bad("the root of a negative number");
      return IValue(std::sqrt(Real(a)));
    case SymbolicOp::kTrunc:
      return Truncate(a);
    case SymbolicOp::kToFloat:
      return IValue(Real(a));
    case SymbolicOp::kPos:
      return a;
    case SymbolicOp::kNeg:
      return Arithmetic(SymbolicOp::kSub, IValue(int64_t{0}), a);
    default:
      return Arithmetic(op, a, operands[1]);
  }
}

}  // namespace bif::engine
