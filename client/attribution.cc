// Client: attribution.
#include <memory>
#include <utility>

#include "bif/v1/attribution.grpc.pb.h"
#include "client/client.h"
#include "client/internal/connection.h"
#include "client/request_id.h"

namespace bif::client {
namespace {

// Reads the blocks of a stream. A broken one goes on after the last block that was given to `use`,
// where its blocks say how; else it is repeated only while there was none.
template <typename Request, typename Response>
absl::Status ReadBlocks(const Connection& connection,
                        std::unique_ptr<grpc::ClientReader<Response>> (
                            v1::Attribution::Stub::*open)(grpc::ClientContext*, const Request&),
                        Request request, absl::FunctionRef<absl::Status(const Response&)> use) {
  Repeatable repeatable = Repeatable::kYes;
  return connection.Call(connection.options.stream_deadline, repeatable,
                         [&](grpc::ClientContext& context) -> absl::Status {
                           auto stub = v1::Attribution::NewStub(connection.channel);
                           auto reader = (stub.get()->*open)(&context, request);
                           return ReadAll<Response>(context, *reader, [&](const Response& block) {
                             if constexpr (requires { request.set_resume_token(""); }) {
                               request.set_resume_token(block.resume_token());
                               if (block.resume_token().empty()) repeatable = Repeatable::kNo;
                             } else {
                               repeatable = Repeatable::kNo;
                             }
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
  return ReadBlocks(*connection_, &v1::Attribution::Stub::ScoreMatrix, request, use);
}

absl::Status Client::SelfInfluence(
    const v1::SelfInfluenceRequest& request,
    absl::FunctionRef<absl::Status(const v1::SelfInfluenceResponse&)> use) {
  return ReadBlocks(*connection_, &v1::Attribution::Stub::SelfInfluence, request, use);
}

absl::Status Client::TokenInfluence(
    const v1::TokenInfluenceRequest& request,
    absl::FunctionRef<absl::Status(const v1::TokenInfluenceResponse&)> use) {
  return ReadBlocks(*connection_, &v1::Attribution::Stub::TokenInfluence, request, use);
}

absl::StatusOr<v1::GroupInfluenceResponse> Client::GroupInfluence(
    const v1::GroupInfluenceRequest& request) {
  v1::GroupInfluenceResponse answer;
  int messages = 0;
  const absl::Status status =
      connection_->Call(connection_->options.stream_deadline, Repeatable::kYes,
                        [&](grpc::ClientContext& context) -> absl::Status {
                          messages = 0;
                          auto stub = v1::Attribution::NewStub(connection_->channel);
                          auto reader = stub->GroupInfluence(&context, request);
                          return ReadAll<v1::GroupInfluenceResponse>(
                              context, *reader, [&](const v1::GroupInfluenceResponse& response) {
                                answer = response;
                                ++messages;
                                return absl::OkStatus();
                              });
                        });
  if (!status.ok()) return status;
  if (messages != 1) return absl::InternalError("the server ended the stream without an answer");
  return answer;
}

absl::Status Client::ExportTraces(
    const v1::ExportTracesRequest& request,
    absl::FunctionRef<absl::Status(const v1::ExportTracesResponse&)> use) {
  return ReadBlocks(*connection_, &v1::Attribution::Stub::ExportTraces, request, use);
}

}  // namespace bif::client
