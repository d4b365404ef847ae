#include "tests/integration/hostile_fixture.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <system_error>

#include "absl/functional/function_ref.h"
#include "absl/time/clock.h"
#include "google/protobuf/empty.pb.h"

namespace bif::server::testing {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kMemoryIsOurs = false;  // freed memory is kept to find its late users
#else
constexpr bool kMemoryIsOurs = true;
#endif

int64_t ResidentBytes() {
  std::ifstream file("/proc/self/statm");
  int64_t total = 0;
  int64_t resident = 0;
  file >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

int OpenSockets() {
  int sockets = 0;
  std::error_code error;
  for (const auto& file : std::filesystem::directory_iterator("/proc/self/fd")) {
    const std::filesystem::path target = std::filesystem::read_symlink(file, error);
    if (!error && target.string().starts_with("socket:")) ++sockets;
  }
  return sockets;
}

// Asks again and again, for 30 s.
bool Becomes(absl::FunctionRef<bool()> condition) {
  const absl::Time give_up = absl::Now() + absl::Seconds(30);
  while (!condition()) {
    if (absl::Now() > give_up) return false;
    absl::SleepFor(absl::Milliseconds(1));
  }
  return true;
}

}  // namespace

HostileClients::HostileClients(const ServerOptions& options) : server_(options) {
  server_.TalkOverTcp();
  MakeDataset(server_, "warm", 8);  // what is made once, the first time, is not the attack's doing
  sockets_at_start_ = OpenSockets();
  resident_at_start_ = ResidentBytes();
}

void HostileClients::ExpectUnharmed() {
  google::protobuf::Empty request;
  google::protobuf::Empty response;
  const CallEnd end =
      server_.Call("grpc.health.v1.Health/Check", request, response, absl::Seconds(10));
  EXPECT_TRUE(end.ok()) << end;
  EXPECT_EQ(response.SerializeAsString(), "\x08\x01") << "not SERVING";

  // An open connection has both its ends in this process.
  const int sockets = sockets_at_start_ + 2 * bif::testing::RawConnection::open_connections();
  EXPECT_TRUE(Becomes([&] { return OpenSockets() <= sockets; })) << "connections are left open";
  ExpectLiveCalls(0);
  if (kMemoryIsOurs) {
    EXPECT_LT(ResidentBytes() - resident_at_start_, kMaxGrowthBytes);
  }
}

void HostileClients::ExpectLiveCalls(size_t at_most) {
  EXPECT_TRUE(Becomes([&] { return server_.server().live_calls() <= at_most; }))
      << server_.server().live_calls() << " calls";
}

bif::testing::RawConnection HostileClients::Connect() {
  return bif::testing::RawConnection(server_.server().port());
}

v1::AttributeRequest HostileClients::Question(const std::string& posterior, int row) const {
  v1::AttributeRequest request;
  request.set_posterior(posterior);
  request.set_top_k(3);
  *request.mutable_queries()->add_inline_() = RegressionSample(row, "");
  return request;
}

v1::AttributeResponse HostileClients::Answer(const std::string& posterior, int row) {
  auto stream = server_.Read("bif.v1.Attribution/Attribute", Question(posterior, row));
  v1::AttributeResponse last;
  for (v1::AttributeResponse message; stream->Next(message);) last = message;
  const CallEnd end = stream->Finish();
  EXPECT_TRUE(end.ok()) << end;
  EXPECT_TRUE(last.final());
  return last;
}

int64_t HostileClients::SamplesOf(const std::string& dataset) {
  v1::GetDatasetRequest request;
  request.set_name(dataset);
  v1::Dataset response;
  const CallEnd end = server_.Call("bif.v1.Datasets/GetDataset", request, response);
  EXPECT_TRUE(end.ok()) << end;
  return response.samples();
}

uint64_t SeededBytes::Below(uint64_t bound) {
  state_ = state_ * 6364136223846793005u + 1442695040888963407u;
  return (state_ >> 33) % bound;
}

std::string SeededBytes::Bytes(size_t count) {
  std::string bytes(count, '\0');
  for (char& byte : bytes) byte = static_cast<char>(Below(256));
  return bytes;
}

}  // namespace bif::server::testing
