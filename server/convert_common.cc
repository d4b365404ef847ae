#include "server/convert_common.h"

#include <cstring>

#include "absl/strings/str_cat.h"

namespace bif::server {
namespace {

absl::StatusOr<TensorSpec> SpecFromProto(const v1::TensorSpec& proto, const std::string& path) {
  TensorSpec spec;
  spec.name = proto.name();
  BIF_ASSIGN_OR_RETURN(spec.dtype,
                       EnumFromProto(proto.dtype(), v1::DType_IsValid(proto.dtype()),
                                     DType::kUnspecified, absl::StrCat(path, ".dtype")));
  spec.shape.assign(proto.shape().begin(), proto.shape().end());
  return spec;
}

}  // namespace

void ToProto(absl::Time time, google::protobuf::Timestamp* proto) {
  const int64_t seconds = absl::ToUnixSeconds(time);
  proto->set_seconds(seconds);
  proto->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
}

void ToProto(absl::Duration duration, google::protobuf::Duration* proto) {
  absl::Duration rest;
  proto->set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &rest));
  proto->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
}

absl::Duration FromProto(const google::protobuf::Duration& proto) {
  return absl::Seconds(proto.seconds()) + absl::Nanoseconds(proto.nanos());
}

void ToProto(const TensorSpec& spec, v1::TensorSpec* proto) {
  proto->set_name(spec.name);
  proto->set_dtype(static_cast<v1::DType>(spec.dtype));
  proto->mutable_shape()->Assign(spec.shape.begin(), spec.shape.end());
}

absl::StatusOr<std::vector<TensorSpec>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::TensorSpec>& protos, const std::string& path) {
  std::vector<TensorSpec> specs;
  for (int i = 0; i < protos.size(); ++i) {
    BIF_ASSIGN_OR_RETURN(TensorSpec spec,
                         SpecFromProto(protos[i], absl::StrCat(path, "[", i, "]")));
    specs.push_back(std::move(spec));
  }
  return specs;
}

void ToProto(const jobs::Sample& sample, v1::Sample* proto) {
  proto->set_id(sample.id);
  for (const Column& column : sample.tensors) {
    v1::Tensor* tensor = proto->add_tensors();
    ToProto(column.spec, tensor->mutable_spec());
    tensor->set_data(column.data.data(), column.data.size());
  }
}

absl::StatusOr<std::vector<jobs::Sample>> FromProto(
    const google::protobuf::RepeatedPtrField<v1::Sample>& protos, const std::string& path) {
  std::vector<jobs::Sample> samples(static_cast<size_t>(protos.size()));
  for (int i = 0; i < protos.size(); ++i) {
    jobs::Sample& sample = samples[static_cast<size_t>(i)];
    sample.id = protos[i].id();
    for (int k = 0; k < protos[i].tensors_size(); ++k) {
      const v1::Tensor& tensor = protos[i].tensors(k);
      Column column;
      BIF_ASSIGN_OR_RETURN(
          column.spec,
          SpecFromProto(tensor.spec(), absl::StrCat(path, "[", i, "].tensors[", k, "].spec")));
      column.data.resize(tensor.data().size());
      if (!column.data.empty())
        std::memcpy(column.data.data(), tensor.data().data(), column.data.size());
      sample.tensors.push_back(std::move(column));
    }
  }
  return samples;
}

std::vector<std::string> Strings(const google::protobuf::RepeatedPtrField<std::string>& protos) {
  return {protos.begin(), protos.end()};
}

absl::StatusOr<int> PriorityFromProto(int32_t priority) {
  constexpr int kMost = 100;
  if (priority < -kMost || priority > kMost) {
    return FieldError("priority", "must be " + std::to_string(-kMost) + " to " +
                                      std::to_string(kMost) + ", is " + std::to_string(priority));
  }
  return priority;
}

absl::StatusOr<bool> WantsTokens(v1::Granularity granularity, const std::string& path) {
  BIF_ASSIGN_OR_RETURN(
      const v1::Granularity wanted,
      EnumFromProto(granularity, v1::Granularity_IsValid(granularity), v1::SEQUENCE, path));
  return wanted == v1::TOKEN;
}

}  // namespace bif::server
