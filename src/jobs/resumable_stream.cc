#include "src/jobs/resumable_stream.h"

#include <cstdint>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "src/base/digest.h"
#include "src/base/status.h"
#include "src/jobs/bound_token.h"

namespace bif::jobs {
namespace {

constexpr char kStream[] = "stream";

}  // namespace

absl::StatusOr<ResumableStream> ResumableStream::Open(const Resumption& resumption,
                                                      const std::string& answered_from) {
  Sha256 digest;
  digest.UpdateField(resumption.request);
  digest.UpdateField(answered_from);
  std::string bound_to = ToHex(digest.Finish());
  if (resumption.token.empty()) return ResumableStream(std::move(bound_to), 0);
  const std::optional<std::string> position = PositionOf(resumption.token, kStream, bound_to);
  uint64_t first = 0;
  if (!position || !absl::SimpleAtoi(*position, &first)) {
    return FieldError("resume_token",
                      "is not of this request, or other samples or draws would answer it now; ask "
                      "again without it");
  }
  return ResumableStream(std::move(bound_to), first);
}

std::string ResumableStream::TokenBefore(size_t next) const {
  return BoundToken(kStream, bound_to_, absl::StrCat(next));
}

}  // namespace bif::jobs
