// Small images as PNG, in memory. Pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "bif/v1/types.pb.h"

namespace bif::client {

// Eight bits a channel, row major, channels interleaved.
struct Image {
  int width = 0;
  int height = 0;
  int channels = 1;  // 1 grey, 3 RGB
  std::vector<uint8_t> pixels;
};

// A sample's tensor as an image: [H,W], [1,H,W] or [3,H,W], uint8 as it is, float32 stretched from
// its smallest to its largest value. INVALID_ARGUMENT for anything else, and for sides above 4096.
absl::StatusOr<Image> ImageFromTensor(const v1::Tensor& tensor);

// The bytes of a PNG file.
absl::StatusOr<std::string> EncodePng(const Image& image);

// A data: URI that <img src> takes.
absl::StatusOr<std::string> PngDataUri(const Image& image);

}  // namespace bif::client
