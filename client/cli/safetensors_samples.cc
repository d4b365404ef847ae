#include "client/cli/safetensors_samples.h"

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

// Where one column's rows lie in the file.
struct ColumnRows {
  v1::TensorSpec spec;  // of a row
  uint64_t offset = 0;  // of row 0, in the file
  uint64_t row_bytes = 0;
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
    const nlohmann::json header = nlohmann::json::parse(text, nullptr, false);
    if (!file_ || !header.is_object()) return Wrong("its header is not a JSON object");
    for (const v1::TensorSpec& column : options_.columns) {
      const auto entry = header.find(column.name());
      if (entry == header.end()) return Wrong(absl::StrCat("no tensor named ", column.name()));
      CLIENT_RETURN_IF_ERROR(AddColumn(column, *entry, 8 + header_bytes, file_bytes));
    }
    if (columns_.empty()) return Wrong("there are no columns to read");
    return absl::OkStatus();
  }

  absl::Status Rewind() override {
    row_ = 0;
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<v1::Sample>> Next() override {
    if (row_ >= rows_) return std::optional<v1::Sample>();
    v1::Sample sample;
    sample.set_id(absl::StrCat(options_.id_prefix, options_.first_id + row_));
    for (const ColumnRows& column : columns_) {
      v1::Tensor& tensor = *sample.add_tensors();
      *tensor.mutable_spec() = column.spec;
      std::string& data = *tensor.mutable_data();
      data.resize(column.row_bytes);
      file_.seekg(static_cast<std::streamoff>(column.offset + row_ * column.row_bytes));
      if (!file_.read(data.data(), static_cast<std::streamsize>(data.size()))) {
        return absl::DataLossError(absl::StrCat("cannot read row ", row_, " of ", path_));
      }
    }
    ++row_;
    return std::optional<v1::Sample>(std::move(sample));
  }

 private:
  absl::Status Wrong(const std::string& what) const {
    return absl::InvalidArgumentError(absl::StrCat(path_, ": ", what));
  }

  absl::Status AddColumn(const v1::TensorSpec& column, const nlohmann::json& entry,
                         uint64_t data_start, uint64_t file_bytes) {
    const std::string& name = column.name();
    if (!entry.is_object() ||
        entry.value("dtype", nlohmann::json()) != SafetensorsName(column.dtype())) {
      return Wrong(
          absl::StrCat("tensor ", name, " must have dtype ", SafetensorsName(column.dtype())));
    }
    const nlohmann::json shape = entry.value("shape", nlohmann::json());
    const nlohmann::json offsets = entry.value("data_offsets", nlohmann::json());
    bool fits = shape.is_array() && static_cast<int>(shape.size()) == column.shape_size() + 1 &&
                offsets.is_array() && offsets.size() == 2 && offsets[0].is_number_unsigned() &&
                offsets[1].is_number_unsigned() && shape[0].is_number_unsigned();
    ColumnRows rows;
    rows.spec = column;
    rows.row_bytes = ElementBytes(column.dtype());
    for (int d = 0; fits && d < column.shape_size(); ++d) {
      fits = shape[d + 1].is_number_unsigned() &&
             (column.shape(d) < 0 || shape[d + 1] == column.shape(d));
      if (!fits) break;
      const uint64_t size = shape[d + 1].get<uint64_t>();
      if (size > file_bytes) fits = false;
      rows.spec.set_shape(d, static_cast<int64_t>(size));
      rows.row_bytes *= size;
      if (rows.row_bytes > file_bytes) fits = false;
    }
    if (!fits)
      return Wrong(absl::StrCat("tensor ", name, " is not [rows, ...] of the column's shape"));
    const uint64_t begin = offsets[0].get<uint64_t>();
    const uint64_t end = offsets[1].get<uint64_t>();
    const uint64_t count = shape[0].get<uint64_t>();
    if (begin > end || end > file_bytes - data_start || count > file_bytes ||
        end - begin != count * rows.row_bytes) {
      return Wrong(absl::StrCat("tensor ", name, " has wrong data_offsets"));
    }
    if (!columns_.empty() && count != rows_) {
      return Wrong(absl::StrCat("tensor ", name, " has ", count, " rows, the one before ", rows_));
    }
    rows_ = count;
    rows.offset = data_start + begin;
    columns_.push_back(std::move(rows));
    return absl::OkStatus();
  }

  const std::string path_;
  const SampleFileOptions options_;
  std::ifstream file_;
  std::vector<ColumnRows> columns_;
  uint64_t rows_ = 0;
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
