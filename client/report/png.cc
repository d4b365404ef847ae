#include "client/report/png.h"

#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "client/status_macros.h"

namespace bif::client {
namespace {

constexpr int64_t kMaxSide = 4096;

// One byte a pixel value, whatever the dtype. Values that are not finite become 0.
std::vector<uint8_t> ToBytes(const v1::Tensor& tensor, size_t count) {
  std::vector<uint8_t> bytes(count);
  if (tensor.spec().dtype() == v1::UINT8) {
    std::memcpy(bytes.data(), tensor.data().data(), count);
    return bytes;
  }
  std::vector<float> values(count);
  std::memcpy(values.data(), tensor.data().data(), count * sizeof(float));
  float low = INFINITY;
  float high = -INFINITY;
  for (const float value : values) {
    if (!std::isfinite(value)) continue;
    low = std::min(low, value);
    high = std::max(high, value);
  }
  const double range = static_cast<double>(high) - low;
  for (size_t i = 0; i < count; ++i) {
    const double share = range > 0 && std::isfinite(values[i]) ? (values[i] - low) / range : 0.0;
    bytes[i] = static_cast<uint8_t>(std::lround(255 * std::clamp(share, 0.0, 1.0)));
  }
  return bytes;
}

}  // namespace

absl::StatusOr<Image> ImageFromTensor(const v1::Tensor& tensor) {
  const v1::TensorSpec& spec = tensor.spec();
  const int rank = spec.shape_size();
  const int64_t channels = rank == 3 ? spec.shape(0) : 1;
  if ((rank != 2 && rank != 3) || (channels != 1 && channels != 3)) {
    return absl::InvalidArgumentError(absl::StrCat(
        "column ", spec.name(), " is no image: its shape must be [H,W], [1,H,W] or [3,H,W]"));
  }
  const int64_t height = spec.shape(rank - 2);
  const int64_t width = spec.shape(rank - 1);
  if (height < 1 || width < 1 || height > kMaxSide || width > kMaxSide) {
    return absl::InvalidArgumentError(
        absl::StrCat("column ", spec.name(), " is no image of usual size"));
  }
  const size_t count = static_cast<size_t>(channels * height * width);
  const size_t element_bytes = spec.dtype() == v1::UINT8 ? 1 : spec.dtype() == v1::FLOAT32 ? 4 : 0;
  if (element_bytes == 0 || tensor.data().size() != count * element_bytes) {
    return absl::InvalidArgumentError(absl::StrCat(
        "column ", spec.name(), " is no image: it must be uint8 or float32, and complete"));
  }

  const std::vector<uint8_t> planes = ToBytes(tensor, count);
  Image image;
  image.width = static_cast<int>(width);
  image.height = static_cast<int>(height);
  image.channels = static_cast<int>(channels);
  image.pixels.resize(count);
  const size_t plane = static_cast<size_t>(height * width);
  for (size_t c = 0; c < static_cast<size_t>(channels); ++c) {
    for (size_t i = 0; i < plane; ++i) {
      image.pixels[i * static_cast<size_t>(channels) + c] = planes[c * plane + i];
    }
  }
  return image;
}

absl::StatusOr<std::string> EncodePng(const Image& image) {
  // libpng's simplified interface: errors come back in `png`, nothing is thrown or jumped.
  png_image png;
  std::memset(&png, 0, sizeof(png));
  png.version = PNG_IMAGE_VERSION;
  png.width = static_cast<png_uint_32>(image.width);
  png.height = static_cast<png_uint_32>(image.height);
  png.format = image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_GRAY;
  png_alloc_size_t bytes = PNG_IMAGE_PNG_SIZE_MAX(png);
  std::string file(bytes, '\0');
  if (!png_image_write_to_memory(&png, file.data(), &bytes, 0, image.pixels.data(), 0, nullptr)) {
    return absl::InternalError(absl::StrCat("cannot encode a PNG: ", png.message));
  }
  file.resize(bytes);
  return file;
}

absl::StatusOr<std::string> PngDataUri(const Image& image) {
  CLIENT_ASSIGN_OR_RETURN(const std::string file, EncodePng(image));
  return absl::StrCat("data:image/png;base64,", absl::Base64Escape(file));
}

}  // namespace bif::client
