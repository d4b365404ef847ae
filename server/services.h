// The gRPC services of the daemon: thin adapters that turn messages into calls of src/jobs and
// back. Each is its own file, so that a file which needs generated stubs (seconds to compile) is
// compiled when its service changes, and only then.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/call_runtime.h"
#include "server/config.h"

namespace grpc {
class Service;
}

namespace bif::server {

std::unique_ptr<grpc::Service> MakeCheckpointsService(CallRuntime& runtime);
std::unique_ptr<grpc::Service> MakeDatasetsService(CallRuntime& runtime);
std::unique_ptr<grpc::Service> MakePosteriorsService(CallRuntime& runtime);
std::unique_ptr<grpc::Service> MakeAttributionService(CallRuntime& runtime);
std::unique_ptr<grpc::Service> MakeSharingService(CallRuntime& runtime);
std::unique_ptr<grpc::Service> MakeOperationsService(CallRuntime& runtime);
std::unique_ptr<grpc::Service> MakeOperationWatcherService(CallRuntime& runtime);

// What Admin can do to the process around the server. Thread-safe; empty: this server cannot.
struct ServerControls {
  std::function<absl::StatusOr<std::vector<ConfigChange>>()> reload;
  std::function<void()> drain;  // begins the end of the process, and returns
};
// What Admin tells that no job knows.
struct ServerDescription {
  std::string version;
  std::string data_directory;
  absl::Time start_time;
  ServerControls controls = {};
};
std::unique_ptr<grpc::Service> MakeAdminService(CallRuntime& runtime,
                                                const ServerDescription& description);

}  // namespace bif::server
