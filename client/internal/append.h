// Packs samples into messages of a client stream. Only for client/*.cc.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/internal/connection.h"
#include "grpcpp/support/sync_stream.h"

namespace bif::client {

inline constexpr size_t kAppendMessageBytes = 1 << 20;
// The server receives at most 4 MiB a message; the message's own framing and first fields need a
// little of it.
inline constexpr size_t kMaxSampleBytes = (4 << 20) - 4096;

// Sends all of `samples`, the first message with the fields of `first`. An error of the source
// cancels the stream, so that the server keeps nothing.
inline absl::Status WriteSamples(grpc::ClientContext& context,
                                 grpc::ClientWriter<v1::AppendSamplesRequest>& writer,
                                 const v1::AppendSamplesRequest& first, SampleSource& samples,
                                 const std::function<void(int64_t)>& sent) {
  const auto abandon = [&](absl::Status status) {
    context.TryCancel();
    (void)writer.Finish();
    return status;
  };
  if (absl::Status status = samples.Rewind(); !status.ok()) return abandon(std::move(status));

  v1::AppendSamplesRequest message = first;
  size_t message_bytes = message.ByteSizeLong();
  int64_t packed = 0;
  bool open = true;
  bool first_sent = false;
  const auto flush = [&] {
    open = writer.Write(message);
    first_sent = true;
    message.Clear();
    message_bytes = 0;
    if (open && sent) sent(packed);
  };

  while (open) {
    absl::StatusOr<std::optional<v1::Sample>> sample = samples.Next();
    if (!sample.ok()) return abandon(std::move(sample).status());
    if (!sample->has_value()) break;
    constexpr size_t kFramingBytes = 8;
    const size_t sample_bytes = (*sample)->ByteSizeLong() + kFramingBytes;
    if (sample_bytes > kMaxSampleBytes) {
      return abandon(absl::InvalidArgumentError(
          absl::StrCat("sample ", (*sample)->id(), " has ", sample_bytes,
                       " bytes; one sample may have ", kMaxSampleBytes)));
    }
    if (message.samples_size() > 0 && message_bytes + sample_bytes > kAppendMessageBytes) flush();
    if (!open) break;
    *message.add_samples() = *std::move(*sample);
    message_bytes += sample_bytes;
    ++packed;
  }
  if (open && (!first_sent || message.samples_size() > 0)) flush();
  // A write fails only when the server has ended the call; Finish then says why.
  writer.WritesDone();
  return FromGrpc(writer.Finish());
}

}  // namespace bif::client
