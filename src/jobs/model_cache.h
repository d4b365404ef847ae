// Models on the device, the ones used last. Confined to the device thread.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "src/engine/engine.h"
#include "src/jobs/checkpoints.h"
#include "src/storage/store.h"

namespace bif::jobs {

class ModelCache {
 public:
  struct Options {
    size_t max_models = 4;
    size_t max_training_sets = 2;
  };
  ModelCache(engine::Engine& engine, Checkpoints& checkpoints, storage::Store& store,
             const Options& options);

  // The checkpoint's model, loaded if need be. Whoever holds the pointer keeps the model, also when
  // the cache lets go.
  absl::StatusOr<std::shared_ptr<engine::Model>> GetModel(const std::string& checkpoint_digest);

  // A posterior's training rows on the device, in slot order, with the model that they belong to.
  struct TrainingRows {
    std::shared_ptr<engine::Model> model;
    std::shared_ptr<engine::ResidentRows> rows;  // keeps the model alive
  };
  absl::StatusOr<TrainingRows> GetTrainingRows(const storage::pb::PosteriorRecord& posterior);

  // Drops what the cache holds of a posterior's rows.
  void ForgetPosterior(const std::string& key);
  void Clear();

 private:
  template <typename Value>
  struct Entry {
    std::string key;
    Value value;
  };

  engine::Engine& engine_;
  Checkpoints& checkpoints_;
  storage::Store& store_;
  const Options options_;
  std::list<Entry<std::shared_ptr<engine::Model>>> models_;  // the one used last first
  std::list<Entry<TrainingRows>> training_;                  // the one used last first
};

}  // namespace bif::jobs
