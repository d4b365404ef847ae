#include "tests/faults/store_check.h"

#include <algorithm>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "src/base/files.h"
#include "tests/faults/store_content.h"

namespace bif::faults {
namespace {

using storage::Store;
namespace pb = storage::pb;

class Checker {
 public:
  Checker(Store& store, std::string root, const History& history)
      : store_(store), root_(std::move(root)), history_(history) {}

  Findings Run() {
    for (const std::string& line : history_.wrong) Violation(line);
    for (const auto& [dataset, rows] : history_.rows) CheckDataset(dataset, rows);
    for (const auto& [posterior, draws] : history_.segments) CheckPosterior(posterior, draws);
    for (const auto& [program, done] : history_.programs) CheckProgram(program, done);
    for (const auto& [record, done] : history_.records) CheckRecord(record, done);
    CheckNothingElse();
    CheckFiles();
    CheckCounter();
    return std::move(findings_);
  }

 private:
  template <typename... Words>
  void Violation(const Words&... words) {
    findings_.violations.push_back(absl::StrCat(words...));
  }

  // Whether a read gave something. If not, the failure must be DATA_LOSS and name the object.
  bool Readable(const absl::Status& status, const std::string& name) {
    if (status.ok()) return true;
    if (absl::IsDataLoss(status) && absl::StrContains(status.message(), name)) {
      findings_.damaged.push_back(std::string(status.message()));
    } else {
      Violation("reading '", name, "' failed with ", status.ToString());
    }
    return false;
  }

  // The record of a key, if it can be read. What was acknowledged must be there; what was dropped
  // must not, if that was acknowledged.
  template <typename Record>
  std::optional<Record> Find(const storage::RecordKey& key, const std::string& name,
                             bool acknowledged, const Done* dropped) {
    const absl::StatusOr<Record> record = store_.catalog().Get<Record>(key);
    if (absl::IsNotFound(record.status())) {
      if (acknowledged && dropped == nullptr) Violation(name, " was acknowledged and is lost");
      return std::nullopt;
    }
    if (!Readable(record.status(), "catalog record")) return std::nullopt;
    if (dropped != nullptr && *dropped == Done::kAcknowledged) {
      Violation(name, " is there again after it was dropped");
      return std::nullopt;
    }
    return *record;
  }

  void CheckDataset(uint64_t number, const Progress& progress);
  void CheckRow(uint32_t dataset, uint32_t row, const SampleBatch& read, int64_t at);
  void CheckPosterior(uint64_t posterior, const Progress& progress);
  void CheckTraces(uint64_t posterior, uint32_t draws);
  void CheckDraws(uint64_t posterior, uint32_t chain, uint32_t draws);
  void CheckState(uint64_t posterior, const pb::ChainRecord& chain, uint32_t draws);
  void CheckProgram(uint64_t program, Done done);
  void CheckRecord(uint64_t record, Done done);
  void CheckNothingElse();
  void CheckFiles();
  void CheckCounter();

  Store& store_;
  const std::string root_;
  const History& history_;
  Findings findings_;
  std::set<std::string> named_files_;  // relative to the root
};

const Done* FindDone(const std::map<uint64_t, Done>& done, uint64_t key) {
  const auto found = done.find(key);
  return found == done.end() ? nullptr : &found->second;
}

void Checker::CheckDataset(uint64_t number, const Progress& progress) {
  const auto dataset = static_cast<uint32_t>(number);
  const std::string name = absl::StrCat("dataset ", dataset);
  const auto record = Find<pb::DatasetRecord>(storage::DatasetKey(absl::StrCat(dataset)), name,
                                              progress.acknowledged > 0,
                                              FindDone(history_.dropped_datasets, number));
  if (!record) return;
  const auto rows = static_cast<uint32_t>(record->rows());
  if (!progress.Allows(rows)) {
    return Violation(name, " has ", rows, " rows; ", progress.acknowledged, " are acknowledged");
  }
  const auto headers = store_.samples().ReadHeaders(dataset, 0, int64_t{1} << 30);
  if (!Readable(headers.status(), name)) return;
  if (headers->size() != rows)
    return Violation(name, " lists ", headers->size(), " rows, its record says ", rows);

  // Which rows are marked: each range as a whole, all that are acknowledged, and no other.
  std::vector<bool> deleted(rows), erased(rows);
  for (uint32_t row = 0; row < rows; ++row) deleted[row] = (*headers)[row].deleted;
  std::vector<bool> expected(rows);
  const auto deletions = history_.deleted.find(number);
  if (deletions != history_.deleted.end()) {
    for (const auto& [range, done] : deletions->second) {
      if (range.second > rows) continue;
      const bool mark = done == Done::kAcknowledged || deleted[range.first];
      for (uint64_t row = range.first; row < range.second; ++row) expected[row] = mark;
    }
  }
  if (deleted != expected) Violation(name, ": the marks of deleted rows are wrong");
  const auto erasures = history_.erased.find(number);
  if (erasures != history_.erased.end()) {
    for (const auto& [range, done] : erasures->second) {
      for (uint64_t row = range.first; row < range.second && row < rows; ++row)
        erased[row] = done == Done::kAcknowledged;
    }
  }

  std::vector<storage::RecordKey> index;
  std::vector<uint32_t> living;
  for (uint32_t row = 0; row < rows; ++row) {
    const std::string id = RowIds(dataset, row, 1)[0];
    const storage::SampleHeader& header = (*headers)[row];
    index.push_back(storage::SampleIndexKey(dataset, id));
    if (!deleted[row]) living.push_back(row);
    const bool gone = deleted[row] && header.id.empty() && header.digest == Digest{};
    const bool right =
        header.id == id && header.digest == storage::SampleDigest(Rows(dataset, row, 1), 0);
    if (erased[row] ? !gone : !right && !gone) Violation(name, ": wrong header of row ", row);
    if (!deleted[row]) continue;
    // A deleted row's bytes may have gone before that was committed.
    const auto read = store_.samples().Read(dataset, {row});
    if (absl::IsNotFound(read.status())) continue;
    if (erased[row]) Violation(name, ": erased row ", row, " can still be read");
    if (Readable(read.status(), name)) CheckRow(dataset, row, *read, 0);
  }
  const auto read = store_.samples().Read(dataset, living);
  if (Readable(read.status(), name)) {
    for (size_t i = 0; i < living.size(); ++i)
      CheckRow(dataset, living[i], *read, static_cast<int64_t>(i));
  }
  const auto ordinals = store_.catalog().GetU32s(index);
  if (!Readable(ordinals.status(), "catalog record")) return;
  for (uint32_t row = 0; row < rows; ++row) {
    const std::optional<uint32_t>& leads_to = (*ordinals)[row];
    const bool right = deleted[row] ? !leads_to : leads_to && *leads_to == row;
    if (!right) Violation(name, ": the id of row ", row, " leads elsewhere");
  }
}

void Checker::CheckRow(uint32_t dataset, uint32_t row, const SampleBatch& read, int64_t at) {
  const SampleBatch right = Rows(dataset, row, 1);
  bool same = read.columns.size() == right.columns.size();
  for (size_t c = 0; same && c < right.columns.size(); ++c) {
    same = read.columns[c].spec == right.columns[c].spec &&
           read.columns[c].Row(at) == right.columns[c].Row(0);
  }
  if (!same) Violation("dataset ", dataset, ": row ", row, " has wrong values");
}

void Checker::CheckPosterior(uint64_t posterior, const Progress& progress) {
  const std::string name = absl::StrCat("posterior ", posterior);
  const Done* dropped = FindDone(history_.dropped_posteriors, posterior);
  const auto record = Find<pb::PosteriorRecord>(storage::PosteriorKey(absl::StrCat(posterior)),
                                                name, progress.acknowledged > 0, dropped);
  const auto draws_stored = store_.catalog().Scan<pb::DrawRecord>(storage::DrawPrefix(posterior));
  const auto extents =
      store_.catalog().Scan<pb::TraceExtent>(storage::TraceExtentPrefix(posterior));
  if (!Readable(draws_stored.status(), "catalog record") ||
      !Readable(extents.status(), "catalog record")) {
    return;
  }
  if (!record) {
    if (!findings_.damaged.empty()) return;  // it may be there, and unreadable
    std::vector<float> value(1);
    if (!draws_stored->empty() || !extents->empty() ||
        store_.traces().Read({posterior, kLosses, 1}, 0, 0, 1, 1, 1, 0, absl::MakeSpan(value)).ok())
      Violation(name, " is not there, but parts of it are");
    return;
  }
  const PosteriorShape shape = ShapeOf(posterior);
  const uint32_t draws = record->draws_committed();
  if (draws == 0 || !progress.Allows(draws)) {
    return Violation(name, " has ", draws, " draws; ", progress.acknowledged, " are acknowledged");
  }
  if (draws_stored->size() != size_t{shape.chains} * draws || extents->size() != 1 ||
      extents->front().second.draws() != draws || extents->front().second.slots() != shape.slots ||
      record->chains_size() != static_cast<int>(shape.chains)) {
    return Violation(name, ": records of draws, traces and chains do not fit each other");
  }
  CheckTraces(posterior, draws);
  for (uint32_t chain = 0; chain < shape.chains; ++chain) {
    CheckDraws(posterior, chain, draws);
    CheckState(posterior, record->chains(static_cast<int>(chain)), draws);
  }
}

void Checker::CheckTraces(uint64_t posterior, uint32_t draws) {
  const PosteriorShape shape = ShapeOf(posterior);
  const std::string name = absl::StrCat("posterior ", posterior);
  std::vector<float> values(size_t{shape.slots} * draws);
  for (uint32_t chain = 0; chain < shape.chains; ++chain) {
    const absl::Status read = store_.traces().Read({posterior, kLosses, 1}, chain, 0, shape.slots,
                                                   draws, draws, 0, absl::MakeSpan(values));
    if (!Readable(read, name)) continue;
    for (size_t i = 0; i < values.size(); ++i) {
      const auto slot = static_cast<uint32_t>(i / draws), draw = static_cast<uint32_t>(i % draws);
      if (values[i] == TraceCell(posterior, chain, slot, draw)) continue;
      Violation(name, " chain ", chain, ": wrong trace at slot ", slot, " draw ", draw);
      break;
    }
  }
}

void Checker::CheckDraws(uint64_t posterior, uint32_t chain, uint32_t draws) {
  for (uint32_t d = 0; d < draws; ++d) {
    const auto record = store_.catalog().Get<pb::DrawRecord>(storage::DrawKey(posterior, chain, d));
    if (!Readable(record.status(), "catalog record")) continue;
    named_files_.insert(absl::StrCat("draws/", posterior, "/", record->file().name()));
    const auto read = store_.draws().ReadDraw(posterior, *record);
    if (!Readable(read.status(), record->file().name())) continue;
    const storage::EncodedDraw right = Draw(posterior, chain, d);
    if (read->codec != right.codec || read->elements != right.elements ||
        read->payload != right.payload) {
      Violation("posterior ", posterior, " chain ", chain, ": draw ", d, " has wrong bytes");
    }
  }
}

void Checker::CheckState(uint64_t posterior, const pb::ChainRecord& chain, uint32_t draws) {
  if (chain.states_size() != 1 || chain.draws() != draws)
    return Violation("posterior ", posterior, ": chain ", chain.index(), " is at another draw");
  const pb::FileRecord& record = chain.states(0);
  named_files_.insert(absl::StrCat("draws/", posterior, "/", record.name()));
  const auto read = store_.draws().ReadState(posterior, record);
  if (!Readable(read.status(), record.name())) return;
  const auto right = ChainState(posterior, chain.index(), StepAfter(draws));
  if (read->step != right.step || read->weights != right.weights ||
      read->second_moments != right.second_moments) {
    Violation("posterior ", posterior, ": wrong state of chain ", chain.index());
  }
}

void Checker::CheckProgram(uint64_t program, Done done) {
  const std::string name = absl::StrCat("program ", program);
  const auto record = Find<pb::ProgramRecord>(storage::ProgramKey(absl::StrCat(program)), name,
                                              done == Done::kAcknowledged, nullptr);
  if (!record) return;
  named_files_.insert(absl::StrCat("blobs/", record->blob()));
  if (record->blob() != ToHex(Sha256Of(ProgramBytes(static_cast<uint32_t>(program)))))
    return Violation(name, " names another blob");
  Readable(store_.blobs().Verify(record->blob()), record->blob());
}

void Checker::CheckRecord(uint64_t number, Done done) {
  const std::string name = absl::StrCat("record ", number);
  const auto record = Find<pb::OperationRecord>(storage::OperationKey(absl::StrCat(number)), name,
                                                done == Done::kAcknowledged, nullptr);
  if (record && record->request() != RecordBytes(static_cast<uint32_t>(number)))
    Violation(name, " has wrong bytes");
}

// Records that nobody attempted.
void Checker::CheckNothingElse() {
  const auto check = [&](storage::RecordKind kind, const char* name, const auto& known) {
    const auto rows = store_.catalog().ScanBytes(storage::KindPrefix(kind), "", 0);
    if (!Readable(rows.status(), "catalog record")) return;
    for (const auto& [key, value] : *rows) {
      if (!known.contains(std::strtoull(key.c_str(), nullptr, 10)))
        Violation("there is a ", name, " '", key, "' that nobody made");
    }
  };
  check(storage::RecordKind::kDataset, "dataset", history_.rows);
  check(storage::RecordKind::kPosterior, "posterior", history_.segments);
  check(storage::RecordKind::kProgram, "program", history_.programs);
  check(storage::RecordKind::kOperation, "record", history_.records);
}

// The start has swept what no record names. What damaged records name is not known here.
void Checker::CheckFiles() {
  if (!findings_.damaged.empty()) return;
  for (const char* folder : {"tmp", "blobs", "draws"}) {
    const auto names = ListFilesRecursively(absl::StrCat(root_, "/", folder));
    if (!names.ok()) return Violation("cannot list ", folder, ": ", names.status().ToString());
    for (const std::string& name : *names) {
      const std::string path = absl::StrCat(folder, "/", name);
      if (!named_files_.contains(path)) Violation(path, " was left behind");
    }
  }
}

void Checker::CheckCounter() {
  const auto next = store_.catalog().NextNumber("posterior");
  if (!Readable(next.status(), "c")) return;
  if (*next <= history_.counter)
    Violation("the counter gives ", *next, " after ", history_.counter);
}

}  // namespace

std::string Findings::ToString() const {
  return absl::StrCat(absl::StrJoin(violations, "\n"), "\n", absl::StrJoin(damaged, "\n"), "\n",
                      refused.ok() ? "" : refused.ToString());
}

Findings CheckStore(Store& store, const std::string& root, const History& history) {
  return Checker(store, root, history).Run();
}

Findings OpenAndCheck(const std::string& root, const History& history) {
  storage::StoreOptions options;
  options.root = root;
  options.memory_bytes = 16 << 20;
  options.log = [](std::string_view) {};  // damage is made on purpose here
  const auto store = storage::OpenStore(options);
  if (store.ok()) return CheckStore(**store, root, history);
  Findings findings;
  findings.refused = store.status();
  // Refused in words that say which directory is meant and what to do, or which file is at fault.
  if (!absl::StrContains(store.status().message(), root))
    findings.violations.push_back(
        absl::StrCat("refused, and no file named: ", store.status().ToString()));
  return findings;
}

}  // namespace bif::faults
