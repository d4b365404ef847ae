// Client: datasets.
#include <algorithm>
#include <filesystem>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bif/v1/datasets.grpc.pb.h"
#include "client/client.h"
#include "client/internal/append.h"
#include "client/internal/connection.h"
#include "client/internal/upload.h"
#include "client/request_id.h"

namespace bif::client {

absl::StatusOr<v1::Dataset> Client::CreateDataset(v1::CreateDatasetRequest request) {
  FillRequestId(request);
  return UnaryCall<v1::Datasets>(*connection_, Repeatable::kYes, &v1::Datasets::Stub::CreateDataset,
                                 request);
}

absl::StatusOr<v1::ImportSamplesResponse> Client::ImportSamples(v1::ImportSamplesRequest request) {
  FillRequestId(request);
  return UnaryCall<v1::Datasets>(*connection_, Repeatable::kYes, &v1::Datasets::Stub::ImportSamples,
                                 request, connection_->options.stream_deadline);
}

namespace {

// Gives the file at `path` a name of its own among `files`, and puts that in the place of the path.
void NameFile(std::string& path, std::vector<LocalFile>& files) {
  const std::string plain = std::filesystem::path(path).filename();
  LocalFile file = {plain, path};
  const auto taken = [&] {
    return std::any_of(files.begin(), files.end(),
                       [&](const LocalFile& other) { return other.name == file.name; });
  };
  for (int number = 2; taken(); ++number) file.name = absl::StrCat(number, "-", plain);
  path = file.name;
  files.push_back(std::move(file));
}

}  // namespace

absl::StatusOr<v1::ImportSamplesResponse> Client::UploadSamples(v1::ImportSamplesRequest request,
                                                                const UploadProgress& progress) {
  FillRequestId(request);
  std::vector<LocalFile> files;
  if (request.has_idx()) {
    for (auto& column : *request.mutable_idx()->mutable_columns())
      NameFile(*column.mutable_path(), files);
  } else if (request.has_cifar()) {
    for (std::string& path : *request.mutable_cifar()->mutable_paths()) NameFile(path, files);
  } else if (request.has_safetensors()) {
    NameFile(*request.mutable_safetensors()->mutable_path(), files);
  }
  v1::UploadSamplesRequest first;
  *first.mutable_spec() = std::move(request);
  v1::ImportSamplesResponse response;
  absl::Status status = connection_->Call(
      connection_->options.stream_deadline, Repeatable::kYes, [&](grpc::ClientContext& context) {
        response.Clear();
        auto stub = v1::Datasets::NewStub(connection_->channel);
        auto writer = stub->UploadSamples(&context, &response);
        return WriteSpecAndFiles(context, *writer, first, files, progress);
      });
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<v1::AppendSamplesResponse> Client::AppendSamples(
    const std::string& dataset, SampleSource& samples, const std::function<void(int64_t)>& sent) {
  v1::AppendSamplesRequest first;
  first.set_dataset(dataset);
  FillRequestId(first);
  v1::AppendSamplesResponse response;
  absl::Status status = connection_->Call(
      connection_->options.stream_deadline, Repeatable::kYes, [&](grpc::ClientContext& context) {
        response.Clear();
        auto stub = v1::Datasets::NewStub(connection_->channel);
        auto writer = stub->AppendSamples(&context, &response);
        return WriteSamples(context, *writer, first, samples, sent);
      });
  if (!status.ok()) return status;
  return response;
}

absl::StatusOr<v1::Sample> Client::GetSample(const std::string& name) {
  return UnaryCall<v1::Datasets>(*connection_, Repeatable::kYes, &v1::Datasets::Stub::GetSample,
                                 Named<v1::GetSampleRequest>(name));
}

absl::StatusOr<v1::ListSamplesResponse> Client::ListSamples(const v1::ListSamplesRequest& request) {
  return UnaryCall<v1::Datasets>(*connection_, Repeatable::kYes, &v1::Datasets::Stub::ListSamples,
                                 request);
}

absl::StatusOr<v1::DeleteSamplesResponse> Client::DeleteSamples(
    const v1::DeleteSamplesRequest& request) {
  return UnaryCall<v1::Datasets>(*connection_, Repeatable::kNo, &v1::Datasets::Stub::DeleteSamples,
                                 request);
}

absl::StatusOr<v1::Dataset> Client::GetDataset(const std::string& name) {
  return UnaryCall<v1::Datasets>(*connection_, Repeatable::kYes, &v1::Datasets::Stub::GetDataset,
                                 Named<v1::GetDatasetRequest>(name));
}

absl::StatusOr<v1::ListDatasetsResponse> Client::ListDatasets(
    const v1::ListDatasetsRequest& request) {
  return UnaryCall<v1::Datasets>(*connection_, Repeatable::kYes, &v1::Datasets::Stub::ListDatasets,
                                 request);
}

absl::Status Client::DeleteDataset(const std::string& name) {
  return UnaryCall<v1::Datasets>(*connection_, Repeatable::kNo, &v1::Datasets::Stub::DeleteDataset,
                                 Named<v1::DeleteDatasetRequest>(name))
      .status();
}

}  // namespace bif::client
