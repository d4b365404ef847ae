// Append-only, ordered collections of samples.
//
// All rows of one append or import become visible together, or none. One append a dataset at a time
// (a second one waits for its commit only: rows are collected outside the lock). Thread-safe; calls
// block on storage I/O.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "src/base/cancel.h"
#include "src/base/clock.h"
#include "src/jobs/allowed_paths.h"
#include "src/jobs/pagination.h"
#include "src/jobs/request_ids.h"
#include "src/jobs/samples.h"
#include "src/jobs/upload.h"
#include "src/storage/store.h"

namespace bif::jobs {

struct DatasetSpec {
  RequestId request;
  std::string id;  // [a-z][a-z0-9-]{0,62}, behind its tenant
  std::string display_name;
  std::vector<TensorSpec> columns;
};

struct Dataset {
  std::string name;  // datasets/{id}
  std::string id;
  std::string display_name;
  std::vector<TensorSpec> columns;
  int64_t samples = 0;  // that are alive
  std::string digest;   // SHA-256 over ids and contents of the living samples, in order
  absl::Time create_time;
  uint32_t number = 0;  // in storage keys
  int64_t rows = 0;     // ordinals taken, the deleted ones too
};

struct StoredSample {
  Sample sample;  // tensors only where they were asked for
  std::string name;
  std::string digest;
};

// Files on the server to read samples from. Paths lie below an allowed root.
struct IdxFiles {
  struct File {
    std::string column;
    std::string path;
  };
  std::vector<File> files;
};
struct CifarRecords {
  std::vector<std::string> paths;
  std::string image_column;
  std::string label_column;
};
struct SafetensorsColumns {
  std::string path;
};
struct ImportSpec {
  RequestId request;
  std::string dataset;  // a name
  std::variant<IdxFiles, CifarRecords, SafetensorsColumns> source;
  std::string id_prefix;  // row r gets the id id_prefix + (first_id + r)
  int64_t first_id = 0;
  int64_t skip_rows = 0;
  int64_t max_rows = 0;  // 0: all
};

struct AppendResult {
  int64_t appended = 0;
  Dataset dataset;
};

class Datasets {
 public:
  struct Options {
    int64_t max_append_bytes = int64_t{1} << 30;  // one append session holds its rows in memory
    int64_t max_file_bytes = int64_t{64} << 30;   // of one uploaded file
    // Whether a tenant may store so much more. Empty: they may.
    std::function<absl::Status(const std::string& tenant, int64_t bytes)> admit_bytes;
  };
  Datasets(storage::Store& store, const AllowedPaths& paths, Clock& clock,
           absl::Mutex& reference_mutex, const Options& options);

  // ALREADY_EXISTS if the id is taken by another body.
  absl::StatusOr<Dataset> Create(const DatasetSpec& spec);
  absl::StatusOr<Dataset> Get(const std::string& name);
  absl::StatusOr<Page<Dataset>> List(const PageRequest& page);
  // FAILED_PRECONDITION while a posterior was sampled on it. Traces of its samples at other
  // posteriors go with it.
  absl::Status Delete(const std::string& name);

  // Rows on their way into a dataset. Dropped before Commit, it leaves nothing behind.
  // Thread-compatible.
  class Append {
   public:
    // Checks the samples and keeps them; after an error the session is dead.
    absl::Status Add(absl::Span<const Sample> samples);
    absl::Status Add(SampleBatch batch, std::vector<std::string> ids);
    absl::StatusOr<AppendResult> Commit();

   private:
    friend class Datasets;
    Datasets* datasets_ = nullptr;
    RequestId request_;
    std::string dataset_id_;
    std::vector<TensorSpec> columns_;
    std::vector<std::string> ids_;
    absl::flat_hash_set<std::string> known_ids_;
    SampleBatch rows_;
    int64_t bytes_ = 0;
    absl::Status dead_;
  };
  absl::StatusOr<std::unique_ptr<Append>> StartAppend(const RequestId& request,
                                                      const std::string& dataset);

  // All or nothing. The spec's paths are the server's, below an allowed root.
  absl::StatusOr<AppendResult> Import(const ImportSpec& spec);
  // The same from files that came with the request: the spec's paths are their names.
  absl::StatusOr<AppendResult> Import(const ImportSpec& spec, absl::Span<const NamedUpload> files);
  absl::StatusOr<std::unique_ptr<Upload>> NewUpload();

  absl::StatusOr<StoredSample> GetSample(const std::string& name);  // datasets/{id}/samples/{id}
  // With their tensors if max_tensor_bytes is not 0; then the page ends before a sample that would
  // make it larger, but never before its first.
  absl::StatusOr<Page<StoredSample>> ListSamples(const std::string& dataset,
                                                 const PageRequest& page, int64_t max_tensor_bytes);
  // Removes samples from every answer at once. NOT_FOUND, and nothing is deleted, if an id is
  // unknown.
  absl::StatusOr<int64_t> DeleteSamples(const std::string& dataset,
                                        const std::vector<std::string>& sample_ids);
  // Gives back the bytes of a dataset's deleted samples, but of those that a posterior was sampled
  // with: it needs them to go on. Blocks while files are rewritten; one call at a time. Repeating
  // it is harmless, also after a crash or when it was cancelled.
  absl::Status EraseDeleted(const std::string& id, const CancelToken& cancel);
  // Called with a dataset's id when EraseDeleted may find something to do. To be set before use.
  void OnErasable(std::function<void(const std::string& id)> listener);

  // --- for jobs ---
  // A posterior on the dataset is gone.
  void Released(const std::string& id);
  absl::StatusOr<storage::pb::DatasetRecord> Record(const std::string& name,
                                                    std::string_view field);
  // Ordinals of ids, in that order. NOT_FOUND names the first unknown one.
  absl::StatusOr<std::vector<uint32_t>> OrdinalsOf(const storage::pb::DatasetRecord& dataset,
                                                   const std::vector<std::string>& sample_ids);
  // Ordinals of all living samples, ascending.
  absl::StatusOr<std::vector<uint32_t>> LivingOrdinals(const storage::pb::DatasetRecord& dataset);
  // The digest over the living samples; computed once and kept in the record.
  absl::StatusOr<std::string> DigestOf(const storage::pb::DatasetRecord& dataset);

  // A dataset that no listing shows (inline queries), made if it is missing. `id` is none that a
  // user can choose: it begins with '_'. Its samples are indexed by digest.
  absl::StatusOr<storage::pb::DatasetRecord> EnsureHidden(const std::string& id,
                                                          const std::vector<TensorSpec>& columns);
  // Appends to a hidden dataset; gives the first new ordinal.
  absl::StatusOr<uint32_t> AppendHidden(const std::string& id, const SampleBatch& rows,
                                        const std::vector<std::string>& ids);

 private:
  // What an append or import goes through: the lock, the record, `write` (which stores rows from
  // record.rows() on), and one commit.
  struct Written {
    int64_t rows = 0;
    int64_t bytes = 0;
  };
  using WriteRows = std::function<absl::StatusOr<Written>(const storage::pb::DatasetRecord& record,
                                                          storage::WriteSet& writes)>;
  // Whether the dataset's tenant may store so much more.
  absl::Status AdmitBytes(const std::string& id, int64_t bytes) const;
  // The file that may be read where the spec says `path`; `field` said so.
  using ResolvePath =
      std::function<absl::StatusOr<std::string>(const std::string& path, const std::string& field)>;
  absl::StatusOr<AppendResult> ImportFrom(const ImportSpec& spec, const Digest& body,
                                          const ResolvePath& resolve);
  absl::StatusOr<AppendResult> Grow(const RequestId& request, const Digest& body,
                                    const std::string& id, const WriteRows& write);
  // Reads the tensors of the items, which lie at these ordinals, until they are larger than
  // max_bytes. Gives how many are below it, at least 1.
  absl::StatusOr<size_t> ReadTensors(uint32_t dataset_number, const std::vector<uint32_t>& ordinals,
                                     int64_t max_bytes, std::vector<StoredSample>& items);
  absl::StatusOr<storage::pb::DatasetRecord> RecordById(const std::string& id);
  absl::StatusOr<Dataset> View(const storage::pb::DatasetRecord& record);
  absl::Mutex& LockOf(uint32_t dataset_number);

  storage::Store& store_;
  const AllowedPaths& paths_;
  Clock& clock_;
  absl::Mutex& reference_mutex_;  // Checkpoints::reference_mutex
  const Options options_;
  RequestIds request_ids_;
  std::function<void(const std::string&)> on_erasable_;
  absl::Mutex locks_mutex_;  // guards the map; the locks in it make one writer a dataset
  absl::flat_hash_map<uint32_t, std::unique_ptr<absl::Mutex>> locks_ ABSL_GUARDED_BY(locks_mutex_);
};

}  // namespace bif::jobs
