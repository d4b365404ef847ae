#include "tests/crash/served_daemon.h"

#include <signal.h>

#include <stdexcept>
#include <utility>

#include "absl/time/clock.h"
#include "client/error.h"

namespace bif::testing {

ServedDaemon::ServedDaemon(std::string data_directory, std::vector<std::string> flags)
    : data_directory_(std::move(data_directory)), flags_(std::move(flags)) {}

ServedDaemon::~ServedDaemon() { Close(); }

std::shared_ptr<client::Client> ServedDaemon::NewClient() const {
  client::ClientOptions options;
  options.server = process_->address();
  options.retry.max_attempts = 1;
  return std::make_shared<client::Client>(options);
}

void ServedDaemon::Start() {
  process_ = std::make_unique<DaemonProcess>(data_directory_, flags_);
  if (!process_->serving()) throw std::runtime_error("does not serve: " + process_->log());
  own_client_ = NewClient();
}

void ServedDaemon::LetIn() {
  absl::MutexLock lock(&mutex_);
  visitors_client_ = NewClient();
  answers_ = 0;
  ++starts_;
}

void ServedDaemon::Kill() {
  {
    absl::MutexLock lock(&mutex_);
    visitors_client_.reset();
  }
  own_client_.reset();
  process_->Signal(SIGKILL);
  const int code = process_->AwaitExit();
  if (code != 128 + SIGKILL) {
    throw std::runtime_error("the daemon ended by itself with " + std::to_string(code) + ": " +
                             process_->log());
  }
}

void ServedDaemon::KillWhileStarting(absl::Duration after) {
  process_ = std::make_unique<DaemonProcess>(data_directory_, flags_, DaemonProcess::Start::kOnly);
  absl::SleepFor(after);  // not to wait for something: this is the moment that was drawn
  Kill();
}

void ServedDaemon::StopInOrder() {
  {
    absl::MutexLock lock(&mutex_);
    visitors_client_.reset();
  }
  own_client_.reset();
  process_->Signal(SIGTERM);
  const int code = process_->AwaitExit();
  if (code != 0) throw std::runtime_error("did not stop in order: " + process_->log());
}

void ServedDaemon::Close() {
  absl::MutexLock lock(&mutex_);
  closed_ = true;
}

bool ServedDaemon::AwaitAnswers(int answers) {
  absl::MutexLock lock(&mutex_);
  const auto enough = [this, answers]()
                          ABSL_NO_THREAD_SAFETY_ANALYSIS { return answers_ >= answers || closed_; };
  return mutex_.AwaitWithTimeout(absl::Condition(&enough), absl::Minutes(2)) && !closed_;
}

client::Client& ServedDaemon::client() { return *own_client_; }

std::optional<ServedDaemon::Visit> ServedDaemon::Enter(int earliest_start) {
  absl::MutexLock lock(&mutex_);
  const auto open = [this, earliest_start]() ABSL_NO_THREAD_SAFETY_ANALYSIS {
    return closed_ || (visitors_client_ != nullptr && starts_ >= earliest_start);
  };
  if (!mutex_.AwaitWithTimeout(absl::Condition(&open), absl::Minutes(4)))
    throw std::runtime_error("a connection broke, and no daemon was started after that");
  if (closed_) return std::nullopt;
  return Visit{visitors_client_, starts_};
}

void ServedDaemon::Answered() {
  absl::MutexLock lock(&mutex_);
  ++answers_;
}

bool LostItsDaemon(const absl::Status& status) {
  return absl::IsUnavailable(status) && client::DetailsOf(status).reason.empty();
}

}  // namespace bif::testing
