// Runs another program to its end.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace bif::client {

struct ProcessResult {
  int exit_code = 0;  // 128 + the signal, if one ended it
  std::string out, err;
};

// Runs `arguments[0]`, looked up in PATH unless it holds a slash, with `input` as its standard
// input. NOT_FOUND if there is no such program; that it failed is in the result. Blocks until the
// program ends. Thread-safe.
absl::StatusOr<ProcessResult> RunProcess(const std::vector<std::string>& arguments,
                                         const std::string& input);

}  // namespace bif::client
