// Between the names that a caller uses and those that the jobs know (src/jobs/tenant.h).
//
//   caller of tenant vision       the jobs
//   datasets/cifar                datasets/vision~cifar
//   tenants/text/posteriors/12ab  posteriors/text~12ab, if text shares it with vision
//   tenants/default/datasets/a    datasets/a, likewise
//
// Requests and answers are walked by reflection: every field that holds a name is in one table, so
// no handler can forget one. Pure functions but for the look at what is shared; thread-safe.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "server/caller.h"
#include "src/jobs/tenants.h"

namespace bif::server {

// NOT_FOUND for a name of another tenant that is not shared with the caller's; PERMISSION_DENIED if
// it is, but this call may not name what is only shared.
absl::Status QualifyNames(const Caller& caller, const jobs::Tenants& tenants, bool reads_shared,
                          google::protobuf::Message& request);

void UnqualifyNames(const std::string& tenant, google::protobuf::Message& answer);

// One name, and names within a sentence.
std::string UnqualifyName(const std::string& tenant, const std::string& name);
std::string UnqualifyText(const std::string& tenant, const std::string& text);

// Whether a field of the API holds names.
bool HoldsNames(const google::protobuf::FieldDescriptor& field);

}  // namespace bif::server
