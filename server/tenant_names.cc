#include "server/tenant_names.h"

#include <array>
#include <memory>
#include <string_view>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "google/protobuf/any.pb.h"

namespace bif::server {
namespace {

using google::protobuf::Any;
using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr std::array<std::string_view, 5> kCollections = {"programs/", "checkpoints/", "datasets/",
                                                          "posteriors/", "operations/"};
constexpr std::string_view kTenants = "tenants/";
constexpr std::string_view kSamples = "/samples/";

// "datasets/a/samples/b" -> {"datasets/", "a", "/samples/b"}. No collection: not a name.
struct NameParts {
  std::string collection;
  std::string id;
  std::string rest;
};
NameParts Split(std::string_view name) {
  for (const std::string_view collection : kCollections) {
    if (!name.starts_with(collection)) continue;
    const std::string_view id = name.substr(collection.size());
    const size_t end = std::min(id.find(kSamples), id.size());
    return {std::string(collection), std::string(id.substr(0, end)), std::string(id.substr(end))};
  }
  return {};
}

absl::Status DoesNotExist(const std::string& name) {
  return absl::NotFoundError(absl::StrCat(name, " does not exist"));
}

absl::StatusOr<std::string> QualifyName(const Caller& caller, const jobs::Tenants& tenants,
                                        bool reads_shared, const std::string& name) {
  std::string owner = caller.tenant;
  std::string_view rest = name;
  if (rest.starts_with(kTenants)) {
    rest.remove_prefix(kTenants.size());
    const size_t end = rest.find('/');
    if (end == std::string_view::npos) return DoesNotExist(name);
    owner = std::string(rest.substr(0, end));
    rest.remove_prefix(end + 1);
  }
  const NameParts parts = Split(rest);
  if (parts.collection.empty())  // whoever reads the field says what is wrong with it
    return owner == caller.tenant ? name : absl::StatusOr<std::string>(DoesNotExist(name));
  if (absl::StrContains(parts.id, std::string(1, jobs::kTenantMark)) ||
      (owner != jobs::kDefaultTenant && !jobs::IsTenantId(owner)))
    return DoesNotExist(name);
  const std::string qualified = parts.collection + jobs::ScopedId(owner, parts.id);
  if (owner != caller.tenant) {
    if (!tenants.IsShared(qualified, caller.tenant)) return DoesNotExist(name);
    if (!reads_shared) {
      return absl::PermissionDeniedError(
          absl::StrCat(name, " is shared with you to read; only its owner may change it"));
    }
  }
  return qualified + parts.rest;
}

// The fields of a message, or of those within it, that hold names.
struct Plan {
  std::vector<const FieldDescriptor*> names;
  std::vector<const FieldDescriptor*> messages;
  bool is_any = false;
  bool empty() const { return names.empty() && messages.empty() && !is_any; }
};

const Plan& PlanOf(const Descriptor& type) {
  static absl::Mutex mutex(absl::kConstInit);
  static auto* const plans = new absl::flat_hash_map<const Descriptor*, std::unique_ptr<Plan>>;
  {
    absl::MutexLock lock(&mutex);
    const auto known = plans->find(&type);
    if (known != plans->end()) return *known->second;
  }
  auto plan = std::make_unique<Plan>();
  plan->is_any = &type == Any::descriptor();
  for (int f = 0; !plan->is_any && f < type.field_count(); ++f) {
    const FieldDescriptor* field = type.field(f);
    if (HoldsNames(*field)) plan->names.push_back(field);
    // No message of the API contains itself.
    if (field->message_type() != nullptr && !PlanOf(*field->message_type()).empty())
      plan->messages.push_back(field);
  }
  absl::MutexLock lock(&mutex);
  return *plans->try_emplace(&type, std::move(plan)).first->second;
}

// Replaces every name by `change(name)`; stops at the first error.
template <typename Change>
absl::Status ForEachName(Message& message, const Change& change) {
  const Plan& plan = PlanOf(*message.GetDescriptor());
  const auto* reflection = message.GetReflection();
  for (const FieldDescriptor* field : plan.names) {
    const int count = field->is_repeated() ? reflection->FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      const std::string name = field->is_repeated()
                                   ? reflection->GetRepeatedString(message, field, i)
                                   : reflection->GetString(message, field);
      if (name.empty()) continue;
      absl::StatusOr<std::string> changed = change(name);
      if (!changed.ok()) return changed.status();
      if (field->is_repeated()) {
        reflection->SetRepeatedString(&message, field, i, *std::move(changed));
      } else {
        reflection->SetString(&message, field, *std::move(changed));
      }
    }
  }
  for (const FieldDescriptor* field : plan.messages) {
    if (field->is_repeated()) {
      for (int i = 0; i < reflection->FieldSize(message, field); ++i) {
        absl::Status status =
            ForEachName(*reflection->MutableRepeatedMessage(&message, field, i), change);
        if (!status.ok()) return status;
      }
    } else if (reflection->HasField(message, field)) {
      absl::Status status = ForEachName(*reflection->MutableMessage(&message, field), change);
      if (!status.ok()) return status;
    }
  }
  if (plan.is_any) {
    Any& any = static_cast<Any&>(message);
    const std::string& url = any.type_url();
    const Descriptor* type =
        google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
            url.substr(url.rfind('/') + 1));
    if (type == nullptr || PlanOf(*type).empty()) return absl::OkStatus();
    const std::unique_ptr<Message> inner(
        google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
    if (!inner->ParseFromString(any.value())) return absl::OkStatus();
    absl::Status status = ForEachName(*inner, change);
    if (!status.ok()) return status;
    any.set_value(inner->SerializeAsString());
  }
  return absl::OkStatus();
}

}  // namespace

bool HoldsNames(const FieldDescriptor& field) {
  static const auto* const kFields = new absl::flat_hash_set<std::string_view>{
      "bif.v1.AppendSamplesRequest.dataset",
      "bif.v1.AttributeRequest.posterior",
      "bif.v1.Checkpoint.name",
      "bif.v1.Checkpoint.program",
      "bif.v1.CheckpointSpec.program",
      "bif.v1.CreatePosteriorRequest.checkpoint",
      "bif.v1.CreatePosteriorRequest.dataset",
      "bif.v1.Dataset.name",
      "bif.v1.DeleteCheckpointRequest.name",
      "bif.v1.DeleteDatasetRequest.name",
      "bif.v1.DeletePosteriorRequest.name",
      "bif.v1.DeleteProgramRequest.name",
      "bif.v1.DeleteSamplesRequest.dataset",
      "bif.v1.Diagnostics.checkpoint",
      "bif.v1.Diagnostics.posterior",
      "bif.v1.ExportTracesRequest.posterior",
      "bif.v1.ExtendPosteriorRequest.name",
      "bif.v1.GetCheckpointRequest.name",
      "bif.v1.GetDatasetRequest.name",
      "bif.v1.GetDiagnosticsRequest.name",
      "bif.v1.GetPosteriorRequest.name",
      "bif.v1.GetProgramRequest.name",
      "bif.v1.GetSampleRequest.name",
      "bif.v1.GroupInfluenceRequest.posterior",
      "bif.v1.ImportSamplesRequest.dataset",
      "bif.v1.ListParametersRequest.checkpoint",
      "bif.v1.ListSamplesRequest.dataset",
      "bif.v1.Posterior.checkpoint",
      "bif.v1.Posterior.dataset",
      "bif.v1.Posterior.name",
      "bif.v1.Posterior.operation",
      "bif.v1.PosteriorProgress.posterior",
      "bif.v1.Program.name",
      "bif.v1.Provenance.posterior",
      "bif.v1.SampleSet.dataset",
      "bif.v1.SamplingTarget.pilot_dataset",
      "bif.v1.ScoreMatrixRequest.posterior",
      "bif.v1.SelfInfluenceRequest.posterior",
      "bif.v1.ShareRequest.name",
      "bif.v1.SharedResource.name",
      "bif.v1.TokenInfluenceRequest.posterior",
      "bif.v1.TraceProgress.posterior",
      "bif.v1.TraceSamplesRequest.dataset",
      "bif.v1.TraceSamplesRequest.posterior",
      "bif.v1.UnshareRequest.name",
      "bif.v1.WatchOperationRequest.name",
      "google.longrunning.CancelOperationRequest.name",
      "google.longrunning.DeleteOperationRequest.name",
      "google.longrunning.GetOperationRequest.name",
      "google.longrunning.Operation.name",
      "google.longrunning.WaitOperationRequest.name",
  };
  return field.type() == FieldDescriptor::TYPE_STRING && kFields->contains(field.full_name());
}

absl::Status QualifyNames(const Caller& caller, const jobs::Tenants& tenants, bool reads_shared,
                          Message& request) {
  return ForEachName(request, [&](const std::string& name) {
    return QualifyName(caller, tenants, reads_shared, name);
  });
}

std::string UnqualifyName(const std::string& tenant, const std::string& name) {
  const NameParts parts = Split(name);
  if (parts.collection.empty()) return name;
  const std::string owner = jobs::TenantOf(parts.id);
  const std::string plain =
      absl::StrCat(parts.collection, std::string(jobs::WithoutTenant(parts.id)), parts.rest);
  return owner == tenant ? plain : absl::StrCat(std::string(kTenants), owner, "/", plain);
}

void UnqualifyNames(const std::string& tenant, Message& answer) {
  ForEachName(answer, [&](const std::string& name) -> absl::StatusOr<std::string> {
    return UnqualifyName(tenant, name);
  }).IgnoreError();  // it has none
}

std::string UnqualifyText(const std::string& tenant, const std::string& text) {
  std::string plain;
  size_t done = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    // A name begins where a word does.
    if (at > 0 && text[at - 1] != ' ' && text[at - 1] != '"' && text[at - 1] != '(') continue;
    const NameParts parts = Split(std::string_view(text).substr(at));
    const size_t mark = parts.id.find(jobs::kTenantMark);
    if (mark == std::string::npos || !jobs::IsTenantId(parts.id.substr(0, mark))) continue;
    plain += text.substr(done, at - done);
    plain += UnqualifyName(tenant, parts.collection + parts.id.substr(0, mark + 1));
    done = at + parts.collection.size() + mark + 1;
  }
  return plain + text.substr(done);
}

}  // namespace bif::server
