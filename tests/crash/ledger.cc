#include "tests/crash/ledger.h"

#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace bif::testing {
namespace {

namespace v1 = ::bif::v1;

constexpr char kGone[] = "";

// Of a done operation: how it ended. Its response is the resource as it is now, which may go on
// changing.
std::string EndOf(const Ledger::Operation& operation) {
  return operation.has_error() ? operation.error().SerializeAsString() : "as it was asked to";
}

}  // namespace

void Ledger::Started(const std::string& request_id, const std::string& operation, Repeat repeat) {
  absl::MutexLock lock(&mutex_);
  const auto [known, is_new] = request_ids_.emplace(request_id, operation);
  if (!is_new && known->second != operation) {
    faults_.push_back(absl::StrCat(request_id, " started ", known->second, " and ", operation));
    return;
  }
  Known& entry = operations_[operation];
  entry.request_id = request_id;
  entry.repeat = std::move(repeat);
}

void Ledger::Ended(const Operation& operation) {
  absl::MutexLock lock(&mutex_);
  Known& entry = operations_[operation.name()];
  entry.done = true;
  entry.end = EndOf(operation);
}

void Ledger::Forgotten(const std::string& operation) {
  absl::MutexLock lock(&mutex_);
  operations_[operation].forgotten = true;
}

void Ledger::Is(const std::string& name, const std::string& state) {
  absl::MutexLock lock(&mutex_);
  states_[name] = state;
}

void Ledger::Changing(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  states_.erase(name);
}

void Ledger::Gone(const std::string& name) {
  absl::MutexLock lock(&mutex_);
  states_[name] = kGone;
}

void Ledger::Answer(const std::string& question, const std::string& answer) {
  absl::MutexLock lock(&mutex_);
  const auto [known, is_new] = answers_.emplace(question, answer);
  if (!is_new && known->second != answer)
    faults_.push_back(absl::StrCat(question, " was answered in two ways"));
}

absl::StatusOr<std::string> Ledger::StateOf(client::Client& client, const std::string& name) {
  if (absl::StartsWith(name, "datasets/")) {
    const absl::StatusOr<v1::Dataset> dataset = client.GetDataset(name);
    if (!dataset.ok()) return dataset.status();
    return absl::StrCat(dataset->samples(), " samples ", dataset->digest());
  }
  const absl::StatusOr<v1::Posterior> posterior = client.GetPosterior(name);
  if (!posterior.ok()) return posterior.status();
  return absl::StrCat(v1::PosteriorState_Name(posterior->state()), " ",
                      posterior->draws_per_chain(), " draws");
}

void Ledger::CheckOperations(client::Client& client, std::vector<std::string>& faults) const {
  for (const auto& [name, known] : operations_) {
    if (known.forgotten) continue;
    const absl::StatusOr<Operation> operation = client.GetOperation(name);
    if (!operation.ok()) {
      faults.push_back(
          absl::StrCat(name, " (", known.request_id, ") is lost: ", operation.status().ToString()));
      continue;
    }
    if (known.done && (!operation->done() || EndOf(*operation) != known.end))
      faults.push_back(absl::StrCat(name, " (", known.request_id, ") had ended otherwise"));
    const absl::StatusOr<Operation> again = known.repeat(client);
    if (!again.ok()) {
      faults.push_back(
          absl::StrCat(known.request_id, ", asked again, is refused: ", again.status().ToString()));
    } else if (again->name() != name) {
      faults.push_back(
          absl::StrCat(known.request_id, " was ", name, " and became ", again->name()));
    }
  }
}

void Ledger::CheckResources(client::Client& client, std::vector<std::string>& faults) const {
  for (const auto& [name, state] : states_) {
    const absl::StatusOr<std::string> now = StateOf(client, name);
    if (state == kGone) {
      if (!absl::IsNotFound(now.status())) faults.push_back(name + " was deleted and is there");
    } else if (!now.ok()) {
      faults.push_back(absl::StrCat(name, " is lost: ", now.status().ToString()));
    } else if (*now != state) {
      faults.push_back(absl::StrCat(name, " was ", state, " and is ", *now));
    }
  }
}

void Ledger::CheckListing(client::Client& client, std::vector<std::string>& faults) const {
  std::set<std::string> listed;
  google::longrunning::ListOperationsRequest request;
  do {
    const auto page = client.ListOperations(request);
    if (!page.ok()) {
      faults.push_back("operations cannot be listed: " + page.status().ToString());
      return;
    }
    for (const Operation& operation : page->operations()) {
      if (!listed.insert(operation.name()).second)
        faults.push_back(operation.name() + " is listed twice");
      if (!operation.done()) faults.push_back(operation.name() + " has not ended");
      if (!operations_.contains(operation.name()))
        faults.push_back("nobody asked for " + operation.name());
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  for (const auto& [name, known] : operations_) {
    if (known.forgotten == listed.contains(name))
      faults.push_back(name + (known.forgotten ? " is listed" : " is not listed"));
  }
}

std::vector<std::string> Ledger::Check(client::Client& client, bool all_answered) {
  absl::ReaderMutexLock lock(&mutex_);
  std::vector<std::string> faults = faults_;
  CheckOperations(client, faults);
  CheckResources(client, faults);
  if (all_answered) CheckListing(client, faults);
  return faults;
}

std::vector<std::string> Ledger::faults() const {
  absl::ReaderMutexLock lock(&mutex_);
  return faults_;
}

std::map<std::string, std::string> Ledger::answers() const {
  absl::ReaderMutexLock lock(&mutex_);
  return answers_;
}

size_t Ledger::unfinished() const {
  absl::ReaderMutexLock lock(&mutex_);
  size_t count = 0;
  for (const auto& [name, known] : operations_) count += known.done ? 0 : 1;
  return count;
}

size_t Ledger::ended() const {
  absl::ReaderMutexLock lock(&mutex_);
  size_t count = 0;
  for (const auto& [name, known] : operations_) count += known.done ? 1 : 0;
  return count;
}

size_t Ledger::resources() const {
  absl::ReaderMutexLock lock(&mutex_);
  return states_.size();
}

size_t Ledger::gone() const {
  absl::ReaderMutexLock lock(&mutex_);
  size_t count = 0;
  for (const auto& [name, state] : states_) count += state == kGone ? 1 : 0;
  return count;
}

}  // namespace bif::testing
