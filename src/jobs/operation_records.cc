#include "src/jobs/operation_records.h"

#include "src/jobs/resource_names.h"

namespace bif::jobs {

storage::pb::CostEstimate ToRecord(const CostEstimate& estimate) {
  storage::pb::CostEstimate record;
  record.set_gradient_samples(estimate.gradient_samples);
  record.set_forward_samples(estimate.forward_samples);
  record.set_device_bytes(estimate.device_bytes);
  record.set_disk_bytes(estimate.disk_bytes);
  if (estimate.duration) record.set_duration_micros(absl::ToInt64Microseconds(*estimate.duration));
  return record;
}

CostEstimate FromRecord(const storage::pb::CostEstimate& record) {
  CostEstimate estimate;
  estimate.gradient_samples = record.gradient_samples();
  estimate.forward_samples = record.forward_samples();
  estimate.device_bytes = record.device_bytes();
  estimate.disk_bytes = record.disk_bytes();
  if (record.duration_micros() > 0)
    estimate.duration = absl::Microseconds(record.duration_micros());
  return estimate;
}

storage::pb::OperationProgress ToRecord(const OperationProgress& progress) {
  storage::pb::OperationProgress record;
  record.set_stage(progress.stage);
  record.set_draws_done(progress.draws_done);
  record.set_draws_total(progress.draws_total);
  record.set_chains_diverged(progress.chains_diverged);
  record.set_rows(progress.rows);
  record.set_ess_bulk(progress.ess_bulk);
  if (progress.estimate) *record.mutable_estimate() = ToRecord(*progress.estimate);
  return record;
}

storage::pb::OperationResult ToRecord(const OperationResult& result) {
  storage::pb::OperationResult record;
  record.set_rows_traced(result.rows_traced);
  record.set_rows_already_there(result.rows_already_there);
  return record;
}

void SetError(const absl::Status& error, storage::pb::OperationRecord& record) {
  record.set_error_code(static_cast<int>(error.code()));
  record.set_error_message(std::string(error.message()));
}

Operation FromRecord(const storage::pb::OperationRecord& record) {
  Operation operation;
  operation.name = OperationName(record.id());
  operation.kind = record.kind();
  operation.target = PosteriorName(record.target());
  operation.done = record.done();
  operation.error =
      absl::Status(static_cast<absl::StatusCode>(record.error_code()), record.error_message());
  operation.sequence = record.sequence();
  operation.cancel_requested = record.cancel_requested();
  operation.create_time = absl::FromUnixMicros(record.create_time_unix_micros());
  operation.end_time = absl::FromUnixMicros(record.end_time_unix_micros());

  storage::pb::OperationResult result;
  if (result.ParseFromString(record.response())) {
    operation.result = {result.rows_traced(), result.rows_already_there()};
  }
  storage::pb::OperationProgress progress;
  if (progress.ParseFromString(record.progress())) {
    operation.progress.stage = progress.stage();
    operation.progress.draws_done = progress.draws_done();
    operation.progress.draws_total = progress.draws_total();
    operation.progress.chains_diverged = progress.chains_diverged();
    operation.progress.rows = progress.rows();
    operation.progress.ess_bulk = progress.ess_bulk();
    if (progress.has_estimate()) operation.progress.estimate = FromRecord(progress.estimate());
  }
  return operation;
}

}  // namespace bif::jobs
