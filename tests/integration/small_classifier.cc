#include "tests/integration/small_classifier.h"

#include <bit>
#include <fstream>
#include <stdexcept>
#include <utility>

namespace bif::testing {
namespace {

namespace v1 = ::bif::v1;

constexpr int kPixels = 3 * 2 * 2;
constexpr int kClasses = 3;

template <typename Value>
Value Must(absl::StatusOr<Value> value, const char* what) {
  if (!value.ok()) throw std::runtime_error(std::string(what) + ": " + value.status().ToString());
  return *std::move(value);
}

uint8_t Pixel(int image, int pixel) {
  return static_cast<uint8_t>(image * 37 + pixel * pixel * 11 + image * pixel * 5);
}
std::string Pixels(int image) {
  std::string pixels;
  for (int pixel = 0; pixel < kPixels; ++pixel) pixels += static_cast<char>(Pixel(image, pixel));
  return pixels;
}
int Label(int image) { return (image * 7 + 1) % kClasses; }

// The IDX format (yann.lecun.com/exdb/mnist): two zeros, type 8 = unsigned byte, rank, sizes big
// endian, values.
std::string IdxHeader(const std::vector<uint32_t>& sizes) {
  std::string header = {0, 0, 8, static_cast<char>(sizes.size())};
  for (uint32_t size : sizes) {
    for (int shift = 24; shift >= 0; shift -= 8) header += static_cast<char>(size >> shift & 0xff);
  }
  return header;
}

v1::TensorSpec ImageSpec() {
  v1::TensorSpec spec;
  spec.set_name("image");
  spec.set_dtype(v1::UINT8);
  for (int64_t size : {3, 2, 2}) spec.add_shape(size);
  return spec;
}

v1::TensorSpec LabelSpec() {
  v1::TensorSpec spec;
  spec.set_name("label");
  spec.set_dtype(v1::INT64);
  return spec;
}

std::string MakeCheckpoint(client::Client& client) {
  v1::ProgramSpec spec;
  spec.set_loss(v1::CROSS_ENTROPY);
  spec.set_target_column("label");
  v1::InputBinding* input = spec.add_inputs();
  input->set_input("image");
  input->set_column("image");
  input->add_scale(1.0f / 255);
  input->add_shift(-0.5f);
  const v1::Program program =
      Must(client.CreateProgram(spec, BIF_TEST_PROGRAMS "/mlp.pt2"), "CreateProgram");
  v1::CheckpointSpec checkpoint;
  checkpoint.set_program(program.name());
  return Must(client.CreateCheckpoint(checkpoint, ""), "CreateCheckpoint").name();
}

std::string MakeDataset(client::Client& client, const std::string& folder, int rows) {
  const std::string name =
      Must(client.CreateDataset(ImageDataset("train")), "CreateDataset").name();
  const v1::ImportSamplesResponse imported =
      Must(client.ImportSamples(ImageImport(folder, "train", 0, rows)), "ImportSamples");
  if (imported.imported() != rows) throw std::runtime_error("rows are missing");
  return name;
}

}  // namespace

v1::CreateDatasetRequest ImageDataset(const std::string& id) {
  v1::CreateDatasetRequest create;
  create.set_dataset_id(id);
  *create.add_columns() = ImageSpec();
  *create.add_columns() = LabelSpec();
  return create;
}

v1::ImportSamplesRequest ImageImport(const std::string& folder, const std::string& id, int first,
                                     int rows) {
  std::string images = IdxHeader({static_cast<uint32_t>(rows), 3, 2, 2});
  std::string labels = IdxHeader({static_cast<uint32_t>(rows)});
  for (int image = first; image < first + rows; ++image) {
    images += Pixels(image);
    labels += static_cast<char>(Label(image));
  }
  v1::ImportSamplesRequest import;
  import.set_dataset("datasets/" + id);
  import.set_first_id(first);
  for (const auto& [column, content] : {std::pair("image", images), std::pair("label", labels)}) {
    const std::string path = folder + "/" + id + "." + column + ".idx";
    std::ofstream(path, std::ios::binary) << content;
    auto* file = import.mutable_idx()->add_columns();
    file->set_column(column);
    file->set_path(path);
  }
  return import;
}

v1::Sample ImageSample(const std::string& id, int image) {
  const int64_t label = Label(image);
  v1::Sample sample;
  sample.set_id(id);
  v1::Tensor* tensor = sample.add_tensors();
  *tensor->mutable_spec() = ImageSpec();
  tensor->set_data(Pixels(image));
  tensor = sample.add_tensors();
  *tensor->mutable_spec() = LabelSpec();
  tensor->set_data(&label, sizeof(label));
  return sample;
}

client::ClientOptions ClientOf(const DaemonProcess& daemon) {
  client::ClientOptions options;
  options.server = daemon.address();
  return options;
}

v1::CreatePosteriorRequest PrepareClassifier(client::Client& client, const std::string& folder,
                                             int rows, uint32_t draws_per_chain) {
  v1::CreatePosteriorRequest request;
  request.set_checkpoint(MakeCheckpoint(client));
  request.set_dataset(MakeDataset(client, folder, rows));
  v1::SamplerSettings& settings = *request.mutable_settings();
  settings.set_algorithm(v1::RMSPROP_SGLD);
  settings.set_step_size(1e-4);
  settings.set_nbeta(100);
  settings.set_gamma(100);
  settings.set_chains(2);
  settings.set_draws_per_chain(draws_per_chain);
  settings.set_batch_size(16);
  settings.set_seed(7);
  return request;
}

google::longrunning::Operation WaitUntilDone(client::Client& client, const std::string& operation) {
  google::longrunning::Operation done =
      Must(client.WaitOperation(operation, absl::Minutes(2)), "WaitOperation");
  if (!done.has_response())
    throw std::runtime_error("the operation failed: " + done.ShortDebugString());
  return done;
}

std::string SamplePosterior(client::Client& client, const v1::CreatePosteriorRequest& request) {
  const auto done =
      WaitUntilDone(client, Must(client.CreatePosterior(request), "CreatePosterior").name());
  v1::Posterior posterior;
  done.response().UnpackTo(&posterior);
  return posterior.name();
}

std::vector<uint32_t> TraceBits(client::Client& client, const std::string& posterior) {
  v1::ExportTracesRequest request;
  request.set_posterior(posterior);
  request.mutable_samples()->set_dataset("datasets/train");
  std::vector<uint32_t> bits;
  const absl::Status status =
      client.ExportTraces(request, [&](const v1::ExportTracesResponse& block) {
        for (float value : block.values()) bits.push_back(std::bit_cast<uint32_t>(value));
        return absl::OkStatus();
      });
  if (!status.ok()) throw std::runtime_error("ExportTraces: " + status.ToString());
  return bits;
}

v1::AttributeRequest AskAboutNewImage(const std::string& posterior, int number) {
  v1::AttributeRequest request;
  request.set_posterior(posterior);
  request.set_top_k(5);
  *request.mutable_queries()->add_inline_() = ImageSample("", 10000 + number);
  return request;
}

}  // namespace bif::testing
