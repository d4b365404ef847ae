#include "tests/crash/questions.h"

#include "src/base/digest.h"

namespace bif::testing {
namespace {

namespace v1 = ::bif::v1;

template <typename Numbers>
void Update(Sha256& sha, const Numbers& numbers) {
  sha.UpdateField({reinterpret_cast<const char*>(numbers.data()), numbers.size() * sizeof(float)});
}

void Name(const std::string& dataset, const std::vector<std::string>& ids, v1::SampleSet& set) {
  set.set_dataset(dataset);
  for (const std::string& id : ids) set.add_sample_ids(id);
}

}  // namespace

absl::StatusOr<std::string> TracesDigest(client::Client& client, const std::string& posterior,
                                         const std::string& dataset,
                                         const std::vector<std::string>& ids) {
  v1::ExportTracesRequest request;
  request.set_posterior(posterior);
  Name(dataset, ids, *request.mutable_samples());
  Sha256 sha;
  const absl::Status status =
      client.ExportTraces(request, [&](const v1::ExportTracesResponse& block) {
        for (const std::string& id : block.sample_ids()) sha.UpdateField(id);
        Update(sha, block.values());
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return ToHex(sha.Finish());
}

absl::StatusOr<std::string> ScoresDigest(client::Client& client, const std::string& posterior,
                                         const std::string& dataset,
                                         const std::vector<std::string>& ids) {
  v1::ScoreMatrixRequest request;
  request.set_posterior(posterior);
  Name(dataset, ids, *request.mutable_queries());
  Name(dataset, ids, *request.mutable_candidates());
  request.set_standard_errors(true);
  Sha256 sha;
  const absl::Status status =
      client.ScoreMatrix(request, [&](const v1::ScoreMatrixResponse& block) {
        Update(sha, block.scores());
        Update(sha, block.standard_errors());
        return absl::OkStatus();
      });
  if (!status.ok()) return status;
  return ToHex(sha.Finish());
}

absl::StatusOr<std::string> DiagnosticsDigest(client::Client& client,
                                              const std::string& posterior) {
  const absl::StatusOr<v1::Diagnostics> diagnostics = client.GetDiagnostics(posterior);
  if (!diagnostics.ok()) return diagnostics.status();
  Sha256 sha;
  sha.UpdateField(diagnostics->SerializeAsString());
  return ToHex(sha.Finish());
}

}  // namespace bif::testing
