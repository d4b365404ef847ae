// Little-endian fields of the values and files that this folder writes. The reader never steps past
// the end: a short input turns it into a failed one, to be asked once at the end.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <type_traits>

namespace bif::storage {

static_assert(std::endian::native == std::endian::little,
              "files and values are copied as little-endian numbers");

class ByteWriter {
 public:
  template <typename Number>
  void Put(Number value) {
    static_assert(std::is_arithmetic_v<Number>);
    bytes_.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  void PutBytes(std::string_view bytes) { bytes_.append(bytes); }
  // Up to 65,535 bytes, after their length as u16.
  void PutShortText(std::string_view text) {
    Put(static_cast<uint16_t>(text.size()));
    bytes_.append(text);
  }
  // Overwrites a number that was put before, at `offset`.
  template <typename Number>
  void Patch(size_t offset, Number value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof(value));
  }
  void Reserve(size_t bytes) { bytes_.reserve(bytes); }
  const std::string& bytes() const { return bytes_; }
  std::string Take() { return std::move(bytes_); }

 private:
  std::string bytes_;
};

class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : rest_(bytes) {}

  template <typename Number>
  Number Get() {
    Number value = 0;
    const std::string_view bytes = GetBytes(sizeof(Number));
    if (!failed_) std::memcpy(&value, bytes.data(), sizeof(Number));
    return value;
  }
  std::string_view GetBytes(size_t count) {
    if (failed_ || count > rest_.size()) {
      failed_ = true;
      return {};
    }
    const std::string_view bytes = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return bytes;
  }
  std::string_view GetShortText() { return GetBytes(Get<uint16_t>()); }

  std::string_view rest() const { return rest_; }
  bool failed() const { return failed_; }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

}  // namespace bif::storage
