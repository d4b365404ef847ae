#include "client/load/change_sample.h"

#include <cstring>
#include <string>
#include <utility>

namespace bif::client::load {
namespace {

constexpr float kFloatChange = 1e-3f;
constexpr int kChangedPixels = 8;

size_t TokenBytes(const v1::Tensor& tensor) {
  if (tensor.spec().shape_size() != 1) return 0;
  const size_t bytes = tensor.spec().dtype() == v1::INT32   ? 4
                       : tensor.spec().dtype() == v1::INT64 ? 8
                                                            : 0;
  return bytes > 0 && tensor.data().size() >= 2 * bytes ? bytes : 0;
}

// Fisher and Yates.
void Shuffle(Random& random, size_t element_bytes, std::string& data) {
  for (size_t left = data.size() / element_bytes; left > 1; --left) {
    const size_t other = random.Below(left) * element_bytes;
    for (size_t b = 0; b < element_bytes; ++b)
      std::swap(data[(left - 1) * element_bytes + b], data[other + b]);
  }
}

void MoveFloats(Random& random, std::string& data) {
  for (size_t at = 0; at + sizeof(float) <= data.size(); at += sizeof(float)) {
    float value;
    std::memcpy(&value, &data[at], sizeof(value));
    const float change = kFloatChange * static_cast<float>(2 * random.Uniform() - 1);
    value += change * (1 + value);
    std::memcpy(&data[at], &value, sizeof(value));
  }
}

void MovePixels(Random& random, std::string& data) {
  for (int i = 0; i < kChangedPixels; ++i) {
    char& pixel = data[random.Below(data.size())];
    const int value = static_cast<unsigned char>(pixel);
    const bool up = value == 0 || (value < 255 && random.Below(2) == 1);
    pixel = static_cast<char>(up ? value + 1 : value - 1);
  }
}

bool MoveValues(Random& random, v1::Tensor& tensor) {
  std::string& data = *tensor.mutable_data();
  if (data.empty()) return false;
  if (tensor.spec().dtype() == v1::FLOAT32) {
    MoveFloats(random, data);
    return true;
  }
  if (tensor.spec().dtype() == v1::UINT8 && tensor.spec().shape_size() >= 2) {
    MovePixels(random, data);
    return true;
  }
  return false;
}

}  // namespace

bool ChangeSample(Random& random, v1::Sample& sample) {
  sample.clear_id();
  sample.clear_digest();
  bool changed = false;
  for (v1::Tensor& tensor : *sample.mutable_tensors()) {
    const size_t bytes = TokenBytes(tensor);
    if (bytes == 0) continue;
    Shuffle(random, bytes, *tensor.mutable_data());
    changed = true;
  }
  if (changed) return true;
  for (v1::Tensor& tensor : *sample.mutable_tensors()) {
    if (MoveValues(random, tensor)) changed = true;
  }
  return changed;
}

}  // namespace bif::client::load
