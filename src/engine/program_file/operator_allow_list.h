// Which operators a program may use: pure tensor mathematics, deterministic, and nothing that
// touches files, pointers, storages, devices or the outside. Everything else is refused when the
// program is registered.
#pragma once

#include <string>
#include <string_view>

namespace bif::engine {

// What stands in a node's target, taken apart.
struct OperatorName {
  enum class Kind : uint8_t {
    kAten,      // "torch.ops.aten.conv2d.default": name "conv2d", overload ""
    kSymbolic,  // "_operator.mul", "torch.sym_max", "math.trunc": name "mul"; arithmetic on plain
                // numbers
    kSetGrad,   // the higher-order operator wrap_with_set_grad_enabled
    kForbidden,
  };
  Kind kind = Kind::kForbidden;
  std::string name;
  std::string overload;
};

// kForbidden for everything that is not on the list.
OperatorName ResolveTarget(const std::string& target);

// Whether an aten operator may hand out its first tensor's memory: a view, or the tensor itself.
bool MayAlias(std::string_view aten_name);

// Whether an aten operator writes into its first argument ("add_", but not "__and__").
bool IsInPlace(std::string_view aten_name);

}  // namespace bif::engine
