// Programs (what torch.export wrote) and checkpoints (a program plus one set of weights), named by
// their content.
//
// Files are copied into the blob store and checked by the engine before the catalog names them:
// what fails leaves nothing behind. Registering the same content again answers with what is there.
// Thread-safe; calls block on file I/O.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "src/base/clock.h"
#include "src/engine/engine.h"
#include "src/jobs/allowed_paths.h"
#include "src/jobs/pagination.h"
#include "src/jobs/request_ids.h"
#include "src/jobs/upload.h"
#include "src/jobs/weight_files.h"
#include "src/storage/store.h"

namespace bif::jobs {

struct ProgramSpec {
  RequestId request;
  std::string display_name;
  engine::LossKind loss = engine::LossKind::kCrossEntropy;
  std::string target_column;
  std::vector<engine::InputBinding> inputs;
  engine::SequenceSpec sequence;
};

struct Program {
  std::string name;  // programs/{digest12}
  std::string digest;
  std::string display_name;
  engine::LossKind loss = engine::LossKind::kCrossEntropy;
  std::string target_column;
  std::vector<engine::InputBinding> inputs;
  engine::SequenceSpec sequence;
  engine::ProgramInfo info;
  int64_t parameter_elements = 0;
  absl::Time create_time;
};

struct CheckpointSpec {
  RequestId request;
  std::string display_name;
  std::string program;  // a name
};

struct Checkpoint {
  std::string name;  // checkpoints/{digest12}
  std::string digest;
  std::string display_name;
  std::string program;  // a name
  int64_t parameter_elements = 0;
  absl::Time create_time;
};

struct ParameterSelection {
  struct Parameter {
    engine::ParameterInfo info;
    bool moves = false;
  };
  std::vector<Parameter> parameters;
  int64_t moving_elements = 0;
  int64_t total_elements = 0;
};

class Checkpoints {
 public:
  struct Options {
    int64_t max_file_bytes = int64_t{64} << 30;  // of one file
  };
  Checkpoints(storage::Store& store, engine::Engine& engine, const AllowedPaths& paths,
              Clock& clock, const Options& options);

  // For the Create... below.
  absl::StatusOr<std::unique_ptr<Upload>> NewUpload();

  absl::StatusOr<Program> CreateProgram(const ProgramSpec& spec, const std::string& path);
  absl::StatusOr<Program> CreateProgram(const ProgramSpec& spec, NamedUpload file);
  absl::StatusOr<Program> GetProgram(const std::string& name);
  absl::StatusOr<Page<Program>> ListPrograms(const PageRequest& page);
  // FAILED_PRECONDITION while a checkpoint needs it.
  absl::Status DeleteProgram(const std::string& name);

  // With the weights of the program's own archive; of safetensors at a path, which may be a file,
  // an index or a folder (FindWeightFiles); of uploaded files (CheckWeightFiles).
  absl::StatusOr<Checkpoint> CreateCheckpoint(const CheckpointSpec& spec);
  absl::StatusOr<Checkpoint> CreateCheckpoint(const CheckpointSpec& spec, const std::string& path);
  absl::StatusOr<Checkpoint> CreateCheckpoint(const CheckpointSpec& spec,
                                              std::vector<NamedUpload> files);
  absl::StatusOr<Checkpoint> GetCheckpoint(const std::string& name);
  absl::StatusOr<Page<Checkpoint>> ListCheckpoints(const PageRequest& page);
  // FAILED_PRECONDITION while a posterior needs it.
  absl::Status DeleteCheckpoint(const std::string& name);

  // What a filter selects; its field errors begin with "filter.".
  absl::StatusOr<ParameterSelection> ListParameters(const std::string& checkpoint,
                                                    const engine::ParameterFilter& filter);

  // --- for jobs ---
  // What the engine needs to load a checkpoint, by full digest.
  struct Sources {
    storage::pb::CheckpointRecord checkpoint;
    storage::pb::ProgramRecord program;
    engine::ProgramSource program_source;
    engine::WeightsSource weights_source;
    engine::ProgramInfo info;
  };
  absl::StatusOr<Sources> GetSources(const std::string& checkpoint_digest);
  absl::StatusOr<std::string> ResolveCheckpoint(const std::string& name,
                                                std::string_view field);  // full digest

  // Held by who makes or deletes a record that refers to another one, from the check to the commit.
  // Order: this lock before any other lock of src/jobs.
  absl::Mutex& reference_mutex() { return reference_mutex_; }

 private:
  absl::StatusOr<std::unique_ptr<Upload>> CopyIn(const std::string& canonical_path,
                                                 const std::string& name);
  absl::StatusOr<Checkpoint> Register(const CheckpointSpec& spec,
                                      const std::vector<NamedUpload>& files);
  absl::Status DeleteBlobIfUnused(const std::string& blob);

  storage::Store& store_;
  engine::Engine& engine_;
  const AllowedPaths& paths_;
  Clock& clock_;
  const Options options_;
  RequestIds request_ids_;
  absl::Mutex
      reference_mutex_;  // guards no member: makes "nothing refers to it, so delete it" one step
};

}  // namespace bif::jobs
