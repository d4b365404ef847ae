#include "src/storage/live_files.h"

#include "absl/strings/numbers.h"
#include "src/base/status.h"

namespace bif::storage {
namespace {

// Calls visit(record) for each record below a prefix, a page at a time: a catalog may hold millions
// of draws.
template <typename Record, typename Visit>
absl::Status ForEach(Catalog& catalog, const RecordKey& prefix, Visit visit) {
  constexpr size_t kPage = 4096;
  std::string after;
  while (true) {
    BIF_ASSIGN_OR_RETURN(const auto page, catalog.Scan<Record>(prefix, after, kPage));
    for (const auto& [key, record] : page) visit(record);
    if (page.size() < kPage) return absl::OkStatus();
    after = page.back().first;
  }
}

void AddStates(const pb::PosteriorRecord& posterior, FileNames& names) {
  for (const pb::ChainRecord& chain : posterior.chains()) {
    for (const pb::FileRecord& state : chain.states()) names.insert(state.name());
  }
}

absl::Status AddDraws(Catalog& catalog, uint64_t posterior, FileNames& names) {
  return ForEach<pb::DrawRecord>(catalog, DrawPrefix(posterior), [&](const pb::DrawRecord& draw) {
    names.insert(draw.file().name());
  });
}

}  // namespace

absl::StatusOr<FileNames> LiveDrawFiles(Catalog& catalog, uint64_t posterior) {
  FileNames names;
  BIF_RETURN_IF_ERROR(ForEach<pb::PosteriorRecord>(catalog, KindPrefix(RecordKind::kPosterior),
                                                   [&](const pb::PosteriorRecord& record) {
                                                     if (record.number() == posterior)
                                                       AddStates(record, names);
                                                   }));
  BIF_RETURN_IF_ERROR(AddDraws(catalog, posterior, names));
  return names;
}

absl::StatusOr<absl::flat_hash_map<uint64_t, FileNames>> LivePosteriors(Catalog& catalog) {
  absl::flat_hash_map<uint64_t, FileNames> posteriors;
  BIF_RETURN_IF_ERROR(ForEach<pb::PosteriorRecord>(
      catalog, KindPrefix(RecordKind::kPosterior),
      [&](const pb::PosteriorRecord& record) { AddStates(record, posteriors[record.number()]); }));
  for (auto& [number, names] : posteriors) BIF_RETURN_IF_ERROR(AddDraws(catalog, number, names));
  return posteriors;
}

bool IsLiveDrawFile(const absl::flat_hash_map<uint64_t, FileNames>& posteriors,
                    const std::string& relative_path) {
  const size_t slash = relative_path.find('/');
  uint64_t number;
  if (slash == std::string::npos || !absl::SimpleAtoi(relative_path.substr(0, slash), &number))
    return false;
  const auto posterior = posteriors.find(number);
  return posterior != posteriors.end() &&
         posterior->second.contains(relative_path.substr(slash + 1));
}

absl::StatusOr<FileNames> LiveBlobs(Catalog& catalog) {
  FileNames names;
  BIF_RETURN_IF_ERROR(ForEach<pb::ProgramRecord>(
      catalog, KindPrefix(RecordKind::kProgram),
      [&](const pb::ProgramRecord& program) { names.insert(program.blob()); }));
  BIF_RETURN_IF_ERROR(ForEach<pb::CheckpointRecord>(
      catalog, KindPrefix(RecordKind::kCheckpoint), [&](const pb::CheckpointRecord& checkpoint) {
        names.insert(checkpoint.blobs().begin(), checkpoint.blobs().end());
      }));
  return names;
}

absl::StatusOr<absl::flat_hash_set<uint32_t>> LiveDatasets(Catalog& catalog) {
  absl::flat_hash_set<uint32_t> numbers;
  BIF_RETURN_IF_ERROR(ForEach<pb::DatasetRecord>(
      catalog, KindPrefix(RecordKind::kDataset),
      [&](const pb::DatasetRecord& dataset) { numbers.insert(dataset.number()); }));
  return numbers;
}

}  // namespace bif::storage
