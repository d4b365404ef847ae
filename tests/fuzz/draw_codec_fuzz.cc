// Draws as numbers and as bytes: any finite numbers come back within the codec's error, and any
// bytes decode to numbers that are as many as were asked for.
#include <algorithm>
#include <cmath>
#include <vector>

#include "src/engine/draw_codec.h"
#include "tests/fuzz/fuzz.h"

using namespace bif;
using engine::DrawCodec;

namespace {

constexpr size_t kBlock = 64;

bool AllFinite(const std::vector<float>& values) {
  for (const float value : values) {
    if (!std::isfinite(value)) return false;
  }
  return true;
}

// How far off element `i` may be: half a scale of its block, which is the largest magnitude / 127
// or 7, and a little for the rounding of the product; half a unit in BF16's last place; nothing.
double Error(DrawCodec codec, const std::vector<float>& values, size_t i) {
  if (codec == DrawCodec::kFp32) return 0;
  if (codec == DrawCodec::kBf16) return std::abs(double{values[i]}) / 256 + 1e-40;
  double largest = 0;
  const size_t begin = i / kBlock * kBlock;
  for (size_t k = begin; k < std::min(values.size(), begin + kBlock); ++k)
    largest = std::max(largest, std::abs(double{values[k]}));
  if (largest < 1e-30) return largest;  // the block becomes zeros
  return largest / (codec == DrawCodec::kInt8Block ? 127 : 7) * 0.5 * (1 + 1e-5);
}

void CheckRoundTrip(DrawCodec codec, const std::vector<float>& values) {
  const auto encoded = engine::EncodeDraw(codec, values);
  if (!AllFinite(values)) {
    fuzz::RequireRefusal(encoded.status(), absl::StatusCode::kInvalidArgument);
    return;
  }
  if (!encoded.ok()) {  // what rounds to an infinity is none of BF16's numbers
    fuzz::RequireRefusal(encoded.status(), absl::StatusCode::kInvalidArgument);
    fuzz::Require(codec == DrawCodec::kBf16, "finite numbers are encoded");
    return;
  }
  fuzz::Require(encoded->size() == engine::EncodedDrawBytes(codec, values.size()),
                "as many bytes as were foretold");
  std::vector<float> decoded(values.size());
  fuzz::Require(engine::DecodeDraw(codec, *encoded, absl::MakeSpan(decoded)).ok(),
                "what was encoded is decoded");
  for (size_t i = 0; i < values.size(); ++i) {
    fuzz::Require(std::abs(double{decoded[i]} - double{values[i]}) <= Error(codec, values, i),
                  "no element is off by more than the codec says");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const auto codec = static_cast<DrawCodec>(1 + input.TakeBelow(4));
  const size_t elements = input.Take<uint16_t>() % 1024;
  const std::string_view bytes = input.rest();

  std::vector<float> decoded(elements, 42.0f);
  const absl::Status status = engine::DecodeDraw(codec, bytes, absl::MakeSpan(decoded));
  fuzz::Require(status.ok() == (bytes.size() == engine::EncodedDrawBytes(codec, elements)),
                "the size decides");
  if (status.ok()) {
    CheckRoundTrip(codec, decoded);
  } else {
    fuzz::RequireRefusal(status, absl::StatusCode::kDataLoss);
    fuzz::Require(decoded == std::vector<float>(elements, 42.0f), "nothing was touched");
  }

  std::vector<float> numbers(bytes.size() / sizeof(float));
  if (!numbers.empty()) std::memcpy(numbers.data(), bytes.data(), numbers.size() * sizeof(float));
  CheckRoundTrip(codec, numbers);
  return 0;
}
