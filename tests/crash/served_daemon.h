// A daemon that is broken and started again on the same directory, while clients come and go: one
// thread breaks it, any number of others visit it.
//
// After a start nobody is let in until LetIn, so that what survived can be looked at in peace.
#pragma once

#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/client.h"
#include "tests/integration/daemon_process.h"

namespace bif::testing {

class ServedDaemon {
 public:
  ServedDaemon(std::string data_directory, std::vector<std::string> flags);
  ~ServedDaemon();

  // --- For the thread that breaks it. What cannot be done throws.
  void Start();
  void LetIn();
  void Kill();  // kill -9. Throws if the process had ended by itself
  // Starts it, and kills it so much later, wherever it has got to by then.
  void KillWhileStarting(absl::Duration after);
  void StopInOrder();  // SIGTERM
  // From now on Enter gives nothing.
  void Close();
  // Blocks until visitors have had so many answers since LetIn. False: not within two minutes.
  bool AwaitAnswers(int answers);
  client::Client& client();  // of its own, after Start
  DaemonProcess& process() { return *process_; }
  const std::string& data_directory() const { return data_directory_; }

  // --- For visitors. Thread-safe.
  struct Visit {
    std::shared_ptr<client::Client> client;  // makes each call once
    int start = 0;                           // number of the start that it belongs to
  };
  // Waits for a daemon of this start or of a later one. Nothing after Close; throws if there is
  // none within four minutes, because somebody waits for a kill that will not come.
  std::optional<Visit> Enter(int earliest_start);
  void Answered();

 private:
  std::shared_ptr<client::Client> NewClient() const;

  const std::string data_directory_;
  const std::vector<std::string> flags_;
  std::unique_ptr<DaemonProcess> process_;
  std::shared_ptr<client::Client> own_client_;
  absl::Mutex mutex_;  // guards what visitors see
  std::shared_ptr<client::Client> visitors_client_ ABSL_GUARDED_BY(mutex_);
  int starts_ ABSL_GUARDED_BY(mutex_) = 0;
  int answers_ ABSL_GUARDED_BY(mutex_) = 0;
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

// What a lane throws that finds nobody to visit any more.
struct NobodyServes : std::exception {};

// Whether a call ended because its daemon did, so that nobody knows whether it was carried out.
bool LostItsDaemon(const absl::Status& status);

}  // namespace bif::testing
