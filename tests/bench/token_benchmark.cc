// Times the matrix of scores between the tokens of two sequences, over one warm connection to a
// running bifd.
//
//   token_benchmark SERVER PROGRAM_FILE
//
// Samples a posterior of 4 chains of 500 draws around the program, a language model with an input
// "tokens" and a vocabulary of at least 32, on a few sequences of 150 tokens; has the losses of
// their tokens evaluated; then asks for the matrix of one pair after another and prints
// `token_matrix_ms VALUE ms`, the median.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/client.h"

namespace {

namespace v1 = bif::v1;

constexpr int kSequences = 12;
constexpr int kTokens = 150;
constexpr int kVocabulary = 32;

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "token_benchmark: %s\n", why.c_str());
  std::exit(1);
}

template <typename T>
T OrDie(absl::StatusOr<T> value) {
  if (!value.ok()) Die(value.status().ToString());
  return *std::move(value);
}

class Sequences final : public bif::client::SampleSource {
 public:
  absl::Status Rewind() override {
    next_ = 0;
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<v1::Sample>> Next() override {
    if (next_ == kSequences) return std::nullopt;
    std::vector<int32_t> tokens;
    for (int p = 0; p < kTokens; ++p)
      tokens.push_back((p * p + 7 * next_ * p + next_) % kVocabulary);
    v1::Sample sample;
    sample.set_id(std::to_string(next_++));
    v1::Tensor& tensor = *sample.add_tensors();
    tensor.mutable_spec()->set_name("tokens");
    tensor.mutable_spec()->set_dtype(v1::INT32);
    tensor.mutable_spec()->add_shape(kTokens);
    tensor.set_data(tokens.data(), tokens.size() * sizeof(int32_t));
    return sample;
  }

 private:
  int next_ = 0;
};

std::string MakePosterior(bif::client::Client& client, const std::string& program_file) {
  v1::ProgramSpec program;
  program.set_loss(v1::NEXT_TOKEN);
  program.set_target_column("tokens");
  v1::InputBinding& input = *program.add_inputs();
  input.set_input("tokens");
  input.set_column("tokens");
  v1::CheckpointSpec checkpoint;
  checkpoint.set_program(OrDie(client.CreateProgram(program, program_file)).name());

  v1::CreateDatasetRequest dataset;
  dataset.set_dataset_id("sequences");
  v1::TensorSpec& column = *dataset.add_columns();
  column.set_name("tokens");
  column.set_dtype(v1::INT32);
  column.add_shape(-1);
  const std::string dataset_name = OrDie(client.CreateDataset(dataset)).name();
  Sequences sequences;
  OrDie(client.AppendSamples(dataset_name, sequences));

  v1::CreatePosteriorRequest posterior;
  posterior.set_checkpoint(OrDie(client.CreateCheckpoint(checkpoint, "")).name());
  posterior.set_dataset(dataset_name);
  v1::SamplerSettings& settings = *posterior.mutable_settings();
  settings.set_algorithm(v1::SGLD);
  settings.set_step_size(1e-5);
  settings.set_nbeta(30);
  settings.set_gamma(100);
  settings.set_chains(4);
  settings.set_draws_per_chain(500);
  settings.set_steps_between_draws(1);
  settings.set_batch_size(2);
  const auto operation = OrDie(
      client.WaitOperation(OrDie(client.CreatePosterior(posterior)).name(), absl::Minutes(10)));
  v1::Posterior made;
  if (!operation.response().UnpackTo(&made)) Die("sampling: " + operation.error().message());
  return made.name();
}

// Milliseconds until the whole matrix is here.
double Ask(bif::client::Client& client, const std::string& posterior, int training, int query) {
  v1::TokenInfluenceRequest request;
  request.set_posterior(posterior);
  request.set_standard_errors(true);
  for (v1::SampleSet* set : {request.mutable_training(), request.mutable_query()})
    set->set_dataset("datasets/sequences");
  request.mutable_training()->add_sample_ids(std::to_string(training));
  request.mutable_query()->add_sample_ids(std::to_string(query));
  int scores = 0;
  const auto start = std::chrono::steady_clock::now();
  const absl::Status status =
      client.TokenInfluence(request, [&scores](const v1::TokenInfluenceResponse& block) {
        scores += block.scores_size();
        return absl::OkStatus();
      });
  const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
  if (!status.ok()) Die(status.ToString());
  if (scores != (kTokens - 1) * (kTokens - 1)) Die("a matrix of " + std::to_string(scores));
  return took.count();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) Die("usage: token_benchmark SERVER PROGRAM_FILE");
  bif::client::ClientOptions options;
  options.server = argv[1];
  bif::client::Client client(options);
  const std::string posterior = MakePosterior(client, argv[2]);
  for (int i = 0; i < kSequences; ++i) Ask(client, posterior, i, i);  // evaluates its tokens
  std::vector<double> times;
  for (int i = 0; i < kSequences; ++i) {
    for (int j = 0; j < i; ++j) times.push_back(Ask(client, posterior, i, j));
  }
  std::nth_element(times.begin(), times.begin() + times.size() / 2, times.end());
  std::printf("token_matrix_ms %.3f ms\n", times[times.size() / 2]);
  return 0;
}
