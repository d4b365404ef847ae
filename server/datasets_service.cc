#include "bif/v1/datasets.grpc.pb.h"
#include "server/client_stream_call.h"
#include "server/convert_common.h"
#include "server/convert_datasets.h"
#include "server/services.h"
#include "server/unary_call.h"
#include "server/upload_receiver.h"

namespace bif::server {
namespace {

class AppendReceiver final : public MessageReceiver<v1::AppendSamplesRequest> {
 public:
  AppendReceiver(jobs::Datasets& datasets, const Caller& caller,
                 v1::AppendSamplesResponse* response)
      : datasets_(datasets), tenant_(caller.tenant), response_(response) {}

  absl::Status OnMessage(const v1::AppendSamplesRequest& message) override {
    if (append_ == nullptr) {
      BIF_ASSIGN_OR_RETURN(append_,
                           datasets_.StartAppend({.tenant = tenant_, .id = message.request_id()},
                                                 message.dataset()));
    } else if (!message.request_id().empty()) {
      return FieldError("request_id", "only the first message may carry it");
    } else if (!message.dataset().empty()) {
      return FieldError("dataset", "only the first message may carry it");
    }
    BIF_ASSIGN_OR_RETURN(std::vector<jobs::Sample> samples,
                         FromProto(message.samples(), "samples"));
    return append_->Add(samples);
  }

  absl::Status OnEnd() override {
    if (append_ == nullptr)
      return FieldError("dataset", "is missing; the first message must name it");
    return Fill(append_->Commit(), response_, ToProto);
  }

 private:
  jobs::Datasets& datasets_;
  const std::string tenant_;
  std::unique_ptr<jobs::Datasets::Append> append_;
  v1::AppendSamplesResponse* const response_;
};

class UploadReceiver final : public MessageReceiver<v1::UploadSamplesRequest> {
 public:
  UploadReceiver(jobs::Datasets& datasets, const Caller& caller,
                 v1::ImportSamplesResponse* response)
      : datasets_(datasets),
        tenant_(caller.tenant),
        upload_([&] { return datasets_.NewUpload(); }),
        response_(response) {}

  absl::Status OnMessage(const v1::UploadSamplesRequest& message) override {
    if (message.has_chunk()) return upload_.AddChunk(message.chunk(), /*allowed=*/true);
    if (message.has_file()) return upload_.StartFile(message.file(), /*allowed=*/true);
    if (!message.has_spec()) return upload_.CountEmpty();
    BIF_RETURN_IF_ERROR(upload_.CountSpec());
    BIF_ASSIGN_OR_RETURN(spec_, FromProto(message.spec(), tenant_));
    return absl::OkStatus();
  }

  absl::Status OnEnd() override {
    if (!upload_.has_spec())
      return FieldError("spec", "is missing; the first message must carry it");
    return Fill(datasets_.Import(spec_, upload_.TakeFiles()), response_, ToProto);
  }

 private:
  jobs::Datasets& datasets_;
  const std::string tenant_;
  UploadState upload_;
  jobs::ImportSpec spec_;
  v1::ImportSamplesResponse* const response_;
};

class DatasetsService final : public v1::Datasets::CallbackService {
 public:
  explicit DatasetsService(CallRuntime& runtime)
      : runtime_(runtime), datasets_(runtime.jobs.datasets()) {}

  grpc::ServerUnaryReactor* CreateDataset(grpc::CallbackServerContext* context,
                                          const v1::CreateDatasetRequest* request,
                                          v1::Dataset* response) override {
    return StartUnary(runtime_, context, "bif.v1.Datasets/CreateDataset", request, response,
                      [=, this](const Caller& caller) -> absl::Status {
                        BIF_ASSIGN_OR_RETURN(const jobs::DatasetSpec spec,
                                             FromProto(*request, caller.tenant));
                        return Fill(datasets_.Create(spec), response, ToProto);
                      });
  }

  grpc::ServerUnaryReactor* ImportSamples(grpc::CallbackServerContext* context,
                                          const v1::ImportSamplesRequest* request,
                                          v1::ImportSamplesResponse* response) override {
    return StartUnary(runtime_, context, "bif.v1.Datasets/ImportSamples", request, response,
                      [=, this](const Caller& caller) -> absl::Status {
                        BIF_ASSIGN_OR_RETURN(const jobs::ImportSpec spec,
                                             FromProto(*request, caller.tenant));
                        return Fill(datasets_.Import(spec), response, ToProto);
                      });
  }

  grpc::ServerReadReactor<v1::UploadSamplesRequest>* UploadSamples(
      grpc::CallbackServerContext* context, v1::ImportSamplesResponse* response) override {
    return ClientStreamCall<v1::UploadSamplesRequest>::Start(
        runtime_, context, "bif.v1.Datasets/UploadSamples", response,
        [=, this](const Caller& caller) {
          return std::make_unique<UploadReceiver>(datasets_, caller, response);
        });
  }

  grpc::ServerReadReactor<v1::AppendSamplesRequest>* AppendSamples(
      grpc::CallbackServerContext* context, v1::AppendSamplesResponse* response) override {
    return ClientStreamCall<v1::AppendSamplesRequest>::Start(
        runtime_, context, "bif.v1.Datasets/AppendSamples", response,
        [=, this](const Caller& caller) {
          return std::make_unique<AppendReceiver>(datasets_, caller, response);
        });
  }

  grpc::ServerUnaryReactor* GetSample(grpc::CallbackServerContext* context,
                                      const v1::GetSampleRequest* request,
                                      v1::Sample* response) override {
    return StartUnary(runtime_, context, "bif.v1.Datasets/GetSample", request, response,
                      [=, this](const Caller&) {
                        return Fill(datasets_.GetSample(request->name()), response, ToProto);
                      });
  }

  grpc::ServerUnaryReactor* ListSamples(grpc::CallbackServerContext* context,
                                        const v1::ListSamplesRequest* request,
                                        v1::ListSamplesResponse* response) override {
    return StartUnary(
        runtime_, context, "bif.v1.Datasets/ListSamples", request, response,
        [=, this](const Caller& caller) {
          // A client receives 4 MiB by default.
          const int64_t max_tensor_bytes = request->include_tensors() ? 3 << 20 : 0;
          return Fill(datasets_.ListSamples(request->dataset(), PageOf(*request, caller.tenant),
                                            max_tensor_bytes),
                      response, ToProto);
        });
  }

  grpc::ServerUnaryReactor* DeleteSamples(grpc::CallbackServerContext* context,
                                          const v1::DeleteSamplesRequest* request,
                                          v1::DeleteSamplesResponse* response) override {
    return StartUnary(
        runtime_, context, "bif.v1.Datasets/DeleteSamples", request, response,
        [=, this](const Caller&) -> absl::Status {
          BIF_ASSIGN_OR_RETURN(
              const int64_t deleted,
              datasets_.DeleteSamples(request->dataset(), Strings(request->sample_ids())));
          response->set_deleted(deleted);
          return absl::OkStatus();
        });
  }

  grpc::ServerUnaryReactor* GetDataset(grpc::CallbackServerContext* context,
                                       const v1::GetDatasetRequest* request,
                                       v1::Dataset* response) override {
    return StartUnary(runtime_, context, "bif.v1.Datasets/GetDataset", request, response,
                      [=, this](const Caller&) {
                        return Fill(datasets_.Get(request->name()), response, ToProto);
                      });
  }

  grpc::ServerUnaryReactor* ListDatasets(grpc::CallbackServerContext* context,
                                         const v1::ListDatasetsRequest* request,
                                         v1::ListDatasetsResponse* response) override {
    return StartUnary(runtime_, context, "bif.v1.Datasets/ListDatasets", request, response,
                      [=, this](const Caller& caller) {
                        return Fill(datasets_.List(PageOf(*request, caller.tenant)), response,
                                    ToProto);
                      });
  }

  grpc::ServerUnaryReactor* DeleteDataset(grpc::CallbackServerContext* context,
                                          const v1::DeleteDatasetRequest* request,
                                          google::protobuf::Empty* response) override {
    return StartUnary(runtime_, context, "bif.v1.Datasets/DeleteDataset", request, response,
                      [=, this](const Caller&) { return datasets_.Delete(request->name()); });
  }

 private:
  CallRuntime& runtime_;
  jobs::Datasets& datasets_;
};

}  // namespace

std::unique_ptr<grpc::Service> MakeDatasetsService(CallRuntime& runtime) {
  return std::make_unique<DatasetsService>(runtime);
}

}  // namespace bif::server
