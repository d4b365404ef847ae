#include "src/engine/draw_codec.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "absl/strings/str_cat.h"
#include "src/engine/kernel_clones.h"

namespace bif::engine {
namespace {

static_assert(std::endian::native == std::endian::little, "payloads are little endian");

constexpr size_t kBlock = 64;
constexpr size_t kInt8BlockBytes = sizeof(float) + kBlock;
constexpr size_t kInt4BlockBytes = sizeof(float) + kBlock / 2;
constexpr float kTiny = 1e-30f;  // below it 127 / magnitude would leave fp32's range

// Adding 1.5 * 2^23 leaves a float's integer part, rounded to nearest even, in its lowest bits.
constexpr float kRounder = 12582912.0f;
BIF_ALWAYS_INLINE int32_t RoundSmall(float x) {
  return static_cast<int32_t>(std::bit_cast<uint32_t>(x + kRounder) -
                              std::bit_cast<uint32_t>(kRounder));
}

// As good as the largest float that stays finite when it is multiplied by `top`.
constexpr float LargestScale(float top) {
  const float quotient = std::numeric_limits<float>::max() / top;  // may have been rounded up
  return std::bit_cast<float>(std::bit_cast<uint32_t>(quotient) - 1);
}

// The scale that maps the block's largest magnitude to `kTop`, and 1 / scale. Magnitudes are
// compared as whole numbers: for floats of one sign that is the same order.
template <int kTop>
BIF_ALWAYS_INLINE float BlockScale(const float* x, float* inverse) {
  constexpr float kLargest = LargestScale(kTop);
  uint32_t largest = 0;
  for (size_t i = 0; i < kBlock; ++i)
    largest = std::max(largest, std::bit_cast<uint32_t>(x[i]) & 0x7FFFFFFFu);
  const float magnitude = std::bit_cast<float>(largest);
  *inverse = magnitude < kTiny ? 0.0f : kTop / magnitude;
  return magnitude < kTiny ? 0.0f : std::min(magnitude / kTop, kLargest);
}

BIF_KERNEL_CLONES void EncodeInt8(const float* __restrict x, size_t blocks, char* __restrict out) {
  for (size_t b = 0; b < blocks; ++b, x += kBlock, out += kInt8BlockBytes) {
    float inverse;
    const float scale = BlockScale<127>(x, &inverse);
    std::memcpy(out, &scale, sizeof(scale));
    for (size_t i = 0; i < kBlock; ++i)
      out[sizeof(float) + i] = static_cast<char>(RoundSmall(x[i] * inverse));
  }
}

BIF_KERNEL_CLONES void DecodeInt8(const char* __restrict in, size_t blocks, float* __restrict x) {
  for (size_t b = 0; b < blocks; ++b, x += kBlock, in += kInt8BlockBytes) {
    float scale;
    std::memcpy(&scale, in, sizeof(scale));
    for (size_t i = 0; i < kBlock; ++i) {
      x[i] = scale * static_cast<float>(static_cast<signed char>(in[sizeof(float) + i]));
    }
  }
}

BIF_KERNEL_CLONES void EncodeInt4(const float* __restrict x, size_t blocks, char* __restrict out) {
  for (size_t b = 0; b < blocks; ++b, x += kBlock, out += kInt4BlockBytes) {
    float inverse;
    const float scale = BlockScale<7>(x, &inverse);
    std::memcpy(out, &scale, sizeof(scale));
    for (size_t j = 0; j < kBlock / 2; ++j) {
      const int32_t low = RoundSmall(x[j] * inverse) + 8;
      const int32_t high = RoundSmall(x[j + kBlock / 2] * inverse) + 8;
      out[sizeof(float) + j] = static_cast<char>(low | high << 4);
    }
  }
}

BIF_KERNEL_CLONES void DecodeInt4(const char* __restrict in, size_t blocks, float* __restrict x) {
  for (size_t b = 0; b < blocks; ++b, x += kBlock, in += kInt4BlockBytes) {
    float scale;
    std::memcpy(&scale, in, sizeof(scale));
    for (size_t j = 0; j < kBlock / 2; ++j) {
      const int32_t byte = static_cast<unsigned char>(in[sizeof(float) + j]);
      x[j] = scale * static_cast<float>((byte & 15) - 8);
      x[j + kBlock / 2] = scale * static_cast<float>((byte >> 4) - 8);
    }
  }
}

BIF_KERNEL_CLONES void EncodeBf16(const float* __restrict x, size_t n, char* __restrict out) {
  for (size_t i = 0; i < n; ++i) {
    const uint32_t bits = std::bit_cast<uint32_t>(x[i]);
    const auto half = static_cast<uint16_t>((bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16);
    std::memcpy(out + 2 * i, &half, sizeof(half));
  }
}

BIF_KERNEL_CLONES void DecodeBf16(const char* __restrict in, size_t n, float* __restrict x) {
  for (size_t i = 0; i < n; ++i) {
    uint16_t half;
    std::memcpy(&half, in + 2 * i, sizeof(half));
    x[i] = std::bit_cast<float>(uint32_t{half} << 16);
  }
}

// Magnitudes from which on a number is an infinity or none, as fp32 and after rounding to BF16.
constexpr uint32_t kNotFinite = 0x7F800000u;
constexpr uint32_t kNotFiniteInBf16 = 0x7F7F8000u;

BIF_KERNEL_CLONES bool AllBelow(uint32_t limit, const float* x, size_t n) {
  uint32_t bad = 0;
  for (size_t i = 0; i < n; ++i)
    bad |= (std::bit_cast<uint32_t>(x[i]) & 0x7FFFFFFFu) >= limit ? 1u : 0u;
  return bad == 0;
}

// Whole blocks in place, the last incomplete one through a copy that is filled up with zeros.
template <typename Encode>
void EncodeBlocks(absl::Span<const float> delta, size_t block_bytes, std::string* out,
                  const Encode& encode) {
  const size_t whole = delta.size() / kBlock;
  encode(delta.data(), whole, out->data());
  if (whole * kBlock == delta.size()) return;
  std::array<float, kBlock> last{};
  std::copy(delta.begin() + static_cast<ptrdiff_t>(whole * kBlock), delta.end(), last.begin());
  encode(last.data(), 1, out->data() + whole * block_bytes);
}

template <typename Decode>
void DecodeBlocks(std::string_view payload, size_t block_bytes, absl::Span<float> delta,
                  const Decode& decode) {
  const size_t whole = delta.size() / kBlock;
  decode(payload.data(), whole, delta.data());
  if (whole * kBlock == delta.size()) return;
  std::array<float, kBlock> last;
  decode(payload.data() + whole * block_bytes, 1, last.data());
  std::copy_n(last.begin(), delta.size() - whole * kBlock,
              delta.begin() + static_cast<ptrdiff_t>(whole * kBlock));
}

}  // namespace

uint64_t EncodedDrawBytes(DrawCodec codec, uint64_t elements) {
  const uint64_t blocks = (elements + kBlock - 1) / kBlock;
  switch (codec) {
    case DrawCodec::kInt8Block:
      return blocks * kInt8BlockBytes;
    case DrawCodec::kInt4Block:
      return blocks * kInt4BlockBytes;
    case DrawCodec::kBf16:
      return elements * 2;
    case DrawCodec::kFp32:
      return elements * sizeof(float);
  }
  return 0;
}

absl::StatusOr<std::string> EncodeDraw(DrawCodec codec, absl::Span<const float> delta) {
  const uint32_t limit = codec == DrawCodec::kBf16 ? kNotFiniteInBf16 : kNotFinite;
  if (!AllBelow(limit, delta.data(), delta.size())) {
    return absl::InvalidArgumentError(
        "a draw holds a number that is not finite; its chain has diverged");
  }
  std::string out(EncodedDrawBytes(codec, delta.size()), '\0');
  switch (codec) {
    case DrawCodec::kInt8Block:
      EncodeBlocks(delta, kInt8BlockBytes, &out, EncodeInt8);
      return out;
    case DrawCodec::kInt4Block:
      EncodeBlocks(delta, kInt4BlockBytes, &out, EncodeInt4);
      return out;
    case DrawCodec::kBf16:
      EncodeBf16(delta.data(), delta.size(), out.data());
      return out;
    case DrawCodec::kFp32:
      if (!delta.empty()) std::memcpy(out.data(), delta.data(), out.size());
      return out;
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown draw codec ", static_cast<int>(codec)));
}

absl::Status DecodeDraw(DrawCodec codec, std::string_view payload, absl::Span<float> delta) {
  const uint64_t want = EncodedDrawBytes(codec, delta.size());
  if (want == 0 && !delta.empty()) {
    return absl::DataLossError(
        absl::StrCat("a draw names the unknown codec ", static_cast<int>(codec)));
  }
  if (payload.size() != want) {
    return absl::DataLossError(absl::StrCat("a draw of ", delta.size(), " parameters must take ",
                                            want, " bytes, has ", payload.size()));
  }
  switch (codec) {
    case DrawCodec::kInt8Block:
      DecodeBlocks(payload, kInt8BlockBytes, delta, DecodeInt8);
      break;
    case DrawCodec::kInt4Block:
      DecodeBlocks(payload, kInt4BlockBytes, delta, DecodeInt4);
      break;
    case DrawCodec::kBf16:
      DecodeBf16(payload.data(), delta.size(), delta.data());
      break;
    case DrawCodec::kFp32:
      if (!delta.empty()) std::memcpy(delta.data(), payload.data(), payload.size());
      break;
  }
  return absl::OkStatus();
}

}  // namespace bif::engine
