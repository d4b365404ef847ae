// Writes a NumPy .npy file (format version 1.0) of float32, C order, rows arriving in blocks.
//
// Confined to one thread. The number of rows is not known beforehand: the header is completed by
// Close, and a file that was not closed well is removed.
#pragma once

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "absl/status/status.h"

namespace bif::client {

class NpyWriter {
 public:
  explicit NpyWriter(std::string path);
  ~NpyWriter();
  NpyWriter(const NpyWriter&) = delete;
  NpyWriter& operator=(const NpyWriter&) = delete;

  // Adds `values`, as many rows as they hold of shape `row_shape`, which must be the same in every
  // call.
  absl::Status Append(const float* values, size_t count, const std::vector<int64_t>& row_shape);

  absl::Status Close();

 private:
  absl::Status WriteHeader();

  const std::string path_;
  std::ofstream file_;
  std::vector<int64_t> row_shape_;
  int64_t rows_ = 0;
  bool started_ = false;
  bool closed_ = false;
};

}  // namespace bif::client
