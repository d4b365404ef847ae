// What a daemon has acknowledged, remembered where nobody breaks it: in the test's memory. Asked
// after each restart, it says in sentences what was lost or done twice.
//
// Thread-safe. Lanes write down an answer right after they got it; a change that was asked for and
// not answered yet may have happened or not, so nothing is said about what it touches.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "client/client.h"

namespace bif::testing {

class Ledger {
 public:
  using Operation = google::longrunning::Operation;
  // The call that started an operation, made again with the same request id.
  using Repeat = std::function<absl::StatusOr<Operation>(client::Client&)>;

  void Started(const std::string& request_id, const std::string& operation, Repeat repeat);
  void Ended(const Operation& operation);
  void Forgotten(const std::string& operation);  // DeleteOperation is about to be asked for

  // From now on a resource is as `state` says (StateOf), until one of the other two.
  void Is(const std::string& name, const std::string& state);
  void Changing(const std::string& name);  // a change is about to be asked for
  void Gone(const std::string& name);

  // The answer to a question whose answer must not depend on when it is asked.
  void Answer(const std::string& question, const std::string& answer);

  // Everything that the daemon behind `client` should still know, one sentence for what it does
  // not. With `all_answered` no call is under way: then no operation may be there that nobody asked
  // for.
  std::vector<std::string> Check(client::Client& client, bool all_answered);

  // What was noticed as things were written down; part of what Check gives.
  std::vector<std::string> faults() const;
  // By question, for comparison with another run.
  std::map<std::string, std::string> answers() const;
  size_t unfinished() const;  // operations whose end has not been heard
  size_t ended() const;
  size_t resources() const;
  size_t gone() const;

  // What a resource is like, as far as it must survive: a dataset's digest; a posterior's state and
  // draws.
  static absl::StatusOr<std::string> StateOf(client::Client& client, const std::string& name);

 private:
  struct Known {
    std::string request_id;
    Repeat repeat;
    bool done = false;
    std::string end;  // of a done one
    bool forgotten = false;
  };
  void CheckOperations(client::Client& client, std::vector<std::string>& faults) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void CheckResources(client::Client& client, std::vector<std::string>& faults) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void CheckListing(client::Client& client, std::vector<std::string>& faults) const
      ABSL_SHARED_LOCKS_REQUIRED(mutex_);

  mutable absl::Mutex mutex_;                                               // guards all of it
  std::map<std::string, Known> operations_ ABSL_GUARDED_BY(mutex_);         // by name
  std::map<std::string, std::string> request_ids_ ABSL_GUARDED_BY(mutex_);  // to names
  std::map<std::string, std::string> states_ ABSL_GUARDED_BY(mutex_);       // empty: gone
  std::map<std::string, std::string> answers_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::string> faults_ ABSL_GUARDED_BY(mutex_);  // noticed as things were written down
};

}  // namespace bif::testing
