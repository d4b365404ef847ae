#include "src/jobs/model_cache.h"

#include <utility>

#include "src/base/status.h"
#include "src/jobs/posteriors.h"

namespace bif::jobs {
namespace {

// Moves the entry with this key to the front, and gives it; nullptr if there is none.
template <typename List>
auto* Touch(List& list, const std::string& key) {
  for (auto entry = list.begin(); entry != list.end(); ++entry) {
    if (entry->key != key) continue;
    list.splice(list.begin(), list, entry);
    return &list.front().value;
  }
  return static_cast<decltype(&list.front().value)>(nullptr);
}

template <typename List>
void KeepAtMost(List& list, size_t count) {
  while (list.size() > count) list.pop_back();
}

}  // namespace

ModelCache::ModelCache(engine::Engine& engine, Checkpoints& checkpoints, storage::Store& store,
                       const Options& options)
    : engine_(engine), checkpoints_(checkpoints), store_(store), options_(options) {}

absl::StatusOr<std::shared_ptr<engine::Model>> ModelCache::GetModel(
    const std::string& checkpoint_digest) {
  if (auto* known = Touch(models_, checkpoint_digest)) return *known;
  BIF_ASSIGN_OR_RETURN(const Checkpoints::Sources sources,
                       checkpoints_.GetSources(checkpoint_digest));
  KeepAtMost(models_, options_.max_models > 0 ? options_.max_models - 1
                                              : 0);  // memory is freed before it is taken
  BIF_ASSIGN_OR_RETURN(std::shared_ptr<engine::Model> model,
                       engine_.LoadModel(sources.program_source, sources.weights_source));
  models_.push_front({checkpoint_digest, model});
  return model;
}

absl::StatusOr<ModelCache::TrainingRows> ModelCache::GetTrainingRows(
    const storage::pb::PosteriorRecord& posterior) {
  if (auto* known = Touch(training_, posterior.key())) return *known;
  KeepAtMost(training_, options_.max_training_sets > 0 ? options_.max_training_sets - 1 : 0);
  TrainingRows rows;
  BIF_ASSIGN_OR_RETURN(rows.model, GetModel(posterior.checkpoint()));
  BIF_ASSIGN_OR_RETURN(const auto dataset, store_.catalog().Get<storage::pb::DatasetRecord>(
                                               storage::DatasetKey(posterior.dataset())));
  BIF_ASSIGN_OR_RETURN(
      const SampleBatch batch,
      store_.samples().Read(dataset.number(), Posteriors::TrainingOrdinals(posterior)));
  BIF_ASSIGN_OR_RETURN(std::unique_ptr<engine::ResidentRows> resident, rows.model->Upload(batch));
  // The rows' deleter holds the model: rows must not outlive it.
  rows.rows = std::shared_ptr<engine::ResidentRows>(
      resident.release(), [model = rows.model](engine::ResidentRows* owned) { delete owned; });
  training_.push_front({posterior.key(), rows});
  return rows;
}

void ModelCache::ForgetPosterior(const std::string& key) {
  training_.remove_if([&key](const Entry<TrainingRows>& entry) { return entry.key == key; });
}

void ModelCache::Clear() {
  training_.clear();
  models_.clear();
}

}  // namespace bif::jobs
