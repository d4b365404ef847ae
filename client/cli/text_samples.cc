#include "client/cli/text_samples.h"

#include <cstring>
#include <deque>
#include <fstream>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

// What the tokenizer gets at once: much, because each call starts a process.
constexpr size_t kTextBytesAtOnce = 16 << 20;

template <typename T>
bool Put(int64_t id, std::string& data) {
  if (id < 0 || static_cast<uint64_t>(id) > uint64_t{std::numeric_limits<T>::max()}) return false;
  const T value = static_cast<T>(id);
  char raw[sizeof(T)];  // every platform that this is built for is little endian, as the API wants
  std::memcpy(raw, &value, sizeof(T));
  data.append(raw, sizeof(T));
  return true;
}

// False if the dtype cannot hold it.
bool PutId(int64_t id, v1::DType dtype, std::string& data) {
  switch (dtype) {
    case v1::UINT8:
      return Put<uint8_t>(id, data);
    case v1::INT32:
      return Put<int32_t>(id, data);
    case v1::INT64:
      return Put<int64_t>(id, data);
    default:
      return false;
  }
}

template <typename T>
std::vector<int64_t> Take(const std::string& data) {
  std::vector<T> values(data.size() / sizeof(T));
  std::memcpy(values.data(), data.data(), values.size() * sizeof(T));
  return {values.begin(), values.end()};
}

class TextFile : public TextSamples {
 public:
  TextFile(std::string path, const Tokenizer& tokenizer, TextFileOptions options)
      : path_(std::move(path)), tokenizer_(tokenizer), options_(std::move(options)) {}

  int64_t left_out() const override { return left_out_; }
  int64_t cut() const override { return cut_; }

  absl::Status Rewind() override {
    file_ = std::ifstream(path_);
    if (!file_) return absl::NotFoundError(absl::StrCat("cannot open ", path_));
    sequences_.clear();
    line_ = text_ = left_out_ = cut_ = 0;
    return absl::OkStatus();
  }

  absl::StatusOr<std::optional<v1::Sample>> Next() override {
    while (true) {
      if (sequences_.empty()) CLIENT_RETURN_IF_ERROR(TokeniseMore());
      if (sequences_.empty()) return std::optional<v1::Sample>();
      std::vector<int64_t> ids = std::move(sequences_.front());
      sequences_.pop_front();
      const int64_t text = text_++;
      if (static_cast<int64_t>(ids.size()) < options_.min_tokens) {
        ++left_out_;
        continue;
      }
      if (options_.max_tokens > 0 && static_cast<int64_t>(ids.size()) > options_.max_tokens) {
        ++cut_;
        ids.resize(static_cast<size_t>(options_.max_tokens));
      }
      v1::Sample sample;
      sample.set_id(absl::StrCat(options_.id_prefix, options_.first_id + text));
      CLIENT_ASSIGN_OR_RETURN(*sample.add_tensors(), TokenTensor(ids, options_.column));
      return std::optional<v1::Sample>(std::move(sample));
    }
  }

 private:
  absl::Status TokeniseMore() {
    const int64_t first_line = line_ + 1;
    std::vector<std::string> texts;
    size_t bytes = 0;
    while (bytes < kTextBytesAtOnce) {
      std::optional<std::string> text = NextText();
      if (!text) break;
      bytes += text->size();
      texts.push_back(*std::move(text));
    }
    if (texts.empty()) return absl::OkStatus();
    auto ids = tokenizer_.Encode(texts, options_.special_tokens);
    if (absl::IsInvalidArgument(ids.status())) {
      return absl::InvalidArgumentError(absl::StrCat(path_, ", from line ", first_line,
                                                     " on: ", std::string(ids.status().message())));
    }
    if (!ids.ok()) return ids.status();
    sequences_.assign(std::make_move_iterator(ids->begin()), std::make_move_iterator(ids->end()));
    return absl::OkStatus();
  }

  std::optional<std::string> NextText() {
    std::string text, line;
    while (std::getline(file_, line)) {
      ++line_;
      if (!line.empty() && line.back() == '\r') line.pop_back();
      const bool blank = absl::StripAsciiWhitespace(line).empty();
      if (blank && text.empty()) continue;
      if (blank) return text;
      absl::StrAppend(&text, text.empty() ? "" : "\n", line);
      if (!options_.paragraphs) return text;
    }
    if (text.empty()) return std::nullopt;
    return text;
  }

  const std::string path_;
  const Tokenizer tokenizer_;
  const TextFileOptions options_;
  std::ifstream file_;
  std::deque<std::vector<int64_t>> sequences_;  // tokenised ahead
  int64_t line_ = 0;
  int64_t text_ = 0;
  int64_t left_out_ = 0;
  int64_t cut_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<TextSamples>> OpenTextSamples(const std::string& path,
                                                             const Tokenizer& tokenizer,
                                                             TextFileOptions options) {
  auto samples = std::make_unique<TextFile>(path, tokenizer, std::move(options));
  CLIENT_RETURN_IF_ERROR(samples->Rewind());
  return samples;
}

absl::StatusOr<v1::Tensor> TokenTensor(const std::vector<int64_t>& ids,
                                       const v1::TensorSpec& column) {
  const auto wrong = [&](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat("column ", column.name(), " ", what...));
  };
  const auto length = static_cast<int64_t>(ids.size());
  if (column.shape_size() != 1)
    return wrong("is not one sequence a sample, such as tokens:int32:?");
  if (column.shape(0) >= 0 && column.shape(0) != length)
    return wrong("takes ", column.shape(0), " tokens, there are ", length);
  v1::Tensor tensor;
  *tensor.mutable_spec() = column;
  tensor.mutable_spec()->set_shape(0, length);
  for (const int64_t id : ids) {
    if (!PutId(id, column.dtype(), *tensor.mutable_data()))
      return wrong("cannot hold the token ", id, "; int32 and int64 can");
  }
  return tensor;
}

absl::StatusOr<std::vector<int64_t>> TokensOf(const v1::Sample& sample, const std::string& column) {
  for (const v1::Tensor& tensor : sample.tensors()) {
    if (tensor.spec().name() != column) continue;
    switch (tensor.spec().dtype()) {
      case v1::UINT8:
        return Take<uint8_t>(tensor.data());
      case v1::INT32:
        return Take<int32_t>(tensor.data());
      case v1::INT64:
        return Take<int64_t>(tensor.data());
      default:
        break;
    }
  }
  return absl::InvalidArgumentError(
      absl::StrCat("sample '", sample.id(), "' has no column '", column, "' of tokens"));
}

}  // namespace bif::client
