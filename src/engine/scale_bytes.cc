#include "src/engine/scale_bytes.h"

#include "src/engine/kernel_clones.h"

namespace bif::engine {
namespace {

BIF_KERNEL_CLONES void ScaleChannel(const uint8_t* __restrict in, int64_t count, float scale,
                                    float shift, float* __restrict out) {
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<float>(in[i]) * scale + shift;
}

}  // namespace

void ScaleBytes(absl::Span<const uint8_t> sample, absl::Span<const float> scale,
                absl::Span<const float> shift, float* out) {
  const size_t length = sample.size() / scale.size();
  for (size_t channel = 0; channel < scale.size(); ++channel) {
    ScaleChannel(sample.data() + channel * length, static_cast<int64_t>(length), scale[channel],
                 shift[channel], out + channel * length);
  }
}

}  // namespace bif::engine
