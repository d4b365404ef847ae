#include "server/job_metrics.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "src/observe/process.h"

namespace bif::server {
namespace {

// A Prometheus counter that follows a number which only rises.
class Follower {
 public:
  Follower(observe::Counter counter, const std::atomic<uint64_t>& source)
      : counter_(counter), source_(source) {}
  void Refresh() {
    counter_.Add(static_cast<double>(source_.load(std::memory_order_relaxed)) - counter_.Value());
  }

 private:
  observe::Counter counter_;
  const std::atomic<uint64_t>& source_;
};

// What the last scrub found, and when.
void ExportScrub(jobs::Jobs& jobs, observe::Metrics& metrics) {
  observe::Gauge damaged =
      metrics.GetGauge("bif_scrub_damaged_objects", "Damaged objects that the last scrub found");
  observe::Gauge end = metrics.GetGauge("bif_scrub_end_time_seconds",
                                        "When the last scrub ended, since the Unix epoch");
  metrics.AddRefresher([damaged, end, &jobs]() mutable {
    const auto last = jobs.scrubber().last();
    if (!last) return;
    damaged.Set(static_cast<double>(last->damaged));
    end.Set(static_cast<double>(absl::ToUnixSeconds(last->end)));
  });
}

}  // namespace

void ExportJobMetrics(jobs::Jobs& jobs, observe::Metrics& metrics) {
  ExportScrub(jobs, metrics);
  const jobs::Counters& counters = jobs.counters();
  auto followers = std::make_shared<std::vector<Follower>>();
  const auto follow = [&](const char* name, const char* help, const std::atomic<uint64_t>& source) {
    followers->emplace_back(metrics.GetCounter(name, help), source);
  };
  follow("bif_sampling_steps_total", "Sampling steps, of one chain each", counters.sampling_steps);
  follow("bif_draws_total", "Draws committed, of one chain each", counters.draws_committed);
  follow("bif_segments_total", "Segments committed", counters.segments_committed);
  follow("bif_chains_diverged_total", "Chains that diverged", counters.chains_diverged);
  follow("bif_training_rows_observed_total", "Rows times draws, evaluated by posterior jobs",
         counters.training_rows_observed);
  follow("bif_query_rows_observed_total", "Rows times draws, evaluated by queries and trace jobs",
         counters.query_rows_observed);
  follow("bif_rows_evaluated_total", "Query rows whose traces had to be evaluated",
         counters.query_rows_traced);
  follow("bif_rows_from_store_total", "Query rows whose traces were in the store",
         counters.query_rows_stored);
  follow("bif_operations_failed_total", "Operations that ended with an error",
         counters.operations_failed);

  follow("bif_draw_cache_hits_total", "Draws that a reader found decoded",
         counters.draw_cache_hits);
  follow("bif_draw_cache_misses_total", "Draws that had to be decoded for a reader",
         counters.draw_cache_misses);
  follow("bif_scan_draws_loaded_total", "Draws that scans gave to the device, once for all riders",
         counters.scan_draws_loaded);
  follow("bif_scan_draws_served_total", "Draws that riders of scans got",
         counters.scan_draws_served);

  follow("bif_scrub_objects_total", "Stored objects that were compared with their checksums",
         jobs.scrubber().objects());

  jobs.admission().OnRefusal([&metrics](const std::string& tenant, const char* reason) {
    metrics
        .GetCounter("bif_admission_refused_total",
                    "Requests and operations beyond a tenant's limits",
                    {{"tenant", tenant}, {"reason", reason}})
        .Add();
  });
  observe::Gauge draw_cache =
      metrics.GetGauge("bif_draw_cache_bytes", "Decoded draws that are kept in memory");
  observe::Gauge free_disk =
      metrics.GetGauge("bif_free_disk_bytes", "Free space where the data directory lies");
  observe::Gauge resident =
      metrics.GetGauge("bif_process_resident_bytes", "Resident memory of the daemon");
  observe::Gauge tasks =
      metrics.GetGauge("bif_device_tasks", "Tasks that wait for the device or have it");
  observe::Gauge stuck = metrics.GetGauge(
      "bif_device_stuck", "1 while a step of the device takes longer than it may, else 0");
  observe::Counter busy = metrics.GetCounter("bif_device_busy_seconds_total",
                                             "Time in which the device's thread worked");
  metrics.AddRefresher(
      [followers, resident, tasks, stuck, busy, draw_cache, free_disk, &metrics, &jobs]() mutable {
        for (Follower& follower : *followers) follower.Refresh();
        draw_cache.Set(static_cast<double>(jobs.queries().cached_draw_bytes()));
        if (const auto bytes = jobs.store().FreeDiskBytes(); bytes.ok())
          free_disk.Set(static_cast<double>(*bytes));
        for (const auto& [whose, used] : jobs.executor().used()) {
          observe::Counter seconds = metrics.GetCounter(
              "bif_device_seconds_total", "Device time that a tenant has used",
              {{"tenant", whose.first}, {"class", jobs::PriorityName(whose.second)}});
          seconds.Add(absl::ToDoubleSeconds(used) - seconds.Value());
        }
        for (size_t p = 0; p < jobs::kPriorities; ++p) {
          const auto priority = static_cast<jobs::Priority>(p);
          metrics
              .GetGauge("bif_device_queue_tasks", "Tasks that wait for the device",
                        {{"class", jobs::PriorityName(priority)}})
              .Set(static_cast<double>(jobs.executor().waiting(priority)));
        }
        resident.Set(static_cast<double>(observe::ResidentBytes()));
        busy.Add(absl::ToDoubleSeconds(jobs.executor().busy()) - busy.Value());
        stuck.Set(jobs.executor().stuck() ? 1 : 0);
        tasks.Set(static_cast<double>(jobs.executor().tasks()));
      });
}

}  // namespace bif::server
