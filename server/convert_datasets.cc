#include "server/convert_datasets.h"

#include "server/call_runtime.h"
#include "server/convert_common.h"

namespace bif::server {

absl::StatusOr<jobs::DatasetSpec> FromProto(const v1::CreateDatasetRequest& proto,
                                            const std::string& tenant) {
  jobs::DatasetSpec spec;
  spec.request = {.tenant = tenant, .id = proto.request_id()};
  if (proto.dataset_id().find(jobs::kTenantMark) != std::string::npos)
    return FieldError("dataset_id", "must hold a-z, 0-9 and - alone");
  spec.id = jobs::ScopedId(tenant, proto.dataset_id());
  spec.display_name = proto.display_name();
  BIF_ASSIGN_OR_RETURN(spec.columns, FromProto(proto.columns(), "columns"));
  return spec;
}

absl::StatusOr<jobs::ImportSpec> FromProto(const v1::ImportSamplesRequest& proto,
                                           const std::string& tenant) {
  jobs::ImportSpec spec;
  spec.request = {.tenant = tenant, .id = proto.request_id()};
  spec.dataset = proto.dataset();
  switch (proto.source_case()) {
    case v1::ImportSamplesRequest::kIdx: {
      jobs::IdxFiles files;
      for (const auto& column : proto.idx().columns())
        files.files.push_back({column.column(), column.path()});
      spec.source = std::move(files);
      break;
    }
    case v1::ImportSamplesRequest::kCifar:
      spec.source = jobs::CifarRecords{.paths = Strings(proto.cifar().paths()),
                                       .image_column = proto.cifar().image_column(),
                                       .label_column = proto.cifar().label_column()};
      break;
    case v1::ImportSamplesRequest::kSafetensors:
      spec.source = jobs::SafetensorsColumns{.path = proto.safetensors().path()};
      break;
    case v1::ImportSamplesRequest::SOURCE_NOT_SET:
      return FieldError("source", "is missing; give one of idx, cifar and safetensors");
  }
  spec.id_prefix = proto.id_prefix();
  spec.first_id = proto.first_id();
  spec.skip_rows = proto.skip_rows();
  spec.max_rows = proto.max_rows();
  return spec;
}

void ToProto(const jobs::Dataset& dataset, v1::Dataset* proto) {
  proto->set_name(dataset.name);
  proto->set_display_name(dataset.display_name);
  for (const TensorSpec& column : dataset.columns) ToProto(column, proto->add_columns());
  proto->set_samples(dataset.samples);
  proto->set_digest(dataset.digest);
  ToProto(dataset.create_time, proto->mutable_create_time());
}

void ToProto(const jobs::StoredSample& sample, v1::Sample* proto) {
  ToProto(sample.sample, proto);
  proto->set_digest(sample.digest);
}

void ToProto(const jobs::AppendResult& result, v1::ImportSamplesResponse* proto) {
  proto->set_imported(result.appended);
  ToProto(result.dataset, proto->mutable_dataset());
}

void ToProto(const jobs::AppendResult& result, v1::AppendSamplesResponse* proto) {
  proto->set_appended(result.appended);
  ToProto(result.dataset, proto->mutable_dataset());
}

void ToProto(const jobs::Page<jobs::Dataset>& page, v1::ListDatasetsResponse* proto) {
  for (const jobs::Dataset& dataset : page.items) ToProto(dataset, proto->add_datasets());
  proto->set_next_page_token(page.next_page_token);
}

void ToProto(const jobs::Page<jobs::StoredSample>& page, v1::ListSamplesResponse* proto) {
  for (const jobs::StoredSample& sample : page.items) ToProto(sample, proto->add_samples());
  proto->set_next_page_token(page.next_page_token);
}

}  // namespace bif::server
