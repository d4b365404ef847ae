#include "tests/faults/history.h"

#include <sstream>
#include <stdexcept>

namespace bif::faults {
namespace {

void Advance(Progress& progress, uint64_t value, bool acknowledged) {
  if (!acknowledged) {
    progress.attempted.insert(value);
    return;
  }
  progress.acknowledged = value;
  progress.attempted.clear();
}

template <typename Key>
void Set(std::map<Key, Done>& done, const Key& key, bool acknowledged) {
  Done& now = done.emplace(key, Done::kAttempted).first->second;
  if (acknowledged) now = Done::kAcknowledged;
}

void Apply(History& history, const std::string& verb, std::istringstream& words,
           bool acknowledged) {
  uint64_t subject = 0, first = 0, second = 0;
  words >> subject >> first >> second;
  if (verb == "rows") {
    Advance(history.rows[subject], first, acknowledged);
  } else if (verb == "segment") {
    Advance(history.segments[subject], first, acknowledged);
  } else if (verb == "program") {
    Set(history.programs, subject, acknowledged);
  } else if (verb == "record") {
    Set(history.records, subject, acknowledged);
  } else if (verb == "counter") {
    if (acknowledged) history.counter = subject;
  } else if (verb == "delete-rows") {
    Set(history.deleted[subject], {first, second}, acknowledged);
  } else if (verb == "erase-rows") {
    Set(history.erased[subject], {first, second}, acknowledged);
  } else if (verb == "drop-posterior") {
    Set(history.dropped_posteriors, subject, acknowledged);
  } else if (verb == "drop-dataset") {
    Set(history.dropped_datasets, subject, acknowledged);
  } else if (verb != "open") {
    throw std::runtime_error("the scenario's report has an unknown verb '" + verb + "'");
  }
}

}  // namespace

int History::AllAcknowledged() const {
  int all = 0;
  for (const auto& [verb, count] : acknowledged) all += count;
  return all;
}

History ParseHistory(std::string_view text) {
  History history;
  const size_t end = text.rfind('\n');
  std::istringstream lines(std::string(text.substr(0, end == text.npos ? 0 : end)));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string outcome, verb;
    words >> outcome >> verb;
    if (outcome == "try") {
      Apply(history, verb, words, false);
    } else if (outcome == "ok") {
      Apply(history, verb, words, true);
      ++history.acknowledged[verb];
    } else if (outcome == "failed") {
      history.failures.push_back(line);
    } else if (outcome == "wrong") {
      history.wrong.push_back(line);
    } else {
      throw std::runtime_error("the scenario's report has a line '" + line + "'");
    }
  }
  return history;
}

}  // namespace bif::faults
