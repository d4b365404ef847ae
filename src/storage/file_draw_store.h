// DrawStore as plain files (src/storage/draw_file.h). Thread-safe.
#pragma once

#include <string>

#include "absl/synchronization/mutex.h"
#include "src/storage/draw_store.h"

namespace bif::storage {

class FileDrawStore : public DrawStore {
 public:
  // `root` holds a folder a posterior number; `temporary_directory` lies on the same file system.
  // The catalog tells which files are referred to. Whoever holds `deletion` keeps every file that
  // is there.
  FileDrawStore(std::string root, std::string temporary_directory, Catalog& catalog,
                absl::Mutex& deletion)
      : root_(std::move(root)),
        temporary_directory_(std::move(temporary_directory)),
        catalog_(catalog),
        deletion_(deletion) {}

  absl::StatusOr<std::vector<pb::DrawRecord>> WriteDraws(
      uint64_t posterior, uint32_t chain, uint32_t first_draw,
      absl::Span<const EncodedDraw> draws) override;
  absl::StatusOr<EncodedDraw> ReadDraw(uint64_t posterior, const pb::DrawRecord& record) override;
  absl::StatusOr<pb::FileRecord> WriteState(uint64_t posterior, uint32_t chain,
                                            const State& state) override;
  absl::StatusOr<State> ReadState(uint64_t posterior, const pb::FileRecord& record) override;
  absl::Status VerifyFile(uint64_t posterior, const pb::FileRecord& record) override;
  absl::StatusOr<int64_t> DiskBytes(uint64_t posterior) override;
  absl::Status DeleteFile(uint64_t posterior, const std::string& name) override;
  absl::Status DeletePosterior(uint64_t posterior) override;

 private:
  class FrameFile;
  std::string DirectoryOf(uint64_t posterior) const;
  absl::StatusOr<std::string> PathOf(uint64_t posterior, const std::string& name) const;

  const std::string root_;
  const std::string temporary_directory_;
  Catalog& catalog_;
  absl::Mutex& deletion_;
};

}  // namespace bif::storage
