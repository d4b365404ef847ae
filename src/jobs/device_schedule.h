// Who has the device next: the policy of DeviceExecutor, without threads and without a clock of its
// own.
//
//   1. Interactive claims before traces before sampling.
//   2. But a class that has had no turn for `longest_wait` goes before the others, for one quantum.
//   3. Within a class, tenants share device time by their weights: deficit round robin (Shreedhar
//      and Varghese, SIGCOMM 1995), with the time that a step took as the size of a packet. What is
//      used in one class counts in the others. Time is known only after a step, so a share is off
//      by at most one step and one quantum, however long it runs.
//   4. Within a tenant, the higher rank first. Of one rank, interactive claims take turns; of the
//      others the one that began goes on, since a run that stops half-way holds memory.
//
// So nobody starves: a class with work has a turn at least every longest_wait + 2 * (quantum + a
// step), and within it every tenant has one in every round.
//
// Thread-compatible.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "src/jobs/tenant.h"

namespace bif::jobs {

enum class Priority : uint8_t { kInteractive = 0, kTrace = 1, kSampling = 2 };
inline constexpr size_t kPriorities = 3;
const char* PriorityName(Priority priority);  // as metrics call it

// What a task asks for.
struct DeviceClaim {
  Priority priority = Priority::kInteractive;
  std::string tenant = kDefaultTenant;
  int rank = 0;  // within the tenant and the class; higher goes first
};

class DeviceSchedule {
 public:
  using Id = uint64_t;
  struct Options {
    absl::Duration quantum = absl::Milliseconds(100);  // of a tenant with weight 1, a round
    absl::Duration longest_wait = absl::Seconds(2);
  };
  explicit DeviceSchedule(const Options& options) : options_(options) {}

  // From the next round on; 1 unless set. Must be above 0.
  void SetWeight(const std::string& tenant, double weight);

  void Add(Id id, const DeviceClaim& claim, absl::Time now);
  // Takes the claim whose turn it is; Used must follow.
  struct Turn {
    Id id = 0;
    DeviceClaim claim;
    absl::Duration waited;  // since it was added, or had its last turn
  };
  std::optional<Turn> Next(absl::Time now);
  // Takes one out of its turn; nullopt if it does not wait.
  std::optional<Turn> Take(Id id, absl::Time now);
  // What a turn took. Several tenants may share it: one call each.
  void Charge(const std::string& tenant, absl::Duration used);
  // The turn is over: with `more` the claim waits again.
  void EndTurn(const Turn& turn, absl::Duration used, bool more, absl::Time now);

  bool empty() const { return waiting_ == 0; }
  size_t waiting(Priority priority) const;

 private:
  struct Waiting {
    Id id = 0;
    DeviceClaim claim;
    absl::Time since;
  };
  // The claims of one class: a queue a tenant, and the order in which tenants take turns.
  struct Class {
    absl::flat_hash_map<std::string, std::deque<Waiting>> queues;  // none is empty
    std::deque<std::string> round;
    absl::Time since;  // the last turn's end, or when the first claim came
  };
  struct Account {
    double weight = 1;
    absl::Duration deficit;  // what it may use before its next round; negative: a debt
    int claims = 0;          // waiting or having their turn
  };

  // `returns`: it has just had its turn, so its tenant goes on with what it may still use.
  void Insert(Waiting waiting, bool returns);
  Turn TakeFrom(Class& in, const std::string& tenant, size_t place, absl::Time now);
  // The class that goes next; nullptr if nobody waits.
  Class* ClassInTurn(absl::Time now);
  const std::string& TenantInTurn(Class& in);

  const Options options_;
  std::array<Class, kPriorities> classes_;
  absl::flat_hash_map<std::string, Account> accounts_;
  size_t waiting_ = 0;
  Class* aged_ = nullptr;  // has a quantum out of its turn
  absl::Duration aged_left_;
};

}  // namespace bif::jobs
