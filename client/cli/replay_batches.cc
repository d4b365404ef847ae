#include "client/cli/replay_batches.h"

#include <bit>
#include <cstring>
#include <fstream>
#include <iterator>
#include <limits>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

static_assert(std::endian::native == std::endian::little, "the arrays that are read are, too");

absl::Status Wrong(const std::string& path, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(path, ": ", what));
}

absl::Status NotAPosition(const std::string& path, size_t batch) {
  return Wrong(path,
               absl::StrCat("batch ", batch, " holds something else than whole numbers from 0"));
}

absl::Status AddJson(const std::string& path, const std::string& text,
                     v1::SamplerSettings& settings) {
  const auto list = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!list.is_array()) return Wrong(path, "is neither a JSON list of lists nor a *.npy file");
  for (size_t b = 0; b < list.size(); ++b) {
    if (!list[b].is_array()) return Wrong(path, absl::StrCat("batch ", b, " is no list"));
    v1::IndexBatch& batch = *settings.add_replay_batches();
    for (const auto& index : list[b]) {
      if (!index.is_number_unsigned() ||
          index.get<uint64_t>() > std::numeric_limits<uint32_t>::max()) {
        return NotAPosition(path, b);
      }
      batch.add_indices(index.get<uint32_t>());
    }
  }
  return absl::OkStatus();
}

// What follows "'key':" in the header of an .npy file, a Python dictionary.
std::string_view Entry(std::string_view header, const std::string& key) {
  const size_t at = header.find("'" + key + "':");
  if (at == std::string_view::npos) return "";
  header.remove_prefix(at + key.size() + 3);
  return header.substr(std::min(header.size(), header.find_first_not_of(' ')));
}

template <typename Element>
absl::Status AddRows(const std::string& path, std::string_view data, size_t rows, size_t columns,
                     v1::SamplerSettings& settings) {
  if (columns == 0 || data.size() / sizeof(Element) / columns != rows ||
      data.size() != rows * columns * sizeof(Element)) {
    return Wrong(path, "holds more or less than its shape says");
  }
  for (size_t row = 0; row < rows; ++row) {
    v1::IndexBatch& batch = *settings.add_replay_batches();
    for (size_t column = 0; column < columns; ++column, data.remove_prefix(sizeof(Element))) {
      Element index;
      std::memcpy(&index, data.data(), sizeof(index));
      if (!std::in_range<uint32_t>(index)) return NotAPosition(path, row);
      batch.add_indices(static_cast<uint32_t>(index));
    }
  }
  return absl::OkStatus();
}

// The format: \x93NUMPY, version, length of the header (2 bytes, from version 2 on 4), the header,
// the values (numpy.org/doc/stable/reference/generated/numpy.lib.format.html).
absl::Status AddNpy(const std::string& path, std::string_view bytes,
                    v1::SamplerSettings& settings) {
  if (bytes.size() < 12 || bytes.substr(0, 6) != "\x93NUMPY") return Wrong(path, "is no .npy file");
  const size_t length_bytes = bytes[6] == 1 ? 2 : 4;
  uint32_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data() + 8, length_bytes);
  bytes.remove_prefix(8 + length_bytes);
  if (header_bytes > bytes.size()) return Wrong(path, "is cut off");
  const std::string_view header = bytes.substr(0, header_bytes);
  bytes.remove_prefix(header_bytes);

  const std::string_view shape = Entry(header, "shape");
  const std::vector<std::string> sizes = absl::StrSplit(
      std::string(shape.substr(0, shape.find(')'))), absl::ByAnyChar("(), "), absl::SkipEmpty());
  uint64_t rows = 0;
  uint64_t columns = 0;
  if (sizes.size() != 2 || !absl::SimpleAtoi(sizes[0], &rows) ||
      !absl::SimpleAtoi(sizes[1], &columns)) {
    return Wrong(path, "is not an array of two dimensions, a batch a row");
  }
  if (!Entry(header, "fortran_order").starts_with("False"))
    return Wrong(path, "is in Fortran order; save it in C order");
  const std::string_view descr = Entry(header, "descr");
  if (descr.starts_with("'<i8'")) return AddRows<int64_t>(path, bytes, rows, columns, settings);
  if (descr.starts_with("'<i4'")) return AddRows<int32_t>(path, bytes, rows, columns, settings);
  if (descr.starts_with("'<u8'")) return AddRows<uint64_t>(path, bytes, rows, columns, settings);
  if (descr.starts_with("'<u4'")) return AddRows<uint32_t>(path, bytes, rows, columns, settings);
  return Wrong(path, "has no dtype of 32 or 64 bit integers");
}

}  // namespace

absl::Status AddReplayBatches(const std::string& path, v1::SamplerSettings& settings) {
  std::ifstream file(path, std::ios::binary);
  const std::string content{std::istreambuf_iterator<char>(file), {}};
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  const std::string bytes = content;
  CLIENT_RETURN_IF_ERROR(absl::EndsWith(path, ".npy") ? AddNpy(path, bytes, settings)
                                                      : AddJson(path, bytes, settings));
  if (settings.replay_batches_size() == 0) return Wrong(path, "holds no batch");
  return absl::OkStatus();
}

}  // namespace bif::client
