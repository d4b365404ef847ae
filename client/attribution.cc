// Client: attribution.
#include <utility>

#include "bif/v1/attribution.grpc.pb.h"
#include "client/client.h"
#include "client/internal/connection.h"
#include "client/request_id.h"

namespace bif::client {
namespace {

// Reads the blocks of a stream; repeats a broken one only while no block has been given to `use`.
template <typename Response, typename Open>
absl::Status ReadBlocks(const Connection& connection, Open open,
                        absl::FunctionRef<absl::Status(const Response&)> use) {
  Repeatable repeatable = Repeatable::kYes;
  return connection.Call(connection.options.stream_deadline, repeatable,
                         [&](grpc::ClientContext& context) -> absl::Status {
                           auto stub = v1::Attribution::NewStub(connection.channel);
                           auto reader = open(*stub, &context);
                           return ReadAll<Response>(context, *reader, [&](const Response& block) {
                             repeatable = Repeatable::kNo;
                             return use(block);
                           });
                         });
}

}  // namespace

absl::StatusOr<google::longrunning::Operation> Client::TraceSamples(
    v1::TraceSamplesRequest request) {
  FillRequestId(request);
  return UnaryCall<v1::Attribution>(*connection_, Repeatable::kYes,
                                    &v1::Attribution::Stub::TraceSamples, request);
}

absl::StatusOr<v1::AttributeResponse> Client::Attribute(
    const v1::AttributeRequest& request,
    const std::function<void(const v1::AttributeResponse&)>& update) {
  v1::AttributeResponse final_response;
  absl::Status status =
      connection_->Call(connection_->options.stream_deadline, Repeatable::kYes,
                        [&](grpc::ClientContext& context) -> absl::Status {
                          auto stub = v1::Attribution::NewStub(connection_->channel);
                          auto reader = stub->Attribute(&context, request);
                          return ReadAll<v1::AttributeResponse>(
                              context, *reader, [&](const v1::AttributeResponse& response) {
                                if (response.final()) {
                                  final_response = response;
                                } else if (update) {
                                  update(response);
                                }
                                return absl::OkStatus();
                              });
                        });
  if (!status.ok()) return status;
  if (!final_response.final()) {
    return absl::InternalError("the server ended the stream without a final answer");
  }
  return final_response;
}

absl::Status Client::ScoreMatrix(
    const v1::ScoreMatrixRequest& request,
    absl::FunctionRef<absl::Status(const v1::ScoreMatrixResponse&)> use) {
  return ReadBlocks<v1::ScoreMatrixResponse>(
      *connection_,
      [&](v1::Attribution::Stub& stub, auto context) { return stub.ScoreMatrix(context, request); },
      use);
}

absl::Status Client::SelfInfluence(
    const v1::SelfInfluenceRequest& request,
    absl::FunctionRef<absl::Status(const v1::SelfInfluenceResponse&)> use) {
  return ReadBlocks<v1::SelfInfluenceResponse>(
      *connection_,
      [&](v1::Attribution::Stub& stub, auto context) {
        return stub.SelfInfluence(context, request);
      },
      use);
}

absl::Status Client::TokenInfluence(
    const v1::TokenInfluenceRequest& request,
    absl::FunctionRef<absl::Status(const v1::TokenInfluenceResponse&)> use) {
  return ReadBlocks<v1::TokenInfluenceResponse>(
      *connection_,
      [&](v1::Attribution::Stub& stub, auto context) {
        return stub.TokenInfluence(context, request);
      },
      use);
}

absl::Status Client::ExportTraces(
    const v1::ExportTracesRequest& request,
    absl::FunctionRef<absl::Status(const v1::ExportTracesResponse&)> use) {
  return ReadBlocks<v1::ExportTracesResponse>(
      *connection_,
      [&](v1::Attribution::Stub& stub, auto context) {
        return stub.ExportTraces(context, request);
      },
      use);
}

}  // namespace bif::client
