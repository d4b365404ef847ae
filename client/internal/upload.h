// Sends a spec and then the bytes of local files over a client stream. Only for client/*.cc.
#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/internal/connection.h"
#include "grpcpp/support/sync_stream.h"

namespace bif::client {

inline constexpr int64_t kChunkBytes = 1 << 20;

struct LocalFile {
  std::string name;  // what the server hears; empty: nothing, for a file that comes alone
  std::string path;
};

// Writes `first`, then each file: its name, if it has one, in a message that `first`'s type calls
// file, and its content in messages that it calls chunk. A file that cannot be read cancels the
// stream, so that the server keeps nothing.
template <typename Request>
absl::Status WriteSpecAndFiles(grpc::ClientContext& context, grpc::ClientWriter<Request>& writer,
                               const Request& first, const std::vector<LocalFile>& files,
                               const UploadProgress& progress) {
  const auto abandon = [&](absl::Status status) {
    context.TryCancel();
    (void)writer.Finish();
    return status;
  };

  int64_t total_bytes = 0;
  for (const LocalFile& file : files) {
    std::error_code failed;
    const auto bytes = std::filesystem::file_size(file.path, failed);
    if (failed) return abandon(absl::NotFoundError(absl::StrCat("cannot open ", file.path)));
    total_bytes += static_cast<int64_t>(bytes);
  }

  bool open = writer.Write(first);
  int64_t sent_bytes = 0;
  for (const LocalFile& local : files) {
    Request message;
    if constexpr (requires { message.set_file(local.name); }) {
      if (!local.name.empty()) {
        message.set_file(local.name);
        open = open && writer.Write(message);
      }
    }
    std::ifstream file(local.path, std::ios::binary);
    if (!file) return abandon(absl::NotFoundError(absl::StrCat("cannot open ", local.path)));
    std::string& chunk = *message.mutable_chunk();
    while (open) {
      chunk.resize(kChunkBytes);
      file.read(chunk.data(), kChunkBytes);
      chunk.resize(static_cast<size_t>(file.gcount()));
      if (file.bad()) {
        return abandon(absl::DataLossError(absl::StrCat("cannot read ", local.path)));
      }
      if (chunk.empty()) break;
      open = writer.Write(message);
      sent_bytes += static_cast<int64_t>(chunk.size());
      if (open && progress) progress(sent_bytes, total_bytes);
    }
  }
  // A write fails only when the server has ended the call; Finish then says why.
  writer.WritesDone();
  return FromGrpc(writer.Finish());
}

}  // namespace bif::client
