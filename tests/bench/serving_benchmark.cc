// Times queries over one warm connection to a running bifd.
//
//   serving_benchmark SERVER POSTERIOR DATASET ROW
//
// Prints `name value unit` lines: all scores of the query DATASET/ROW, which must have its trace
// already, against every training sample, as the first thing this daemon is asked; a new query; the
// query DATASET/ROW again and again. New queries are the samples after ROW; those that have traces
// already are passed over, so that a second run on the same data directory measures the same thing.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"

namespace {

using bif::client::Client;

constexpr int kNewQueries = 7;
constexpr int kRepeats = 101;

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (value.ok()) return *std::move(value);
  std::fprintf(stderr, "serving_benchmark: %s\n", std::string(value.status().message()).c_str());
  std::exit(1);
}

template <typename Call>
double Seconds(Call call) {
  const auto start = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double Median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + values.size() / 2, values.end());
  return values[values.size() / 2];
}

struct Bench {
  Client client;
  std::string posterior;
  std::string dataset;

  bif::v1::AttributeResponse Attribute(int row) {
    bif::v1::AttributeRequest request;
    request.set_posterior(posterior);
    request.mutable_queries()->set_dataset(dataset);
    request.mutable_queries()->add_sample_ids(std::to_string(row));
    request.set_top_k(10);
    return OrDie(client.Attribute(request));
  }

  int64_t ScoreColumn(int row) {
    bif::v1::ScoreMatrixRequest request;
    request.set_posterior(posterior);
    request.mutable_queries()->set_dataset(dataset);
    request.mutable_queries()->add_sample_ids(std::to_string(row));
    int64_t scores = 0;
    const absl::Status status =
        client.ScoreMatrix(request, [&](const bif::v1::ScoreMatrixResponse& block) {
          scores += block.scores_size();
          return absl::OkStatus();
        });
    return OrDie(status.ok() ? absl::StatusOr<int64_t>(scores) : status);
  }
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "usage: serving_benchmark SERVER POSTERIOR DATASET ROW\n");
    return 2;
  }
  bif::client::ClientOptions options;
  options.server = argv[1];
  Bench bench{.client = Client(options), .posterior = argv[2], .dataset = argv[3]};
  const int known_row = std::atoi(argv[4]);

  OrDie(bench.client.GetPosterior(bench.posterior));  // opens the connection

  int64_t scores = 0;
  const double full = Seconds([&] { scores = bench.ScoreColumn(known_row); });
  std::printf("full_scores_seconds %.4f s\nfull_scores_rows %lld rows\n", full,
              static_cast<long long>(scores));

  std::vector<double> fresh;
  for (int row = known_row + 1; fresh.size() < kNewQueries; ++row) {
    uint64_t evaluated = 0;
    const double seconds = Seconds([&] { evaluated = bench.Attribute(row).rows_evaluated(); });
    if (evaluated == 1) fresh.push_back(seconds);
  }
  std::printf("new_query_seconds %.5f s\n", Median(fresh));

  std::vector<double> repeated;
  for (int i = 0; i < kRepeats; ++i) {
    repeated.push_back(1e3 * Seconds([&] { bench.Attribute(known_row); }));
  }
  std::printf("repeat_query_p50_ms %.3f ms\n", Median(repeated));
  return 0;
}
