// Sends a spec and then a local file's bytes over a client stream. Only for client/*.cc.
#pragma once

#include <cstdint>
#include <fstream>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/internal/connection.h"
#include "grpcpp/support/sync_stream.h"

namespace bif::client {

inline constexpr int64_t kChunkBytes = 1 << 20;

// Writes `first`, then, if `local_file` is not empty, its content in messages that `first`'s type
// calls chunk. A file that cannot be read cancels the stream, so that the server keeps nothing.
template <typename Request>
absl::Status WriteSpecAndFile(grpc::ClientContext& context, grpc::ClientWriter<Request>& writer,
                              const Request& first, const std::string& local_file,
                              const UploadProgress& progress) {
  const auto abandon = [&](absl::Status status) {
    context.TryCancel();
    (void)writer.Finish();
    return status;
  };

  bool open = writer.Write(first);
  if (!local_file.empty()) {
    std::ifstream file(local_file, std::ios::binary | std::ios::ate);
    if (!file) return abandon(absl::NotFoundError(absl::StrCat("cannot open ", local_file)));
    const int64_t total_bytes = file.tellg();
    file.seekg(0);
    Request message;
    std::string& chunk = *message.mutable_chunk();
    for (int64_t sent_bytes = 0; open && sent_bytes < total_bytes;) {
      chunk.resize(std::min(kChunkBytes, total_bytes - sent_bytes));
      if (!file.read(chunk.data(), chunk.size())) {
        return abandon(
            absl::DataLossError(absl::StrCat("cannot read ", local_file, " at byte ", sent_bytes)));
      }
      open = writer.Write(message);
      sent_bytes += chunk.size();
      if (open && progress) progress(sent_bytes, total_bytes);
    }
  }
  // A write fails only when the server has ended the call; Finish then says why.
  writer.WritesDone();
  return FromGrpc(writer.Finish());
}

}  // namespace bif::client
