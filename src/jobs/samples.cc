#include "src/jobs/samples.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/status.h"

namespace bif::jobs {
namespace {

// Whether a sample's own shape is one that the column takes.
bool ShapeFits(const std::vector<int64_t>& shape, const std::vector<int64_t>& needed) {
  if (shape.size() != needed.size()) return false;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (needed[d] != -1 && needed[d] != shape[d]) return false;
  }
  return true;
}

absl::Status CheckTensor(const Column& tensor, const TensorSpec& wanted, std::string_view path) {
  const TensorSpec& spec = tensor.spec;
  if (spec.dtype != wanted.dtype || !ShapeFits(spec.shape, wanted.shape)) {
    return FieldError(
        path, absl::StrCat("is ", spec.ToString(), " where ", wanted.ToString(), " is needed"));
  }
  uint64_t bytes = wanted.bytes();
  if (wanted.variable()) {
    const int64_t length = spec.shape[0];
    if (length < 1) {
      return FieldError(
          path, absl::StrCat("is ", spec.ToString(), "; a sample has at least one element"));
    }
    if (length > kMaxSampleBytes / static_cast<int64_t>(bytes)) {
      return FieldError(path,
                        absl::StrCat("is ", spec.ToString(), "; a sample has at most 64 MiB"));
    }
    bytes *= static_cast<uint64_t>(length);
  }
  if (tensor.data.size() != bytes) {
    return FieldError(path, absl::StrCat("has ", tensor.data.size(), " bytes; ", spec.ToString(),
                                         " has ", bytes));
  }
  if (wanted.dtype != DType::kFloat32) return absl::OkStatus();
  for (size_t i = 0; i < bytes / sizeof(float); ++i) {
    float value;
    std::memcpy(&value, tensor.data.data() + i * sizeof(value), sizeof(value));
    if (!std::isfinite(value)) {
      return FieldError(path, absl::StrCat("holds ", std::isnan(value) ? "a NaN" : "an infinity",
                                           " at element ", i));
    }
  }
  return absl::OkStatus();
}

// Checks one sample and appends its tensors to `columns`, which are in the order of their specs.
absl::Status AppendSample(const Sample& sample, const std::string& path,
                          std::vector<Column>& columns) {
  std::vector<bool> filled(columns.size(), false);
  size_t bytes = 0;
  for (size_t t = 0; t < sample.tensors.size(); ++t) {
    const Column& tensor = sample.tensors[t];
    const std::string tensor_path = absl::StrCat(path, ".tensors[", t, "]");
    const auto column = std::find_if(columns.begin(), columns.end(), [&](const Column& c) {
      return c.spec.name == tensor.spec.name;
    });
    if (column == columns.end()) {
      return FieldError(tensor_path, absl::StrCat("there is no column '", tensor.spec.name, "'"));
    }
    if (filled[column - columns.begin()]) {
      return FieldError(tensor_path,
                        absl::StrCat("column '", tensor.spec.name, "' is given twice"));
    }
    filled[column - columns.begin()] = true;
    BIF_RETURN_IF_ERROR(CheckTensor(tensor, column->spec, tensor_path));
    column->Append(tensor.data);
    bytes += tensor.data.size();
  }
  if (bytes > static_cast<size_t>(kMaxSampleBytes)) {
    return FieldError(path, absl::StrCat("has ", bytes, " bytes; a sample has at most 64 MiB"));
  }
  for (size_t c = 0; c < columns.size(); ++c) {
    if (!filled[c])
      return FieldError(path, absl::StrCat("lacks the column ", columns[c].spec.ToString()));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<SampleBatch> BatchOf(absl::Span<const Sample> samples,
                                    const std::vector<TensorSpec>& columns, std::string_view path) {
  SampleBatch batch;
  batch.rows = static_cast<int64_t>(samples.size());
  for (const TensorSpec& spec : columns) {
    batch.columns.push_back({spec, {}});
    batch.columns.back().data.reserve(samples.size() * spec.bytes());
  }
  for (size_t i = 0; i < samples.size(); ++i) {
    BIF_RETURN_IF_ERROR(AppendSample(
        samples[i], absl::StrCat(absl::string_view(path.data(), path.size()), "[", i, "]"),
        batch.columns));
  }
  return batch;
}

Sample SampleAt(const SampleBatch& batch, int64_t row, std::string id) {
  Sample sample;
  sample.id = std::move(id);
  for (const Column& column : batch.columns) {
    const absl::Span<const std::byte> bytes = column.Row(row);
    sample.tensors.push_back({{column.spec.name, column.spec.dtype, column.RowShape(row)},
                              {bytes.begin(), bytes.end()}});
  }
  return sample;
}

SampleBatch SelectRows(const SampleBatch& batch, absl::Span<const size_t> rows) {
  SampleBatch selected;
  selected.rows = static_cast<int64_t>(rows.size());
  for (const Column& column : batch.columns) {
    Column& to = selected.columns.emplace_back();
    to.spec = column.spec;
    for (size_t row : rows) to.Append(column.Row(static_cast<int64_t>(row)));
  }
  return selected;
}

void AppendRows(const SampleBatch& from, SampleBatch& to) {
  if (to.columns.empty()) {
    to = from;
    return;
  }
  for (Column& column : to.columns) {
    column.AppendRows(*from.Find(column.spec.name), 0, from.rows);
  }
  to.rows += from.rows;
}

absl::Status CheckColumnsFit(const std::vector<TensorSpec>& columns,
                             const std::vector<TensorSpec>& needed) {
  for (const TensorSpec& need : needed) {
    const auto column = std::find_if(columns.begin(), columns.end(),
                                     [&](const TensorSpec& c) { return c.name == need.name; });
    if (column == columns.end()) {
      return absl::InvalidArgumentError(absl::StrCat("the dataset has no column '", need.name,
                                                     "', which the program needs as ",
                                                     need.ToString()));
    }
    if ((need.dtype != DType::kUnspecified && need.dtype != column->dtype) ||
        !ShapeFits(column->shape, need.shape)) {
      return absl::InvalidArgumentError(absl::StrCat("the dataset's column is ", column->ToString(),
                                                     " where the program needs ", need.ToString()));
    }
  }
  return absl::OkStatus();
}

}  // namespace bif::jobs
