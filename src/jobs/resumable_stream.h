// Streams of blocks that go on where they were cut off: by a drain, a lost connection, a client
// that was stopped. Every block has a token; whoever asks again with that of the last block that
// came hears the rest, the same numbers as without the interruption.
//
// A token is bound to its request, and to the samples and draws that answered it. If others would
// answer now (samples were deleted or traced, the posterior was extended), it is refused: a stream
// is never of two minds.
//
// Thread-compatible; const methods are thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/statusor.h"

namespace bif::jobs {

struct Resumption {
  std::string request;  // all that the request says besides the token, in any fixed form
  std::string token;    // empty: from the beginning
};

class ResumableStream {
 public:
  // `answered_from`: whatever the answer depends on beside the request. INVALID_ARGUMENT on
  // "resume_token" if the token is not of this stream.
  static absl::StatusOr<ResumableStream> Open(const Resumption& resumption,
                                              const std::string& answered_from);

  // The first item that is still to be sent.
  size_t first() const { return first_; }
  // Of a block that ends before item `next`.
  std::string TokenBefore(size_t next) const;

 private:
  ResumableStream(std::string bound_to, size_t first)
      : bound_to_(std::move(bound_to)), first_(first) {}

  std::string bound_to_;
  size_t first_;
};

}  // namespace bif::jobs
