#include "client/cli/safetensors_samples.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <fstream>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

static_assert(std::endian::native == std::endian::little, "both formats are little endian");

constexpr uint64_t kMaxHeaderBytes = 100'000'000;
constexpr char kLengthsSuffix[] = ".lengths";

const char* SafetensorsName(v1::DType dtype) {
  switch (dtype) {
    case v1::UINT8:
      return "U8";
    case v1::INT32:
      return "I32";
    case v1::INT64:
      return "I64";
    case v1::FLOAT32:
      return "F32";
    case v1::BOOL:
      return "BOOL";
    default:
      return "";
  }
}

// One tensor of the file.
struct FileTensor {
  std::vector<uint64_t> shape;
  uint64_t offset = 0;  // in the file
};

// Where one column's rows lie in the file.
struct ColumnRows {
  v1::TensorSpec spec;  // of a row; the length of a variable one is set for each
  uint64_t rows = 0;
  uint64_t offset = 0;          // of row 0, in the file
  uint64_t step_bytes = 0;      // of a row, or of one step of a variable row
  std::vector<uint64_t> steps;  // of a variable column: [row + 1], steps before each row

  uint64_t StepsBefore(uint64_t row) const { return steps.empty() ? row : steps[row]; }
};

class SafetensorsSamples : public SampleSource {
 public:
  SafetensorsSamples(std::string path, SampleFileOptions options)
      : path_(std::move(path)), options_(std::move(options)) {}

  absl::Status Open() {
    file_.open(path_, std::ios::binary | std::ios::ate);
    if (!file_) return absl::NotFoundError(absl::StrCat("cannot open ", path_));
    const uint64_t file_bytes = file_.tellg();
    uint64_t header_bytes = 0;
    file_.seekg(0);
    file_.read(reinterpret_cast<char*>(&header_bytes), sizeof(header_bytes));
    if (!file_ || header_bytes > kMaxHeaderBytes || header_bytes + 8 > file_bytes) {
      return Wrong("not a safetensors file");
    }
    std::string text(header_bytes, '\0');
    file_.read(text.data(), static_cast<std::streamsize>(header_bytes));
    header_ = nlohmann::json::parse(text, nullptr, false);
    if (!file_ || !header_.is_object()) return Wrong("its header is not a JSON object");
    data_offset_ = 8 + header_bytes;
    data_bytes_ = file_bytes - data_offset_;
    for (const v1::TensorSpec& column : options_.columns) {
      CLIENT_ASSIGN_OR_RETURN(ColumnRows rows, RowsOf(column));
      if (!columns_.empty() && rows.rows != columns_[0].rows) {
        return Wrong(absl::StrCat("tensor ", column.name(), " has ", rows.rows, " rows, ",
                                  columns_[0].spec.name(), " has ", columns_[0].rows));
      }
      columns_.push_back(std::move(rows));
    }
    if (columns_.empty()) return Wrong("there are no columns to read");
    return absl::OkStatus();
  }

  absl::Status Rewind() override {
    row_ = 0;
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<v1::Sample>> Next() override {
    if (row_ >= columns_[0].rows) return std::optional<v1::Sample>();
    v1::Sample sample;
    sample.set_id(absl::StrCat(options_.id_prefix, options_.first_id + row_));
    for (const ColumnRows& column : columns_) {
      v1::Tensor& tensor = *sample.add_tensors();
      *tensor.mutable_spec() = column.spec;
      const uint64_t begin = column.StepsBefore(row_);
      const uint64_t steps = column.StepsBefore(row_ + 1) - begin;
      if (!column.steps.empty()) tensor.mutable_spec()->set_shape(0, static_cast<int64_t>(steps));
      CLIENT_RETURN_IF_ERROR(ReadAt(column.offset + begin * column.step_bytes,
                                    steps * column.step_bytes, *tensor.mutable_data()));
    }
    ++row_;
    return std::optional<v1::Sample>(std::move(sample));
  }

 private:
  absl::Status Wrong(const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": ", what));
  }

  absl::Status ReadAt(uint64_t offset, uint64_t bytes, std::string& data) {
    data.resize(bytes);
    file_.seekg(static_cast<std::streamoff>(offset));
    if (file_.read(data.data(), static_cast<std::streamsize>(bytes))) return absl::OkStatus();
    return absl::DataLossError(absl::StrCat("cannot read ", path_, " at byte ", offset));
  }

  // The tensor of that name, with bounds that were checked: it lies in the file and is as large as
  // its shape says.
  absl::StatusOr<FileTensor> Find(const std::string& name, v1::DType dtype) const {
    const auto entry = header_.find(name);
    if (entry == header_.end()) return Wrong(absl::StrCat("no tensor named ", name));
    if (!entry->is_object() || entry->value("dtype", nlohmann::json()) != SafetensorsName(dtype)) {
      return Wrong(absl::StrCat("tensor ", name, " must have dtype ", SafetensorsName(dtype)));
    }
    const auto sizes_at = [&](const char* key) -> std::optional<std::vector<uint64_t>> {
      const nlohmann::json list = entry->value(key, nlohmann::json());
      if (!list.is_array()) return std::nullopt;
      std::vector<uint64_t> sizes;
      for (const auto& size : list) {
        if (!size.is_number_unsigned()) return std::nullopt;
        sizes.push_back(size.get<uint64_t>());
      }
      return sizes;
    };
    const auto shape = sizes_at("shape");
    if (!shape || shape->empty()) {
      return Wrong(absl::StrCat("tensor ", name, " is not [rows, ...] of the column's shape"));
    }
    uint64_t bytes = ElementBytes(dtype);
    for (const uint64_t size : *shape) {
      if (size != 0 && bytes > data_bytes_ / size) {
        return Wrong(absl::StrCat("tensor ", name, " is larger than the file"));
      }
      bytes *= size;
    }
    const auto offsets = sizes_at("data_offsets");
    if (!offsets || offsets->size() != 2 || offsets->at(0) > offsets->at(1) ||
        offsets->at(1) > data_bytes_ || offsets->at(1) - offsets->at(0) != bytes) {
      return Wrong(absl::StrCat("tensor ", name, " has wrong data_offsets"));
    }
    return FileTensor{*shape, data_offset_ + offsets->at(0)};
  }

  absl::StatusOr<ColumnRows> RowsOf(const v1::TensorSpec& column) {
    CLIENT_ASSIGN_OR_RETURN(const FileTensor tensor, Find(column.name(), column.dtype()));
    const bool has_lengths = column.shape_size() > 0 && column.shape(0) < 0 &&
                             header_.contains(column.name() + kLengthsSuffix);
    // In the tensor, the rows come before the column's dimensions, or instead of the first one.
    const size_t first = has_lengths ? 0 : 1;
    bool fits = tensor.shape.size() == first + static_cast<size_t>(column.shape_size());
    ColumnRows rows{column, tensor.shape[0], tensor.offset, ElementBytes(column.dtype()), {}};
    for (size_t d = first; fits && d < tensor.shape.size(); ++d) {
      const int64_t wanted = column.shape(static_cast<int>(d - first));
      const auto size = static_cast<int64_t>(tensor.shape[d]);
      if (has_lengths && d == 0) continue;
      fits = wanted < 0 || wanted == size;
      rows.spec.set_shape(static_cast<int>(d - first), size);
      rows.step_bytes *= tensor.shape[d];
    }
    if (!fits) {
      return Wrong(
          absl::StrCat("tensor ", column.name(), " is not [rows, ...] of the column's shape"));
    }
    if (has_lengths) {
      CLIENT_ASSIGN_OR_RETURN(rows.steps, ReadSteps(column.name(), tensor.shape[0]));
      rows.rows = rows.steps.size() - 1;
    }
    return rows;
  }

  // Steps before each row of a variable column, whose tensor has `total`.
  absl::StatusOr<std::vector<uint64_t>> ReadSteps(const std::string& column, uint64_t total) {
    const std::string name = column + kLengthsSuffix;
    CLIENT_ASSIGN_OR_RETURN(const FileTensor tensor, Find(name, v1::INT64));
    if (tensor.shape.size() != 1) return Wrong(absl::StrCat("tensor ", name, " is not [rows]"));
    std::string bytes;
    CLIENT_RETURN_IF_ERROR(ReadAt(tensor.offset, tensor.shape[0] * sizeof(int64_t), bytes));
    std::vector<uint64_t> steps = {0};
    for (uint64_t row = 0; row < tensor.shape[0]; ++row) {
      int64_t length;
      std::memcpy(&length, bytes.data() + row * sizeof(length), sizeof(length));
      if (length < 1 || static_cast<uint64_t>(length) > total - steps.back()) {
        return Wrong(absl::StrCat("tensor ", name, " has a length of ", length, " at row ", row,
                                  ", with ", total - steps.back(), " elements left"));
      }
      steps.push_back(steps.back() + static_cast<uint64_t>(length));
    }
    if (steps.back() == total) return steps;
    return Wrong(absl::StrCat("tensor ", name, " sums to ", steps.back(), ", but ", column, " has ",
                              total, " elements"));
  }

  const std::string path_;
  const SampleFileOptions options_;
  std::ifstream file_;
  nlohmann::json header_;
  uint64_t data_offset_ = 0;
  uint64_t data_bytes_ = 0;
  std::vector<ColumnRows> columns_;
  uint64_t row_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<SampleSource>> OpenSafetensorsSamples(const std::string& path,
                                                                     SampleFileOptions options) {
  auto samples = std::make_unique<SafetensorsSamples>(path, std::move(options));
  CLIENT_RETURN_IF_ERROR(samples->Open());
  return samples;
}

}  // namespace bif::client
