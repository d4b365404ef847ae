#include "tests/support/server/linear_regression.h"

#include <cmath>
#include <sstream>
#include <stdexcept>

namespace bif::server::testing {
namespace {

void Require(const CallEnd& end, const char* what) {
  if (end.ok()) return;
  std::ostringstream text;
  text << what << ": " << end;
  throw std::runtime_error(text.str());
}

void AddTensor(const std::string& name, const std::vector<int64_t>& shape,
               const std::vector<float>& values, v1::Sample& sample) {
  v1::Tensor* tensor = sample.add_tensors();
  tensor->mutable_spec()->set_name(name);
  tensor->mutable_spec()->set_dtype(v1::FLOAT32);
  tensor->mutable_spec()->mutable_shape()->Assign(shape.begin(), shape.end());
  tensor->set_data(values.data(), values.size() * sizeof(float));
}

}  // namespace

v1::ProgramSpec RegressionProgramSpec() {
  v1::ProgramSpec spec;
  spec.set_loss(v1::SQUARED_ERROR);
  spec.set_target_column("target");
  v1::InputBinding* input = spec.add_inputs();
  input->set_input("features");
  input->set_column("features");
  return spec;
}

std::string RegressionProgramFile() {
  return bif::testing::FakeProgramFile(kFeatures, 0, {0.5f, -0.25f, 1.0f});
}

v1::Sample RegressionSample(int row, const std::string& id) {
  v1::Sample sample;
  sample.set_id(id);
  std::vector<float> features;
  for (int k = 0; k < kFeatures; ++k)
    features.push_back(std::sin(static_cast<float>(row * kFeatures + k)));
  AddTensor("features", {kFeatures}, features, sample);
  AddTensor("target", {}, {std::cos(static_cast<float>(row))}, sample);
  return sample;
}

std::string MakeCheckpoint(TestServer& server) {
  v1::CreateProgramRequest spec;
  *spec.mutable_spec() = RegressionProgramSpec();
  v1::CreateProgramRequest chunk;
  chunk.set_chunk(RegressionProgramFile());
  v1::Program program;
  auto upload = server.Write("bif.v1.Checkpoints/CreateProgram", program);
  upload->Write(spec);
  upload->Write(chunk);
  Require(upload->Finish(), "CreateProgram");

  v1::CreateCheckpointRequest request;
  request.mutable_spec()->set_program(program.name());
  v1::Checkpoint checkpoint;
  auto create = server.Write("bif.v1.Checkpoints/CreateCheckpoint", checkpoint);
  create->Write(request);
  Require(create->Finish(), "CreateCheckpoint");
  return checkpoint.name();
}

std::string MakeDataset(TestServer& server, const std::string& id, int rows) {
  v1::CreateDatasetRequest request;
  request.set_dataset_id(id);
  const v1::Sample pattern = RegressionSample(0, "");
  for (const v1::Tensor& tensor : pattern.tensors()) *request.add_columns() = tensor.spec();
  v1::Dataset dataset;
  Require(server.Call("bif.v1.Datasets/CreateDataset", request, dataset), "CreateDataset");

  v1::AppendSamplesRequest samples;
  samples.set_dataset(dataset.name());
  for (int row = 0; row < rows; ++row)
    *samples.add_samples() = RegressionSample(row, std::to_string(row));
  v1::AppendSamplesResponse appended;
  auto append = server.Write("bif.v1.Datasets/AppendSamples", appended);
  append->Write(samples);
  Require(append->Finish(), "AppendSamples");
  return dataset.name();
}

v1::SamplerSettings FastSettings() {
  v1::SamplerSettings settings;
  settings.set_algorithm(v1::SGLD);
  settings.set_step_size(1e-3);
  settings.set_nbeta(10);
  settings.set_gamma(10);
  settings.set_chains(2);
  settings.set_draws_per_chain(12);
  settings.set_batch_size(4);
  return settings;
}

v1::CreatePosteriorRequest PosteriorRequest(TestServer& server, int rows) {
  v1::CreatePosteriorRequest request;
  request.set_checkpoint(MakeCheckpoint(server));
  request.set_dataset(MakeDataset(server, "train", rows));
  *request.mutable_settings() = FastSettings();
  return request;
}

google::longrunning::Operation WaitFor(TestServer& server, const std::string& operation) {
  google::longrunning::WaitOperationRequest request;
  request.set_name(operation);
  google::longrunning::Operation done;
  Require(server.Call("google.longrunning.Operations/WaitOperation", request, done),
          "WaitOperation");
  return done;
}

std::string StartPosterior(TestServer& server, const v1::CreatePosteriorRequest& request) {
  google::longrunning::Operation operation;
  Require(server.Call("bif.v1.Posteriors/CreatePosterior", request, operation), "CreatePosterior");
  return operation.name();
}

std::string MakePosterior(TestServer& server, int rows) {
  const google::longrunning::Operation operation =
      WaitFor(server, StartPosterior(server, PosteriorRequest(server, rows)));
  v1::Posterior posterior;
  if (!operation.done() || !operation.response().UnpackTo(&posterior)) {
    throw std::runtime_error("the posterior failed: " + operation.error().message());
  }
  return posterior.name();
}

}  // namespace bif::server::testing
