// A program that does with a data directory what the daemon does: imports samples, samples
// posteriors, keeps programs, deletes. It reports every attempt and every acknowledgement
// (history.h), so that others may break the disk below it and know what has to be there afterwards.
//
//   storage_scenario ROOT REPORT PLAN SEED [trusting]
//
// PLAN is `small`: each operation a few times, in a fixed order; `table`: traces so many that they
// go around the log, as a table file; or `random`: 40 operations, as SEED says. A failed operation
// is tried once more, as a client would; what fails twice is left alone. `trusting` is a negative
// control: it reports as acknowledged what failed.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "src/base/status.h"
#include "src/storage/store.h"
#include "tests/faults/store_content.h"

namespace bif::faults {
namespace {

using storage::Store;
using storage::WriteSet;
namespace pb = storage::pb;

// Each line is one write, so that no line is in the file in part while the process lives.
class Report {
 public:
  explicit Report(const char* path)
      : fd_(::open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644)) {}
  void Line(const std::string& line) {
    const std::string whole = absl::StrReplaceAll(line, {{"\n", " "}}) + "\n";
    if (::write(fd_, whole.data(), whole.size()) != static_cast<ssize_t>(whole.size())) {
      std::perror("cannot write the report");
      std::_Exit(2);
    }
  }

 private:
  const int fd_;
};

class Scenario {
 public:
  Scenario(std::string root, Report& report, bool trusting)
      : root_(std::move(root)), report_(report), trusting_(trusting) {}

  void RunSmall();
  void RunTable();
  void RunRandom(uint64_t seed);

 private:
  // Tries something, once more if it fails, and reports. `claim` is the verb and its numbers.
  // Returns whether it is acknowledged; after a failure `subject` (a kind and a number) is left
  // alone.
  template <typename Operation>
  bool Attempt(const std::string& claim, const std::string& subject, Operation operation);

  bool Open();
  bool Reopen();
  void AppendRows(uint32_t dataset, int64_t rows);
  void RunSegment(uint64_t posterior);
  void AddProgram(uint32_t program);
  void AddRecord(uint32_t record);
  void DrawNumber();
  void DeleteRows(uint32_t dataset, uint32_t first, uint32_t end);
  void EraseRows(uint32_t dataset, uint32_t first, uint32_t end);
  void DropPosterior(uint64_t posterior);
  void DropDataset(uint32_t dataset);
  // Reading may fail, but what it gives must be right.
  void ReadBack(uint64_t posterior);
  void VerifyProgram(uint32_t program);

  absl::Status WriteSegment(uint64_t posterior, uint32_t first_draw, uint32_t end_draw);

  const std::string root_;
  Report& report_;
  const bool trusting_;
  std::unique_ptr<Store> store_;
  std::set<std::string> left_alone_;
  std::map<uint32_t, int64_t> rows_;       // by dataset
  std::map<uint64_t, uint32_t> draws_;     // by posterior
  std::map<uint32_t, std::string> blobs_;  // by program
};

template <typename Operation>
bool Scenario::Attempt(const std::string& claim, const std::string& subject, Operation operation) {
  if (left_alone_.contains(subject)) return false;
  report_.Line(absl::StrCat("try ", claim));
  absl::Status status = operation();
  if (!status.ok()) {
    report_.Line(absl::StrCat("failed ", claim, " ", status.ToString()));
    status = operation();
  }
  if (status.ok() || trusting_) {
    report_.Line(absl::StrCat("ok ", claim));
    return true;
  }
  report_.Line(absl::StrCat("failed ", claim, " ", status.ToString()));
  left_alone_.insert(subject);
  return false;
}

bool Scenario::Open() {
  return Attempt("open", "store",
                 [&]() -> absl::Status {
                   storage::StoreOptions options;
                   options.root = root_;
                   options.memory_bytes = 16 << 20;
                   options.log = [](std::string_view) {};  // disks fail on purpose here
                   BIF_ASSIGN_OR_RETURN(store_, storage::OpenStore(options));
                   return absl::OkStatus();
                 }) &&
         store_ != nullptr;
}

bool Scenario::Reopen() {
  store_.reset();
  return Open();
}

void Scenario::AppendRows(uint32_t dataset, int64_t rows) {
  const int64_t first = rows_[dataset];
  const auto append = [&]() -> absl::Status {
    WriteSet writes;
    BIF_RETURN_IF_ERROR(store_->samples().Write(dataset, first, Rows(dataset, first, rows),
                                                RowIds(dataset, first, rows), true, writes));
    pb::DatasetRecord record;
    record.set_number(dataset);
    record.set_rows(first + rows);
    writes.Put(storage::DatasetKey(absl::StrCat(dataset)), record);
    return store_->catalog().Commit(writes);
  };
  if (Attempt(absl::StrCat("rows ", dataset, " ", first + rows), absl::StrCat("dataset ", dataset),
              append)) {
    rows_[dataset] = first + rows;
  }
}

absl::Status Scenario::WriteSegment(uint64_t posterior, uint32_t first_draw, uint32_t end_draw) {
  const PosteriorShape shape = ShapeOf(posterior);
  const storage::TraceArray array = {posterior, kLosses, 1};
  const uint32_t draws = end_draw - first_draw;
  WriteSet writes;
  pb::PosteriorRecord record;
  record.set_number(posterior);
  record.set_draws_committed(end_draw);
  for (uint32_t chain = 0; chain < shape.chains; ++chain) {
    BIF_RETURN_IF_ERROR(
        store_->traces().Write(array, chain, 0, shape.slots, first_draw, draws,
                               Traces(posterior, chain, shape.slots, first_draw, draws)));
    std::vector<storage::EncodedDraw> encoded;
    for (uint32_t d = first_draw; d < end_draw; ++d) encoded.push_back(Draw(posterior, chain, d));
    BIF_ASSIGN_OR_RETURN(const auto records,
                         store_->draws().WriteDraws(posterior, chain, first_draw, encoded));
    for (uint32_t d = 0; d < draws; ++d)
      writes.Put(storage::DrawKey(posterior, chain, first_draw + d), records[d]);
    BIF_ASSIGN_OR_RETURN(const pb::FileRecord state,
                         store_->draws().WriteState(
                             posterior, chain, ChainState(posterior, chain, StepAfter(end_draw))));
    pb::ChainRecord& chain_record = *record.add_chains();
    chain_record.set_index(chain);
    chain_record.set_draws(end_draw);
    *chain_record.add_states() = state;
  }
  pb::TraceExtent extent;
  extent.set_slots(shape.slots);
  extent.set_draws(end_draw);
  writes.Put(storage::TraceExtentKey(posterior, kLosses, 1, 0), extent);
  writes.Put(storage::PosteriorKey(absl::StrCat(posterior)), record);
  return store_->catalog().Commit(writes);
}

void Scenario::RunSegment(uint64_t posterior) {
  const uint32_t first = draws_[posterior];
  const uint32_t end = first + ShapeOf(posterior).draws;
  if (!Attempt(absl::StrCat("segment ", posterior, " ", end), absl::StrCat("posterior ", posterior),
               [&] { return WriteSegment(posterior, first, end); })) {
    return;
  }
  draws_[posterior] = end;
  // The states before these are no longer named. If they cannot be removed, a start will do it.
  if (first == 0) return;
  for (uint32_t chain = 0; chain < ShapeOf(posterior).chains; ++chain) {
    char name[64];
    std::snprintf(name, sizeof(name), "c%04u-s%012u.state", chain,
                  static_cast<unsigned>(StepAfter(first)));
    store_->draws().DeleteFile(posterior, name).IgnoreError();
  }
}

void Scenario::AddProgram(uint32_t program) {
  const auto add = [&]() -> absl::Status {
    const std::string bytes = ProgramBytes(program);
    BIF_ASSIGN_OR_RETURN(const auto blob, store_->blobs().NewBlob());
    BIF_RETURN_IF_ERROR(blob->Append(bytes.substr(0, 1000)));
    BIF_RETURN_IF_ERROR(blob->Append(bytes.substr(1000)));
    BIF_ASSIGN_OR_RETURN(blobs_[program], blob->Finish());
    pb::ProgramRecord record;
    record.set_blob(blobs_[program]);
    WriteSet writes;
    writes.Put(storage::ProgramKey(absl::StrCat(program)), record);
    return store_->catalog().Commit(writes);
  };
  Attempt(absl::StrCat("program ", program), absl::StrCat("program ", program), add);
}

void Scenario::AddRecord(uint32_t record) {
  Attempt(absl::StrCat("record ", record), absl::StrCat("record ", record), [&] {
    pb::OperationRecord operation;
    operation.set_id(absl::StrCat(record));
    operation.set_request(RecordBytes(record));
    WriteSet writes;
    writes.Put(storage::OperationKey(operation.id()), operation);
    return store_->catalog().Commit(writes);
  });
}

void Scenario::DrawNumber() {
  for (int tries = 0; tries < 2; ++tries) {
    const absl::StatusOr<uint64_t> number = store_->catalog().NextNumber("posterior");
    if (number.ok()) return report_.Line(absl::StrCat("ok counter ", *number));
    report_.Line(absl::StrCat("failed counter 0 ", number.status().ToString()));
  }
}

std::vector<uint32_t> Ordinals(uint32_t first, uint32_t end) {
  std::vector<uint32_t> ordinals;
  for (uint32_t row = first; row < end; ++row) ordinals.push_back(row);
  return ordinals;
}

void Scenario::DeleteRows(uint32_t dataset, uint32_t first, uint32_t end) {
  Attempt(
      absl::StrCat("delete-rows ", dataset, " ", first, " ", end),
      absl::StrCat("dataset ", dataset), [&]() -> absl::Status {
        WriteSet writes;
        BIF_RETURN_IF_ERROR(store_->samples().MarkDeleted(dataset, Ordinals(first, end), writes));
        return store_->catalog().Commit(writes);
      });
}

void Scenario::EraseRows(uint32_t dataset, uint32_t first, uint32_t end) {
  Attempt(absl::StrCat("erase-rows ", dataset, " ", first, " ", end),
          absl::StrCat("dataset ", dataset), [&]() -> absl::Status {
            WriteSet writes;
            BIF_RETURN_IF_ERROR(store_->samples().Erase(dataset, Ordinals(first, end), writes));
            BIF_RETURN_IF_ERROR(store_->samples().Compact(dataset, first, end - 1, CancelToken()));
            return store_->catalog().Commit(writes);
          });
}

void Scenario::DropPosterior(uint64_t posterior) {
  const auto drop = [&] {
    WriteSet writes;
    writes.Delete(storage::PosteriorKey(absl::StrCat(posterior)));
    writes.DeletePrefix(storage::DrawPrefix(posterior));
    writes.DeletePrefix(storage::TraceExtentPrefix(posterior));
    return store_->catalog().Commit(writes);
  };
  if (!Attempt(absl::StrCat("drop-posterior ", posterior), absl::StrCat("posterior ", posterior),
               drop)) {
    return;
  }
  // What fails here the next start does.
  store_->draws().DeletePosterior(posterior).IgnoreError();
  store_->traces().DeletePosterior(posterior).IgnoreError();
}

void Scenario::DropDataset(uint32_t dataset) {
  const auto drop = [&] {
    WriteSet writes;
    writes.Delete(storage::DatasetKey(absl::StrCat(dataset)));
    return store_->catalog().Commit(writes);
  };
  if (!Attempt(absl::StrCat("drop-dataset ", dataset), absl::StrCat("dataset ", dataset), drop))
    return;
  store_->samples().DeleteDataset(dataset).IgnoreError();
}

void Scenario::ReadBack(uint64_t posterior) {
  const PosteriorShape shape = ShapeOf(posterior);
  const uint32_t draws = draws_[posterior];
  if (draws == 0) return;
  std::vector<float> values(size_t{shape.slots} * draws);
  const absl::Status read = store_->traces().Read({posterior, kLosses, 1}, 0, 0, shape.slots, draws,
                                                  draws, 0, absl::MakeSpan(values));
  if (!read.ok()) return report_.Line(absl::StrCat("failed read ", read.ToString()));
  for (uint32_t s = 0; s < shape.slots; ++s) {
    for (uint32_t d = 0; d < draws; ++d) {
      if (values[size_t{s} * draws + d] != TraceCell(posterior, 0, s, d))
        return report_.Line(absl::StrCat("wrong trace of posterior ", posterior));
    }
  }
}

void Scenario::VerifyProgram(uint32_t program) {
  if (!blobs_.contains(program)) return;
  const absl::Status verified = store_->blobs().Verify(blobs_[program]);
  if (!verified.ok()) report_.Line(absl::StrCat("failed verify ", verified.ToString()));
}

void Scenario::RunSmall() {
  if (!Open()) return;
  AppendRows(1, 30);
  AppendRows(1, 10);
  AddProgram(1);
  RunSegment(1);
  RunSegment(1);
  AddRecord(1);
  DrawNumber();
  DeleteRows(1, 5, 8);
  EraseRows(1, 5, 8);
  RunSegment(2);
  DropPosterior(2);
  AppendRows(2, 5);
  DropDataset(2);
  if (!Reopen()) return;
  DeleteRows(1, 20, 21);
  AddRecord(2);
  VerifyProgram(1);
  ReadBack(1);
  RunSegment(1);
  AddProgram(2);
  DrawNumber();
  store_.reset();
}

void Scenario::RunTable() {
  if (!Open()) return;
  AppendRows(1, 5);
  RunSegment(100);
  AddRecord(1);
  if (!Reopen()) return;
  ReadBack(100);
  AddRecord(2);
  store_.reset();
}

void Scenario::RunRandom(uint64_t seed) {
  if (!Open()) return;
  std::mt19937_64 random(seed);
  uint32_t programs = 0, records = 0, next_posterior = 1, next_dataset = 2;
  std::set<uint64_t> posteriors;
  std::set<uint32_t> datasets;
  uint32_t deleted = 0, erased = 0;  // rows of dataset 1, from its beginning on
  AppendRows(1, 40);
  for (int step = 0; step < 40; ++step) {
    switch (random() % 14) {
      case 0:
      case 1:
        AppendRows(1, 1 + static_cast<int64_t>(random() % 60));
        break;
      case 2:
        AppendRows(next_dataset, 3);
        datasets.insert(next_dataset++);
        break;
      case 3:
        if (datasets.empty()) break;
        DropDataset(*datasets.begin());
        datasets.erase(datasets.begin());
        break;
      case 4:
        AddProgram(++programs);
        break;
      case 5:
        if (programs > 0) AddProgram(1 + static_cast<uint32_t>(random() % programs));  // once more
        break;
      case 6:
        AddRecord(++records);
        break;
      case 7:
        DrawNumber();
        break;
      case 8:
      case 9:
        posteriors.insert(next_posterior);
        RunSegment(next_posterior++);
        break;
      case 10:
        if (!posteriors.empty())
          RunSegment(
              *std::next(posteriors.begin(), static_cast<long>(random() % posteriors.size())));
        break;
      case 11: {
        if (posteriors.size() < 2) break;
        DropPosterior(*posteriors.begin());
        posteriors.erase(posteriors.begin());
        break;
      }
      case 12:
        if (erased < deleted) {
          EraseRows(1, erased, deleted);
          erased = deleted;
        } else if (rows_[1] >= deleted + 2) {
          DeleteRows(1, deleted, deleted + 2);
          deleted += 2;
        }
        break;
      case 13:
        // One in two starts anew, one in two writes a table file.
        if (random() % 2 == 0) {
          if (!Reopen()) return;
        } else if (!posteriors.contains(100)) {
          posteriors.insert(100);
          RunSegment(100);
        }
        break;
    }
  }
  store_.reset();
}

}  // namespace
}  // namespace bif::faults

int main(int argc, char** argv) {
  if (argc < 5) {
    std::fprintf(stderr,
                 "usage: storage_scenario ROOT REPORT small|table|random SEED [trusting]\n");
    return 2;
  }
  bif::faults::Report report(argv[2]);
  const bool trusting = argc > 5 && std::string(argv[5]) == "trusting";
  bif::faults::Scenario scenario(argv[1], report, trusting);
  if (std::string(argv[3]) == "small") {
    scenario.RunSmall();
  } else if (std::string(argv[3]) == "table") {
    scenario.RunTable();
  } else {
    scenario.RunRandom(std::strtoull(argv[4], nullptr, 10));
  }
  return 0;
}
