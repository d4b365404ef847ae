#include "src/jobs/chores.h"

#include <string>
#include <utility>

#include "src/observe/log.h"

namespace bif::jobs {

Chores::Chores(absl::Duration period, std::vector<Chore> chores)
    : period_(period), chores_(std::move(chores)), thread_([this] {
        while (!stop_.WaitForNotificationWithTimeout(period_)) DoAll();
        DoAll();
      }) {}

Chores::~Chores() { Stop(); }

void Chores::Stop() {
  absl::MutexLock lock(&join_mutex_);
  if (!thread_.joinable()) return;
  stop_.Notify();
  thread_.join();
}

void Chores::DoAll() {
  for (const Chore& chore : chores_) {
    if (const absl::Status done = chore(); !done.ok())
      observe::LogWarning("a chore failed", {{"error", std::string(done.message())}});
  }
}

}  // namespace bif::jobs
