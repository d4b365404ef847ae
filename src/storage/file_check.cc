#include "src/storage/file_check.h"

#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "src/base/files.h"
#include "src/base/status.h"
#include "src/storage/big_endian.h"

namespace bif::storage {
namespace {

constexpr size_t kPage = 4096;  // records that are held at a time

constexpr char kDrawAdvice[] =
    "answers that need it leave it out and say so (draws_left_out); to have it again restore a "
    "backup, or delete the posterior and sample it again: the same settings and seed give the same "
    "draws";
constexpr char kStateAdvice[] =
    "what is sampled stays usable, but the posterior cannot go on from there: restore a backup, or "
    "delete it and sample it again";
constexpr char kBlobAdvice[] =
    "give the same file again (bifctl program create, bifctl checkpoint create): it takes the "
    "place "
    "of the damaged one";

// Whether a failed read says something about the file, rather than about this process.
bool IsDamage(const absl::Status& status) {
  return !status.ok() && !absl::IsResourceExhausted(status);
}

// Consecutive draws of one chain that lie in one file.
struct DrawFile {
  pb::FileRecord file;
  std::vector<std::pair<RecordKey, pb::DrawRecord>> draws;
};

class FileCheck {
 public:
  FileCheck(Catalog& catalog, DrawStore& draws, BlobStore& blobs, const Owners& owners,
            CheckRun& run)
      : catalog_(catalog), draws_(draws), blobs_(blobs), owners_(owners), run_(run) {}

  absl::Status CheckPosteriors() {
    BIF_ASSIGN_OR_RETURN(const auto posteriors,
                         catalog_.Scan<pb::PosteriorRecord>(KindPrefix(RecordKind::kPosterior)));
    for (const auto& [key, posterior] : posteriors) {
      BIF_RETURN_IF_ERROR(CheckStates(key, posterior));
      BIF_RETURN_IF_ERROR(CheckDraws(posterior.number()));
    }
    return absl::OkStatus();
  }

  absl::Status CheckBlobs() {
    absl::flat_hash_map<std::string, std::pair<std::string, RecordKey>> users;  // by digest
    BIF_ASSIGN_OR_RETURN(const auto checkpoints,
                         catalog_.Scan<pb::CheckpointRecord>(KindPrefix(RecordKind::kCheckpoint)));
    for (const auto& [key, checkpoint] : checkpoints) {
      for (const std::string& blob : checkpoint.blobs())
        users[blob] = {absl::StrCat("weights of ", ResourceNameOf("checkpoints", key)),
                       CheckpointKey(key)};
    }
    BIF_ASSIGN_OR_RETURN(const auto programs,
                         catalog_.Scan<pb::ProgramRecord>(KindPrefix(RecordKind::kProgram)));
    for (const auto& [key, program] : programs)
      users[program.blob()] = {absl::StrCat("the file of ", ResourceNameOf("programs", key)),
                               ProgramKey(key)};
    for (const auto& [blob, user] : users) {
      const absl::Status verified = blobs_.Verify(blob);
      const absl::StatusOr<int64_t> bytes = FileSize(blobs_.PathOf(blob));
      BIF_RETURN_IF_ERROR(run_.Looked(bytes.value_or(0)));
      if (absl::IsResourceExhausted(verified)) return verified;
      if (verified.ok() || !Exists(user.second)) continue;
      run_.Found({user.first, std::string(verified.message()), kBlobAdvice});
    }
    return absl::OkStatus();
  }

 private:
  bool Exists(const RecordKey& key) { return !absl::IsNotFound(catalog_.GetBytes(key).status()); }

  absl::Status CheckStates(const std::string& key, const pb::PosteriorRecord& posterior) {
    for (const pb::ChainRecord& chain : posterior.chains()) {
      for (const pb::FileRecord& state : chain.states()) {
        const absl::Status verified = draws_.VerifyFile(posterior.number(), state);
        BIF_RETURN_IF_ERROR(run_.Looked(static_cast<int64_t>(state.bytes())));
        if (absl::IsResourceExhausted(verified)) return verified;
        if (verified.ok() || !Exists(PosteriorKey(key))) continue;
        run_.Found(
            {absl::StrCat("the state of chain ", chain.index(), " of ",
                          owners_.PosteriorName(posterior.number()), " after step ", state.step()),
             std::string(verified.message()), kStateAdvice});
      }
    }
    return absl::OkStatus();
  }

  absl::Status CheckDraws(uint64_t posterior) {
    const RecordKey prefix = DrawPrefix(posterior);
    DrawFile current;
    std::string after;
    while (true) {
      BIF_ASSIGN_OR_RETURN(auto page, catalog_.Scan<pb::DrawRecord>(prefix, after, kPage));
      for (auto& [suffix, record] : page) {
        if (record.file().name() != current.file.name()) {
          BIF_RETURN_IF_ERROR(CheckDrawFile(posterior, current));
          current = {record.file(), {}};
        }
        current.draws.emplace_back(RecordKey{prefix.bytes + suffix}, std::move(record));
      }
      if (page.size() < kPage) return CheckDrawFile(posterior, current);
      after = page.back().first;
    }
  }

  absl::Status CheckDrawFile(uint64_t posterior, const DrawFile& file) {
    if (file.draws.empty()) return absl::OkStatus();
    const absl::Status verified = draws_.VerifyFile(posterior, file.file);
    BIF_RETURN_IF_ERROR(run_.Looked(static_cast<int64_t>(file.file.bytes())));
    if (absl::IsResourceExhausted(verified)) return verified;
    if (verified.ok() || !Exists(file.draws.front().first)) return absl::OkStatus();
    bool any = false;
    for (const auto& [key, record] : file.draws) {
      const absl::Status read = draws_.ReadDraw(posterior, record).status();
      if (!IsDamage(read)) continue;
      any = true;
      run_.Found({DrawName(posterior, key), std::string(read.message()), kDrawAdvice});
    }
    if (!any) {
      run_.Found({absl::StrCat("a file of draws of ", owners_.PosteriorName(posterior)),
                  std::string(verified.message()),
                  "its draws are whole, only bytes between them differ; look after the disk"});
    }
    return absl::OkStatus();
  }

  std::string DrawName(uint64_t posterior, const RecordKey& key) const {
    const size_t suffix = DrawPrefix(posterior).bytes.size();
    if (key.bytes.size() != suffix + 2 * sizeof(uint32_t))
      return absl::StrCat("a draw of ", owners_.PosteriorName(posterior));
    return absl::StrCat("draw ", ReadBigEndian<uint32_t>(key.bytes, suffix + sizeof(uint32_t)),
                        " of chain ", ReadBigEndian<uint32_t>(key.bytes, suffix), " of ",
                        owners_.PosteriorName(posterior));
  }

  Catalog& catalog_;
  DrawStore& draws_;
  BlobStore& blobs_;
  const Owners& owners_;
  CheckRun& run_;
};

}  // namespace

absl::Status CheckFiles(Catalog& catalog, DrawStore& draws, BlobStore& blobs, const Owners& owners,
                        CheckRun& run) {
  FileCheck check(catalog, draws, blobs, owners, run);
  BIF_RETURN_IF_ERROR(check.CheckPosteriors());
  return check.CheckBlobs();
}

}  // namespace bif::storage
