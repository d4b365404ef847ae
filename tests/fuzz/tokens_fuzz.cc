// Page tokens and tokens of streams that go on: one that is accepted gives the position that it was
// made of, and none is accepted where another listing or stream made it.
//
// A byte says how many of what follows are what the token is bound to; the rest is a token, and,
// taken otherwise, a position.
#include "src/jobs/bound_token.h"
#include "src/jobs/pagination.h"
#include "src/jobs/resumable_stream.h"
#include "tests/fuzz/fuzz.h"

using namespace bif;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const std::string bound_to(input.TakeBytes(input.Take<uint8_t>()));
  const std::string text(input.rest());

  // Made up by a stranger. Base64 has several spellings; what counts is the position.
  if (const auto position = jobs::PositionOf(text, "page", bound_to)) {
    fuzz::Require(jobs::PositionOf(jobs::BoundToken("page", bound_to, *position), "page",
                                   bound_to) == position,
                  "an accepted token's position makes a token of its own");
    fuzz::Require(!jobs::PositionOf(text, "stream", bound_to), "a page is no stream");
    fuzz::Require(!jobs::PositionOf(text, "page", bound_to + "x"), "nor of another listing");
  }
  const auto page = jobs::OpenPage({.page_size = 0, .page_token = text}, bound_to);
  if (!page.ok()) fuzz::RequireRefusal(page.status(), absl::StatusCode::kInvalidArgument);
  const auto stream =
      jobs::ResumableStream::Open({.request = bound_to, .token = text}, "answered from");
  if (!stream.ok()) {
    fuzz::RequireRefusal(stream.status(), absl::StatusCode::kInvalidArgument);
  } else {
    const auto again = jobs::ResumableStream::Open(
        {.request = bound_to, .token = stream->TokenBefore(stream->first())}, "answered from");
    fuzz::Require(again.ok() && again->first() == stream->first(), "a stream goes on where it was");
  }

  // Our own, at any position but the beginning, which needs none.
  if (text.empty()) return 0;
  const auto next = jobs::OpenPage({.page_token = jobs::NextPageToken(bound_to, text)}, bound_to);
  fuzz::Require(next.ok() && next->after == text, "a token leads to its position");
  const auto elsewhere =
      jobs::OpenPage({.page_token = jobs::NextPageToken(bound_to, text)}, bound_to + "x");
  fuzz::RequireRefusal(elsewhere.status(), absl::StatusCode::kInvalidArgument);
  return 0;
}
