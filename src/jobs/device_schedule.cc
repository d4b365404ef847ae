#include "src/jobs/device_schedule.h"

#include <algorithm>
#include <utility>

namespace bif::jobs {

const char* PriorityName(Priority priority) {
  switch (priority) {
    case Priority::kInteractive:
      return "interactive";
    case Priority::kTrace:
      return "trace";
    case Priority::kSampling:
      return "sampling";
  }
  return "unknown";
}

void DeviceSchedule::SetWeight(const std::string& tenant, double weight) {
  accounts_[tenant].weight = weight;
}

void DeviceSchedule::Add(Id id, const DeviceClaim& claim, absl::Time now) {
  ++accounts_[claim.tenant].claims;
  Insert({id, claim, now}, false);
}

void DeviceSchedule::Insert(Waiting waiting, bool returns) {
  Class& in = classes_[static_cast<size_t>(waiting.claim.priority)];
  if (in.round.empty()) in.since = waiting.since;
  const auto [queue, is_new] = in.queues.try_emplace(waiting.claim.tenant);
  if (is_new) in.round.insert(returns ? in.round.begin() : in.round.end(), waiting.claim.tenant);
  const bool goes_on = returns && waiting.claim.priority != Priority::kInteractive;
  const int rank = waiting.claim.rank;
  const auto place =
      std::find_if(queue->second.begin(), queue->second.end(), [&](const Waiting& other) {
        return goes_on ? other.claim.rank <= rank : other.claim.rank < rank;
      });
  queue->second.insert(place, std::move(waiting));
  ++waiting_;
}

DeviceSchedule::Turn DeviceSchedule::TakeFrom(Class& in, const std::string& tenant, size_t place,
                                              absl::Time now) {
  const auto queue = in.queues.find(tenant);
  const auto taken = queue->second.begin() + static_cast<std::ptrdiff_t>(place);
  Turn turn{taken->id, std::move(taken->claim), now - taken->since};
  queue->second.erase(taken);
  --waiting_;
  if (queue->second.empty()) {
    in.round.erase(std::find(in.round.begin(), in.round.end(), turn.claim.tenant));
    in.queues.erase(queue);
  }
  return turn;
}

std::optional<DeviceSchedule::Turn> DeviceSchedule::Take(Id id, absl::Time now) {
  for (Class& in : classes_) {
    for (const auto& [tenant, queue] : in.queues) {
      for (size_t place = 0; place < queue.size(); ++place) {
        if (queue[place].id == id) return TakeFrom(in, std::string(tenant), place, now);
      }
    }
  }
  return std::nullopt;
}

DeviceSchedule::Class* DeviceSchedule::ClassInTurn(absl::Time now) {
  if (aged_ != nullptr && aged_left_ > absl::ZeroDuration() && !aged_->round.empty()) return aged_;
  aged_ = nullptr;
  Class* first = nullptr;
  for (Class& in : classes_) {
    if (in.round.empty()) continue;
    if (first == nullptr) first = &in;
    const bool old = now - in.since >= options_.longest_wait;
    if (old && (aged_ == nullptr || in.since < aged_->since)) aged_ = &in;
  }
  if (aged_ == nullptr || aged_ == first) {
    aged_ = nullptr;
    return first;
  }
  aged_left_ = options_.quantum;
  return aged_;
}

// The first of the round that may use time; whoever may not gets a quantum and goes behind the
// others.
const std::string& DeviceSchedule::TenantInTurn(Class& in) {
  while (true) {
    Account& account = accounts_[in.round.front()];
    if (account.deficit > absl::ZeroDuration()) return in.round.front();
    account.deficit += options_.quantum * account.weight;
    in.round.push_back(std::move(in.round.front()));
    in.round.pop_front();
  }
}

std::optional<DeviceSchedule::Turn> DeviceSchedule::Next(absl::Time now) {
  Class* const in = ClassInTurn(now);
  if (in == nullptr) return std::nullopt;
  return TakeFrom(*in, std::string(TenantInTurn(*in)), 0, now);
}

void DeviceSchedule::Charge(const std::string& tenant, absl::Duration used) {
  accounts_[tenant].deficit -= used;
}

void DeviceSchedule::EndTurn(const Turn& turn, absl::Duration used, bool more, absl::Time now) {
  Class& in = classes_[static_cast<size_t>(turn.claim.priority)];
  in.since = now;
  if (&in == aged_) aged_left_ -= used;
  if (more) {
    Insert({turn.id, turn.claim, now}, true);
    return;
  }
  Account& account = accounts_[turn.claim.tenant];
  // Who has nothing to do saves nothing up, but a debt stays.
  if (--account.claims == 0) account.deficit = std::min(account.deficit, absl::ZeroDuration());
}

size_t DeviceSchedule::waiting(Priority priority) const {
  size_t count = 0;
  for (const auto& [tenant, queue] : classes_[static_cast<size_t>(priority)].queues)
    count += queue.size();
  return count;
}

}  // namespace bif::jobs
