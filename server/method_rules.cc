#include "server/method_rules.h"

#include "absl/container/flat_hash_map.h"

namespace bif::server {

std::optional<MethodRule> RuleOf(std::string_view method) {
  using jobs::Role;
  constexpr MethodRule kRead{Role::kRead, false};
  constexpr MethodRule kReadShared{Role::kRead, true};
  constexpr MethodRule kSubmit{Role::kSubmit, false};
  constexpr MethodRule kSubmitWithShared{Role::kSubmit, true};
  constexpr MethodRule kAdmin{Role::kAdmin, false};
  static const auto* const kRules = new absl::flat_hash_map<std::string_view, MethodRule>{
      {"bif.v1.Checkpoints/CreateProgram", kSubmit},
      {"bif.v1.Checkpoints/GetProgram", kRead},
      {"bif.v1.Checkpoints/ListPrograms", kRead},
      {"bif.v1.Checkpoints/DeleteProgram", kSubmit},
      {"bif.v1.Checkpoints/CreateCheckpoint", kSubmit},
      {"bif.v1.Checkpoints/GetCheckpoint", kRead},
      {"bif.v1.Checkpoints/ListCheckpoints", kRead},
      {"bif.v1.Checkpoints/DeleteCheckpoint", kSubmit},
      {"bif.v1.Checkpoints/ListParameters", kRead},
      {"bif.v1.Datasets/CreateDataset", kSubmit},
      {"bif.v1.Datasets/ImportSamples", kSubmit},
      {"bif.v1.Datasets/UploadSamples", kSubmit},
      {"bif.v1.Datasets/AppendSamples", kSubmit},
      {"bif.v1.Datasets/GetSample", kReadShared},
      {"bif.v1.Datasets/ListSamples", kReadShared},
      {"bif.v1.Datasets/DeleteSamples", kSubmit},
      {"bif.v1.Datasets/GetDataset", kReadShared},
      {"bif.v1.Datasets/ListDatasets", kRead},
      {"bif.v1.Datasets/DeleteDataset", kSubmit},
      {"bif.v1.Posteriors/CreatePosterior", kSubmitWithShared},
      {"bif.v1.Posteriors/ExtendPosterior", kSubmit},
      {"bif.v1.Posteriors/GetPosterior", kReadShared},
      {"bif.v1.Posteriors/GetDiagnostics", kReadShared},
      {"bif.v1.Posteriors/ListPosteriors", kRead},
      {"bif.v1.Posteriors/DeletePosterior", kSubmit},
      {"bif.v1.Attribution/TraceSamples", kSubmitWithShared},
      {"bif.v1.Attribution/Attribute", kReadShared},
      {"bif.v1.Attribution/ScoreMatrix", kReadShared},
      {"bif.v1.Attribution/SelfInfluence", kReadShared},
      {"bif.v1.Attribution/TokenInfluence", kReadShared},
      {"bif.v1.Attribution/GroupInfluence", kReadShared},
      {"bif.v1.Attribution/ExportTraces", kReadShared},
      {"bif.v1.OperationWatcher/WatchOperation", kRead},
      {"bif.v1.Sharing/Share", kSubmit},
      {"bif.v1.Sharing/Unshare", kSubmit},
      {"bif.v1.Sharing/ListShares", kRead},
      {"bif.v1.Admin/GetServerInfo", kRead},
      {"bif.v1.Admin/PutTenant", kAdmin},
      {"bif.v1.Admin/GetTenant", kAdmin},
      {"bif.v1.Admin/ListTenants", kAdmin},
      {"bif.v1.Admin/CreateToken", kAdmin},
      {"bif.v1.Admin/ListTokens", kAdmin},
      {"bif.v1.Admin/RevokeToken", kAdmin},
      {"bif.v1.Admin/Reload", kAdmin},
      {"bif.v1.Admin/Drain", kAdmin},
      {"bif.v1.Admin/Backup", kAdmin},
      {"bif.v1.Admin/Scrub", kAdmin},
      {"google.longrunning.Operations/ListOperations", kRead},
      {"google.longrunning.Operations/GetOperation", kRead},
      {"google.longrunning.Operations/DeleteOperation", kSubmit},
      {"google.longrunning.Operations/CancelOperation", kSubmit},
      {"google.longrunning.Operations/WaitOperation", kRead},
  };
  const auto found = kRules->find(method);
  if (found == kRules->end()) return std::nullopt;
  return found->second;
}

}  // namespace bif::server
