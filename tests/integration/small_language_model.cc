#include "tests/integration/small_language_model.h"

#include <stdexcept>

namespace bif::testing {
namespace {

namespace v1 = ::bif::v1;

constexpr int kVocabulary = 11;

template <typename Value>
Value Must(absl::StatusOr<Value> value, const char* what) {
  if (!value.ok()) throw std::runtime_error(std::string(what) + ": " + value.status().ToString());
  return *std::move(value);
}

// The spec of a dataset's column, or of a sample's tensor with its own length.
v1::TensorSpec SpecOf(const std::string& name, v1::DType dtype, int64_t length) {
  v1::TensorSpec spec;
  spec.set_name(name);
  spec.set_dtype(dtype);
  spec.add_shape(length);
  return spec;
}

class SampleList final : public client::SampleSource {
 public:
  explicit SampleList(const std::vector<v1::Sample>& samples) : samples_(samples) {}
  absl::Status Rewind() override {
    next_ = 0;
    return absl::OkStatus();
  }
  absl::StatusOr<std::optional<v1::Sample>> Next() override {
    if (next_ == samples_.size()) return std::nullopt;
    return samples_[next_++];
  }

 private:
  const std::vector<v1::Sample>& samples_;
  size_t next_ = 0;
};

}  // namespace

v1::Sample SequenceSample(const std::string& id, const TokenIds& tokens) {
  v1::Sample sample;
  sample.set_id(id);
  const auto length = static_cast<int64_t>(tokens.size());
  v1::Tensor* tensor = sample.add_tensors();
  *tensor->mutable_spec() = SpecOf("tokens", v1::INT32, length);
  tensor->set_data(tokens.data(), tokens.size() * sizeof(int32_t));
  tensor = sample.add_tensors();
  *tensor->mutable_spec() = SpecOf("mask", v1::UINT8, length);
  for (int64_t p = 0; p < length; ++p) *tensor->mutable_data() += p % 3 == 0 ? '\0' : '\1';
  return sample;
}

TokenIds SequenceTokens(int row) {
  TokenIds tokens(static_cast<size_t>(4 + row * 7 % 17));
  for (size_t p = 0; p < tokens.size(); ++p)
    tokens[p] = static_cast<int32_t>((row * 5 + static_cast<int>(p * p) + 3) % kVocabulary);
  return tokens;
}

std::string MakeLanguageModel(client::Client& client, uint32_t max_tokens) {
  v1::ProgramSpec spec;
  spec.set_loss(v1::NEXT_TOKEN);
  spec.set_target_column("tokens");
  spec.mutable_sequence()->set_mask_column("mask");
  spec.mutable_sequence()->set_max_tokens(max_tokens);
  v1::InputBinding* input = spec.add_inputs();
  input->set_input("tokens");
  input->set_column("tokens");
  v1::CheckpointSpec checkpoint;
  checkpoint.set_program(
      Must(client.CreateProgram(spec, BIF_TEST_PROGRAMS "/next_token.pt2"), "CreateProgram")
          .name());
  return Must(client.CreateCheckpoint(checkpoint, ""), "CreateCheckpoint").name();
}

std::string MakeSequences(client::Client& client, const std::string& id,
                          const std::vector<v1::Sample>& samples) {
  v1::CreateDatasetRequest create;
  create.set_dataset_id(id);
  *create.add_columns() = SpecOf("tokens", v1::INT32, -1);
  *create.add_columns() = SpecOf("mask", v1::UINT8, -1);
  const std::string name = Must(client.CreateDataset(create), "CreateDataset").name();
  SampleList list(samples);
  Must(client.AppendSamples(name, list), "AppendSamples");
  return name;
}

v1::CreatePosteriorRequest LanguageModelPosterior(const std::string& checkpoint,
                                                  const std::string& dataset) {
  v1::CreatePosteriorRequest request;
  request.set_checkpoint(checkpoint);
  request.set_dataset(dataset);
  v1::SamplerSettings& settings = *request.mutable_settings();
  settings.set_algorithm(v1::SGLD);
  settings.set_step_size(1e-4);
  settings.set_nbeta(30);
  settings.set_gamma(100);
  settings.set_chains(2);
  settings.set_draws_per_chain(10);
  settings.set_batch_size(8);
  settings.set_seed(7);
  return request;
}

}  // namespace bif::testing
