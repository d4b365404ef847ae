// A graph made ready to run: names are slots, literals stand in prepared argument lists, and every
// value's last use is known. Made by CompileGraph (compile.h), run by RunCode (interpreter.h).
// Immutable once made.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "src/engine/torch/symbolic.h"

namespace bif::engine {

using Slot = int32_t;
inline constexpr Slot kNoSlot = -1;

// How a value is put into an argument: as it is, or as what Python would make of a number.
enum class Conversion : uint8_t {
  kNone,
  kToDouble,    // an integer where a float is wanted
  kToTensor,    // a number where a tensor is wanted: a 0-dimensional one that does not decide the
                // result's dtype
  kTensorList,  // the rest: lists that hold at least one value
  kOptionalTensorList,
  kIntList,
  kDoubleList,
};

struct Fill {
  size_t argument = 0;  // position in Instruction::arguments
  Conversion conversion = Conversion::kNone;
  std::vector<Slot>
      slots;  // one, or one an element of a list; kNoSlot: the literal at that position
  std::vector<int64_t> literals;  // for kIntList, same length as slots
};

struct Instruction {
  enum class Kind : uint8_t { kOperator, kSymbolic, kSetGrad };
  Kind kind = Kind::kOperator;
  std::string label;  // "node 'conv2d' (torch.ops.aten.conv2d.default)"

  std::optional<c10::OperatorHandle> op;   // kOperator
  SymbolicOp symbolic = SymbolicOp::kAdd;  // kSymbolic
  bool grad_enabled = true;                // kSetGrad

  std::vector<c10::IValue> arguments;  // in schema order, literals and defaults filled in
  std::vector<Fill> fills;
  std::vector<std::vector<Slot>> results;  // by return value; more than one slot for a list
  std::vector<bool> result_is_list;
  bool zero_result = false;  // of empty(): memory of others must not show
  std::vector<Slot> dead;    // values that nobody needs afterwards
};

// A linear layer that ends the program: output = input * weight^T + bias.
struct LastLinear {
  size_t instruction = 0;
  Slot input = kNoSlot, weight = kNoSlot;
  Slot bias = kNoSlot;  // kNoSlot: there is none
};

struct Code {
  size_t slots = 0;
  std::vector<Slot> inputs;  // of the graph, in order; kNoSlot for constants
  Slot output = kNoSlot;
  std::vector<Instruction> instructions;
  std::optional<LastLinear> last_linear;  // if `output` comes from one
  bool attends = false;                   // whether scaled_dot_product_attention is called
};

}  // namespace bif::engine
