// Admin.Backup and Admin.Scrub: what their streams say. Thread-safe.
#pragma once

#include "absl/status/status.h"
#include "bif/v1/admin.pb.h"
#include "server/server_stream_call.h"
#include "src/jobs/jobs.h"

namespace bif::server {

absl::Status ProduceBackup(jobs::Jobs& jobs, const v1::BackupRequest& request,
                           StreamWriter<v1::BackupResponse>& writer);

// Damage is told as it is found, and never dropped.
absl::Status ProduceScrub(jobs::Jobs& jobs, const v1::ScrubRequest& request,
                          StreamWriter<v1::ScrubResponse>& writer);

}  // namespace bif::server
