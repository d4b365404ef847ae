// The server as a whole: health, draining, malformed bytes, incidents, full queues, metrics.
#include "server/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <thread>

#include "bif/v1/admin.pb.h"
#include "bif/v1/operations.pb.h"
#include "google/protobuf/empty.pb.h"
#include "tests/support/server/held_run.h"

namespace bif::server::testing {
namespace {

namespace lro = ::google::longrunning;
using ::testing::HasSubstr;

CallEnd AskForInfo(TestServer& server, v1::ServerInfo& info) {
  return server.Call("bif.v1.Admin/GetServerInfo", v1::GetServerInfoRequest(), info);
}

// In a response of grpc.health.v1 field 1 is the status: 1 SERVING, 2 NOT_SERVING.
const std::string kServing = "\x08\x01";
const std::string kNotServing = "\x08\x02";
std::string HealthOf(TestServer& server, const std::string& service) {
  google::protobuf::Empty request;  // field 1 of a HealthCheckRequest is the service's name
  if (!service.empty())
    request.ParseFromString("\x0a" + std::string(1, static_cast<char>(service.size())) + service);
  google::protobuf::Empty response;
  const CallEnd end = server.Call("grpc.health.v1.Health/Check", request, response);
  EXPECT_TRUE(end.ok()) << service << ": " << end;
  return response.SerializeAsString();
}

TEST(Server, TellsAboutItself) {
  TestServer server;
  v1::ServerInfo info;
  ASSERT_TRUE(AskForInfo(server, info).ok());
  EXPECT_EQ(info.version(), "test");
  EXPECT_FALSE(info.device().empty());
  EXPECT_GT(info.free_disk_bytes(), 0);
  EXPECT_GT(info.resident_bytes(), 0);
}

TEST(Server, HealthIsServingUntilItDrainsAndThenCallsAreUnavailable) {
  TestServer server;
  for (const char* service : {"", "readiness", "liveness"})
    EXPECT_EQ(HealthOf(server, service), kServing) << service;
  server.server().StartDraining();
  EXPECT_EQ(HealthOf(server, ""), kNotServing);
  EXPECT_EQ(HealthOf(server, "readiness"), kNotServing);
  EXPECT_EQ(HealthOf(server, "liveness"), kServing) << "whoever drains must not be killed for it";
  v1::ServerInfo info;
  const CallEnd end = AskForInfo(server, info);
  EXPECT_EQ(end.code, absl::StatusCode::kUnavailable);
  EXPECT_TRUE(end.retry);
}

TEST(Server, IsNotReadyWhileTheDeviceHangsAndThenAgain) {
  jobs::JobsOptions options;
  options.executor.stuck_after = absl::ZeroDuration();  // any step at all
  options.chores_period = absl::Hours(1);               // the test looks itself
  TestServer server({}, options);
  HeldRun run(server);
  run.AwaitArrival();
  server.jobs().executor().Watch();
  EXPECT_EQ(HealthOf(server, ""), kNotServing);
  EXPECT_EQ(HealthOf(server, "readiness"), kNotServing);
  EXPECT_EQ(HealthOf(server, "liveness"), kServing) << "a restart is for a person to decide";
  EXPECT_THAT(server.MetricsText(), HasSubstr("bif_device_stuck 1"));
  EXPECT_THAT(server.MetricsText(), HasSubstr("bif_ready 0"));
  v1::ServerInfo info;
  EXPECT_TRUE(AskForInfo(server, info).ok()) << "what needs no device is answered";

  run.Release();
  EXPECT_FALSE(WaitFor(server, run.operation()).has_error());
  while (server.jobs().executor().tasks() > 0) std::this_thread::yield();
  server.jobs().executor().Watch();
  EXPECT_EQ(HealthOf(server, "readiness"), kServing);
  EXPECT_THAT(server.MetricsText(), HasSubstr("bif_device_stuck 0"));
  EXPECT_THAT(server.MetricsText(), HasSubstr("bif_ready 1"));
}

TEST(Server, ADeviceThatGoesOnDoesNotEndADrain) {
  jobs::JobsOptions options;
  options.executor.stuck_after = absl::ZeroDuration();
  options.chores_period = absl::Hours(1);
  TestServer server({}, options);
  HeldRun run(server);
  run.AwaitArrival();
  server.jobs().executor().Watch();
  server.server().StartDraining();
  run.Release();
  while (server.jobs().executor().tasks() > 0) std::this_thread::yield();
  server.jobs().executor().Watch();
  EXPECT_EQ(HealthOf(server, "readiness"), kNotServing);
}

TEST(Server, ReflectionIsRegistered) {
  TestServer server;
  auto stream = server.Read("grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                            google::protobuf::Empty());  // a request without a question
  google::protobuf::Empty response;
  stream->Next(response);
  EXPECT_NE(stream->Finish().code, absl::StatusCode::kUnimplemented);
}

TEST(Server, MalformedBytesEndTheCallAndNotTheServer) {
  TestServer server;
  for (const char* method : {"bif.v1.Datasets/GetDataset", "bif.v1.Posteriors/CreatePosterior"}) {
    EXPECT_FALSE(server.CallWithBytes(method, "\xff\xff\xff\xff\xff").ok()) << method;
  }
  EXPECT_EQ(server.CallWithBytes("bif.v1.NoSuch/Method", "").code,
            absl::StatusCode::kUnimplemented);
  v1::ServerInfo info;
  EXPECT_TRUE(AskForInfo(server, info).ok());
}

TEST(Server, DrainingEndsWatchesAndWaitsWhoseOperationWillNotEndAnyMore) {
  TestServer server;
  HeldRun run(server);
  v1::WatchOperationResponse change;
  auto stream = run.Watch(change);

  server.server().StartDraining();
  while (stream->Next(change)) {
  }
  EXPECT_EQ(stream->Finish().code, absl::StatusCode::kUnavailable);
  run.Release();
  server.jobs().Drain();
}

TEST(Server, NoCallOutlivesItsEnd) {
  TestServer server;
  const std::string posterior = MakePosterior(server, 8);  // uploads, short calls, a wait
  v1::ExportTracesRequest request;
  request.set_posterior(posterior);
  request.mutable_samples()->set_dataset("datasets/train");
  server.Read("bif.v1.Attribution/ExportTraces", request)->Cancel();
  v1::Program program;
  server.Write("bif.v1.Checkpoints/CreateProgram", program)->Cancel();
  v1::WatchOperationRequest watch;
  watch.set_name("operations/none");
  server.Read("bif.v1.OperationWatcher/WatchOperation", watch)->Finish();

  server.server().StartDraining();
  server.server().Stop(absl::Seconds(10));  // returns at once where no call lives
  EXPECT_EQ(server.server().live_calls(), 0u);
}

TEST(Server, RequestsAreCountedByMethodAndCode) {
  TestServer server;
  v1::ServerInfo info;
  ASSERT_TRUE(AskForInfo(server, info).ok());
  v1::GetDatasetRequest request;
  request.set_name("datasets/none");
  v1::Dataset dataset;
  EXPECT_EQ(server.Call("bif.v1.Datasets/GetDataset", request, dataset).code,
            absl::StatusCode::kNotFound);
  const std::string text = server.MetricsText();
  EXPECT_THAT(text,
              HasSubstr("bif_requests_total{code=\"OK\",method=\"bif.v1.Admin/GetServerInfo\"} 1"));
  EXPECT_THAT(
      text,
      HasSubstr("bif_requests_total{code=\"NOT_FOUND\",method=\"bif.v1.Datasets/GetDataset\"} 1"));
  EXPECT_THAT(text,
              HasSubstr("bif_request_seconds_count{method=\"bif.v1.Datasets/GetDataset\"} 1"));
  EXPECT_THAT(text, HasSubstr("bif_process_resident_bytes"));
  EXPECT_THAT(text, HasSubstr("bif_device_busy_seconds_total"));
}

TEST(Server, AFailingEngineGivesTheOperationAnIncidentAndTheServerGoesOn) {
  TestServer server;
  server.engine().hooks().on_load = [](int64_t) { return absl::InternalError("aten::mm: shapes"); };
  const lro::Operation operation =
      WaitFor(server, StartPosterior(server, PosteriorRequest(server, 8)));
  EXPECT_EQ(operation.error().code(), 13);
  EXPECT_THAT(operation.error().message(), HasSubstr("incident"));
  v1::ServerInfo info;
  EXPECT_TRUE(AskForInfo(server, info).ok());
}

TEST(Server, ATakenPortIsRefusedInsteadOfShared) {
  TestServer first;
  ServerOptions options;
  options.listen = first.server().address();
  observe::Metrics metrics;
  EXPECT_EQ(Server::Start(options, {}, first.jobs(), metrics).status().code(),
            absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace bif::server::testing
