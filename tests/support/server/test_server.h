// A server in this process, on a fresh data directory and the fake engine, and a client that speaks
// to it with messages alone: no generated stubs, whose headers take seconds to compile in every
// test.
//
// Confined to the test's thread unless a method says otherwise.
#pragma once

#include <iosfwd>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "google/protobuf/message_lite.h"
#include "server/server.h"
#include "src/jobs/jobs.h"
#include "src/observe/metrics.h"
#include "tests/support/fake_engine.h"
#include "tests/support/temp_dir.h"

namespace grpc {
class ChannelCredentials;
}

namespace bif::server::testing {

using google::protobuf::MessageLite;

// How a call ended, its details taken apart.
struct CallEnd {
  absl::StatusCode code = absl::StatusCode::kOk;
  std::string message;
  std::string reason;    // of ErrorInfo
  std::string incident;  // of ErrorInfo's metadata
  std::string field;     // of the first field violation
  bool retry = false;    // has RetryInfo
  bool ok() const { return code == absl::StatusCode::kOk; }
};
std::ostream& operator<<(std::ostream& out, const CallEnd& end);

// A call whose answer is a stream.
class Reading {
 public:
  virtual ~Reading() = default;  // cancels the call if Finish was not called
  virtual bool Next(MessageLite& message) = 0;
  virtual void Cancel() = 0;  // from any thread
  virtual CallEnd Finish() = 0;
};

// A call whose request is a stream.
class Writing {
 public:
  virtual ~Writing() = default;                        // cancels the call if Finish was not called
  virtual bool Write(const MessageLite& message) = 0;  // false: the server has ended the call
  virtual void Cancel() = 0;
  virtual CallEnd Finish() = 0;
};

class TestServer {
 public:
  explicit TestServer(ServerOptions options = {}, jobs::JobsOptions jobs_options = {});
  ~TestServer();

  // From now on every call sends this; an empty value takes it away.
  void SetMetadata(const std::string& key, const std::string& value) {
    if (value.empty()) {
      metadata_.erase(key);
    } else {
      metadata_[key] = value;
    }
  }
  // From now on calls take a TCP connection instead of gRPC's way within the process; a new one at
  // every call of this function.
  void TalkOverTcp(std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr);
  void TalkTo(const std::string& address, std::shared_ptr<grpc::ChannelCredentials> credentials);

  // `method` like "bif.v1.Datasets/GetDataset". From any thread.
  CallEnd Call(const std::string& method, const MessageLite& request, MessageLite& response,
               absl::Duration deadline = absl::Seconds(60));
  CallEnd CallWithBytes(const std::string& method, const std::string& request_bytes);
  // Read also makes calls whose answer is a single message.
  std::unique_ptr<Reading> Read(const std::string& method, const MessageLite& request,
                                absl::Duration deadline = absl::InfiniteDuration());
  std::unique_ptr<Writing> Write(const std::string& method, MessageLite& response,
                                 absl::Duration deadline = absl::InfiniteDuration());

  // Writes a file below the one allowed root; gives its path.
  std::string WriteFile(const std::string& name, const std::string& content);

  bif::testing::FakeEngine& engine() { return engine_; }
  jobs::Jobs& jobs() { return *jobs_; }
  Server& server() { return *server_; }
  std::string MetricsText() const { return metrics_.Text(); }

 private:
  bif::testing::TempDir scratch_;
  bif::testing::FakeEngine engine_;
  observe::Metrics metrics_;
  std::unique_ptr<storage::Store> store_;
  std::unique_ptr<jobs::Jobs> jobs_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::map<std::string, std::string> metadata_;
};

}  // namespace bif::server::testing
