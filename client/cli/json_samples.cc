#include "client/cli/json_samples.h"

#include <cstring>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

template <typename T>
void AppendBytes(T value, std::string& bytes) {
  // Every platform that this is built for is little endian, as the API wants.
  char raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  bytes.append(raw, sizeof(T));
}

template <typename T>
absl::Status AppendInteger(const nlohmann::json& value, std::string& bytes) {
  const auto out_of_range = [&] {
    return absl::InvalidArgumentError(
        absl::StrCat(value.dump(), " does not fit the column's dtype"));
  };
  if (value.is_number_unsigned()) {
    const uint64_t number = value.get<uint64_t>();
    if (number > static_cast<uint64_t>(std::numeric_limits<T>::max())) return out_of_range();
    AppendBytes(static_cast<T>(number), bytes);
    return absl::OkStatus();
  }
  if (!value.is_number_integer()) {
    return absl::InvalidArgumentError(absl::StrCat(value.dump(), " is not an integer"));
  }
  const int64_t number = value.get<int64_t>();
  if (number < static_cast<int64_t>(std::numeric_limits<T>::min())) return out_of_range();
  AppendBytes(static_cast<T>(number), bytes);
  return absl::OkStatus();
}

absl::Status AppendElement(const nlohmann::json& value, v1::DType dtype, std::string& bytes) {
  switch (dtype) {
    case v1::UINT8:
      return AppendInteger<uint8_t>(value, bytes);
    case v1::INT32:
      return AppendInteger<int32_t>(value, bytes);
    case v1::INT64:
      return AppendInteger<int64_t>(value, bytes);
    case v1::BOOL:
      if (!value.is_boolean()) {
        return absl::InvalidArgumentError(absl::StrCat(value.dump(), " is neither true nor false"));
      }
      bytes.push_back(value.get<bool>() ? 1 : 0);
      return absl::OkStatus();
    case v1::FLOAT32:
      if (!value.is_number()) {
        return absl::InvalidArgumentError(absl::StrCat(value.dump(), " is not a number"));
      }
      AppendBytes(value.get<float>(), bytes);
      return absl::OkStatus();
    default:
      return absl::InvalidArgumentError("the column has no known dtype");
  }
}

absl::Status AppendNested(const nlohmann::json& value, const v1::TensorSpec& spec, int dimension,
                          std::string& bytes) {
  if (dimension == spec.shape_size()) return AppendElement(value, spec.dtype(), bytes);
  if (!value.is_array() || static_cast<int64_t>(value.size()) != spec.shape(dimension)) {
    return absl::InvalidArgumentError(
        absl::StrCat("dimension ", dimension, " must be a list of ", spec.shape(dimension)));
  }
  for (const auto& inner : value) {
    CLIENT_RETURN_IF_ERROR(AppendNested(inner, spec, dimension + 1, bytes));
  }
  return absl::OkStatus();
}

class JsonSamples : public SampleSource {
 public:
  JsonSamples(std::string path, SampleFileOptions options)
      : path_(std::move(path)), options_(std::move(options)) {}

  absl::Status Rewind() override {
    file_ = std::ifstream(path_);
    row_ = 0;
    line_number_ = 0;
    if (!file_) return absl::NotFoundError(absl::StrCat("cannot open ", path_));
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<v1::Sample>> Next() override {
    std::string line;
    while (std::getline(file_, line)) {
      ++line_number_;
      if (absl::StripAsciiWhitespace(line).empty()) continue;
      absl::StatusOr<v1::Sample> sample = ParseJsonSample(line, options_.columns);
      if (!sample.ok()) {
        return absl::InvalidArgumentError(absl::StrCat(path_, ", line ", line_number_, ": ",
                                                       std::string(sample.status().message())));
      }
      if (sample->id().empty()) {
        sample->set_id(absl::StrCat(options_.id_prefix, options_.first_id + row_));
      }
      ++row_;
      return std::optional<v1::Sample>(*std::move(sample));
    }
    return std::optional<v1::Sample>();
  }

 private:
  const std::string path_;
  const SampleFileOptions options_;
  std::ifstream file_;
  int64_t row_ = 0;
  int64_t line_number_ = 0;
};

}  // namespace

absl::StatusOr<v1::Sample> ParseJsonSample(const std::string& line,
                                           const std::vector<v1::TensorSpec>& columns) {
  const nlohmann::json object = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!object.is_object()) return absl::InvalidArgumentError("not a JSON object");
  v1::Sample sample;
  if (const auto id = object.find("id"); id != object.end()) {
    sample.set_id(id->is_string() ? id->get<std::string>() : id->dump());
  }
  for (const v1::TensorSpec& column : columns) {
    const auto value = object.find(column.name());
    if (value == object.end()) {
      return absl::InvalidArgumentError(absl::StrCat("column ", column.name(), " is missing"));
    }
    v1::Tensor& tensor = *sample.add_tensors();
    *tensor.mutable_spec() = column;
    if (column.shape_size() > 0 && column.shape(0) < 0) {  // of any length: the sample has its own
      if (!value->is_array() || value->empty()) {
        return absl::InvalidArgumentError(
            absl::StrCat("column ", column.name(), ": must be a list that is not empty"));
      }
      tensor.mutable_spec()->set_shape(0, static_cast<int64_t>(value->size()));
    }
    absl::Status status = AppendNested(*value, tensor.spec(), 0, *tensor.mutable_data());
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("column ", column.name(), ": ", std::string(status.message())));
    }
  }
  return sample;
}

absl::StatusOr<std::unique_ptr<SampleSource>> OpenJsonSamples(const std::string& path,
                                                              SampleFileOptions options) {
  auto samples = std::make_unique<JsonSamples>(path, std::move(options));
  CLIENT_RETURN_IF_ERROR(samples->Rewind());
  return samples;
}

}  // namespace bif::client
