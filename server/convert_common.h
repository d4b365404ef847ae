// Between bif.v1 and plain structs: what several services share. Only message headers here, no
// gRPC.
//
// Everywhere in convert_*: ToProto fills a message from a struct and cannot fail; FromProto gives a
// field error whose path begins with `path`, the field's own place in the request. Requests that
// make or ask something take the caller's tenant too: none can be left without one.
#pragma once

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "bif/v1/types.pb.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/timestamp.pb.h"
#include "src/base/status.h"
#include "src/base/tensor.h"
#include "src/jobs/pagination.h"
#include "src/jobs/samples.h"

namespace bif::server {

namespace v1 = ::bif::v1;

void ToProto(absl::Time time, google::protobuf::Timestamp* proto);
void ToProto(absl::Duration duration, google::protobuf::Duration* proto);
// Out-of-range durations become infinite ones.
absl::Duration FromProto(const google::protobuf::Duration& proto);

void ToProto(const TensorSpec& spec, v1::TensorSpec* proto);
absl::StatusOr<std::vector<TensorSpec>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::TensorSpec>& protos, const std::string& path);

void ToProto(const jobs::Sample& sample, v1::Sample* proto);
absl::StatusOr<std::vector<jobs::Sample>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::Sample>& protos, const std::string& path);

std::vector<std::string> Strings(const google::protobuf::RepeatedPtrField<std::string>& protos);

// The page that a List request asks for.
template <typename Request>
jobs::PageRequest PageOf(const Request& request, const std::string& tenant) {
  return {request.page_size(), request.page_token(), tenant};
}

// Whether the losses of tokens are wanted beside those of samples.
absl::StatusOr<bool> WantsTokens(v1::Granularity granularity, const std::string& path);

// Rank among the tenant's own work.
absl::StatusOr<int> PriorityFromProto(int32_t priority);

// The value of an enum whose number 0 stands for `fallback`. A number that the API does not know is
// a field error.
template <typename Enum, typename ProtoEnum>
absl::StatusOr<Enum> EnumFromProto(ProtoEnum value, bool known, Enum fallback,
                                   const std::string& path) {
  const int number = static_cast<int>(value);
  if (number == 0) return fallback;
  if (!known) return FieldError(path, "has no meaning with number " + std::to_string(number));
  return static_cast<Enum>(number);
}

}  // namespace bif::server
