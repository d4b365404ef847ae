#include "src/jobs/scrubber.h"

#include <string>
#include <utility>

#include "absl/time/clock.h"
#include "src/base/status.h"
#include "src/observe/log.h"
#include "src/storage/big_endian.h"

namespace bif::jobs {
namespace {

constexpr char kEnded[] = "scrub-ended";      // seconds since the Unix epoch
constexpr char kDamaged[] = "scrub-damaged";  // objects

absl::StatusOr<std::optional<uint64_t>> ReadNumber(storage::Catalog& catalog,
                                                   const std::string& name) {
  const absl::StatusOr<std::string> bytes = catalog.GetBytes(storage::CounterKey(name));
  if (absl::IsNotFound(bytes.status())) return std::nullopt;
  BIF_RETURN_IF_ERROR(bytes.status());
  if (bytes->size() != sizeof(uint64_t)) return std::nullopt;
  return storage::ReadBigEndian<uint64_t>(*bytes, 0);
}

void PutNumber(const std::string& name, uint64_t value, storage::WriteSet& writes) {
  std::string bytes;
  storage::AppendBigEndian(bytes, value);
  writes.PutBytes(storage::CounterKey(name), std::move(bytes));
}

}  // namespace

Scrubber::Scrubber(storage::Store& store, Clock& clock, const Options& options)
    : store_(store), clock_(clock), options_(options) {}

Scrubber::~Scrubber() { Stop(); }

absl::Status Scrubber::Recover() {
  BIF_ASSIGN_OR_RETURN(const auto ended, ReadNumber(store_.catalog(), kEnded));
  BIF_ASSIGN_OR_RETURN(const auto damaged, ReadNumber(store_.catalog(), kDamaged));
  if (!ended) return absl::OkStatus();
  absl::MutexLock lock(&mutex_);
  last_ = {absl::FromUnixSeconds(static_cast<int64_t>(*ended)),
           static_cast<int64_t>(damaged.value_or(0))};
  return absl::OkStatus();
}

absl::Status Scrubber::StartIfDue() {
  if (options_.period <= absl::ZeroDuration()) return absl::OkStatus();
  absl::MutexLock lock(&mutex_);
  const bool due = !last_ || clock_.Now() >= last_->end + options_.period;
  if (!due || background_ || asked_ > 0 || stopped_) return absl::OkStatus();
  if (thread_.joinable()) thread_.join();  // it has ended
  background_.emplace();
  thread_ = std::thread([this, cancel = *background_] { RunInBackground(cancel); });
  return absl::OkStatus();
}

void Scrubber::RunInBackground(const CancelToken& cancel) {
  storage::CheckOptions options;
  options.bytes_per_second = options_.bytes_per_second;
  options.cancel = cancel;
  const absl::Status status = RunAndKeep(options).status();
  if (!status.ok() && !absl::IsCancelled(status) && !absl::IsFailedPrecondition(status))
    observe::LogError("the scrub could not go on", {{"error", std::string(status.message())}});
  absl::MutexLock lock(&mutex_);
  background_.reset();
}

absl::StatusOr<storage::CheckSummary> Scrubber::Run(const storage::CheckOptions& options) {
  {
    absl::MutexLock lock(&mutex_);
    ++asked_;
    if (background_) background_->Cancel();
  }
  WaitUntilIdle();
  absl::StatusOr<storage::CheckSummary> summary = RunAndKeep(options);
  {
    absl::MutexLock lock(&mutex_);
    --asked_;
  }
  if (!summary.ok() && stopped_)
    return absl::UnavailableError("the server is stopping; scrub again when it is back");
  return summary;
}

absl::StatusOr<storage::CheckSummary> Scrubber::RunAndKeep(storage::CheckOptions options) {
  const absl::Time start = absl::Now();
  options.on_progress = [this, cancel = options.cancel,
                         also = options.on_progress](const storage::CheckSummary& summary) mutable {
    ++objects_;
    if (stopped_) cancel.Cancel();
    if (also) also(summary);
  };
  options.on_damage = [also = options.on_damage](const storage::Damage& damage) {
    observe::LogError(
        "stored data is damaged",
        {{"object", damage.object}, {"problem", damage.problem}, {"do", damage.advice}});
    if (also) also(damage);
  };
  BIF_ASSIGN_OR_RETURN(const storage::CheckSummary summary, store_.Scrub(options));
  observe::LogInfo("scrub ended", {{"objects", summary.objects},
                                   {"bytes", summary.bytes},
                                   {"damaged", summary.damaged},
                                   {"seconds", absl::ToDoubleSeconds(absl::Now() - start)}});
  const absl::Time end = clock_.Now();
  storage::WriteSet writes;
  PutNumber(kEnded, static_cast<uint64_t>(absl::ToUnixSeconds(end)), writes);
  PutNumber(kDamaged, static_cast<uint64_t>(summary.damaged), writes);
  {
    absl::MutexLock lock(&mutex_);
    last_ = {end, summary.damaged};
  }
  BIF_RETURN_IF_ERROR(store_.catalog().Commit(writes));
  return summary;
}

void Scrubber::WaitUntilIdle() {
  absl::MutexLock lock(&mutex_);
  const auto idle = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !background_; };
  mutex_.Await(absl::Condition(&idle));
}

void Scrubber::Stop() {
  stopped_ = true;
  std::thread thread;
  {
    absl::MutexLock lock(&mutex_);
    if (background_) background_->Cancel();
    thread = std::move(thread_);
  }
  if (thread.joinable()) thread.join();
}

std::optional<Scrubber::Last> Scrubber::last() const {
  absl::MutexLock lock(&mutex_);
  return last_;
}

}  // namespace bif::jobs
