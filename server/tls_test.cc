// TLS on the listener: who is let in, who is not, and certificates that are replaced meanwhile.
#include <gmock/gmock.h>
#include <grpc/grpc.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/time/clock.h"
#include "bif/v1/admin.pb.h"
#include "server/certificates.h"
#include "tests/support/server/test_certificates.h"
#include "tests/support/server/test_server.h"
#include "tests/support/temp_dir.h"

namespace bif::server::testing {
namespace {

// gRPC frees what a refused handshake leaves behind on threads of its own: the program waits for
// them, so that what is left at its end is a leak.
class GrpcShutsDown : public ::testing::Environment {
 public:
  void SetUp() override { grpc_init(); }
  void TearDown() override { grpc_shutdown_blocking(); }
};
[[maybe_unused]] const auto* const kGrpcShutsDown =
    ::testing::AddGlobalTestEnvironment(new GrpcShutsDown);

using ::testing::HasSubstr;

class Tls : public ::testing::Test {
 protected:
  Tls() { Install(MakeCertificate(authority_, "first", 2)); }

  void Install(const Certificate& certificate) {
    WriteText(files_.certificate, certificate.certificate);
    WriteText(files_.key, certificate.key);
  }
  ServerOptions Options() const {
    ServerOptions options;
    options.tls = files_;
    return options;
  }
  static std::shared_ptr<grpc::ChannelCredentials> Trusting(const Certificate& authority,
                                                            const Certificate& own = {}) {
    return grpc::SslCredentials({authority.certificate, own.key, own.certificate});
  }
  // One call over a connection of its own.
  static absl::StatusCode Call(TestServer& server,
                               std::shared_ptr<grpc::ChannelCredentials> credentials) {
    server.TalkOverTcp(std::move(credentials));
    v1::ServerInfo info;
    return server
        .Call("bif.v1.Admin/GetServerInfo", v1::GetServerInfoRequest(), info, absl::Seconds(20))
        .code;
  }

  bif::testing::TempDir folder_;
  const Certificate authority_ = MakeAuthority("authority");
  const Certificate stranger_ = MakeAuthority("stranger");
  const TlsFiles files_{folder_ / "server.pem", folder_ / "server.key", ""};
};

TEST_F(Tls, ServesWhomItsAuthorityConvincesAndNobodyInTheClear) {
  TestServer server(Options());
  EXPECT_EQ(Call(server, Trusting(authority_)), absl::StatusCode::kOk);
  EXPECT_EQ(Call(server, Trusting(stranger_)), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Call(server, grpc::InsecureChannelCredentials()), absl::StatusCode::kUnavailable);
}

TEST_F(Tls, WhereClientsNeedACertificateOnlyThoseOfTheAuthorityGetIn) {
  const std::string client_ca = folder_ / "client_ca.pem";
  WriteText(client_ca, authority_.certificate);
  ServerOptions options = Options();
  options.tls.client_ca = client_ca;
  TestServer server(options);
  const Certificate friendly = MakeCertificate(authority_, "client", 3);
  const Certificate foreign = MakeCertificate(stranger_, "client", 3);
  EXPECT_EQ(Call(server, Trusting(authority_, friendly)), absl::StatusCode::kOk);
  EXPECT_EQ(Call(server, Trusting(authority_, foreign)), absl::StatusCode::kUnavailable);
  EXPECT_EQ(Call(server, Trusting(authority_)), absl::StatusCode::kUnavailable);
}

// The new certificate is of another authority, so that a client can tell which one it is shown.
TEST_F(Tls, AReplacedCertificateIsShownToWhoeverComesNextAndABrokenOneIsNot) {
  TestServer server(Options());
  ASSERT_EQ(Call(server, Trusting(authority_)), absl::StatusCode::kOk);

  WriteText(files_.certificate, "-----BEGIN CERTIFICATE-----\nhalf of it");
  const absl::Time looked_at_least_once = absl::Now() + absl::Seconds(2);
  while (absl::Now() < looked_at_least_once)
    ASSERT_EQ(Call(server, Trusting(authority_)), absl::StatusCode::kOk) << "the last good one";

  Install(MakeCertificate(stranger_, "second", 4));
  const absl::Time give_up = absl::Now() + absl::Seconds(30);
  absl::StatusCode code = absl::StatusCode::kUnknown;
  while (code != absl::StatusCode::kOk && absl::Now() < give_up)
    code = Call(server, Trusting(stranger_));
  EXPECT_EQ(code, absl::StatusCode::kOk);
  EXPECT_EQ(Call(server, Trusting(authority_)), absl::StatusCode::kUnavailable);
}

TEST_F(Tls, AConnectionThatIsOpenOutlivesItsCertificate) {
  TestServer server(Options());
  ASSERT_EQ(Call(server, Trusting(authority_)), absl::StatusCode::kOk);  // stays open
  Install(MakeCertificate(stranger_, "second", 4));
  server.MetricsText();  // looks at the files
  v1::ServerInfo info;
  EXPECT_EQ(server.Call("bif.v1.Admin/GetServerInfo", v1::GetServerInfoRequest(), info).code,
            absl::StatusCode::kOk);
}

TEST_F(Tls, MetricsSayWhenTheCertificateExpiresAndWhetherItsSuccessorCanBeUsed) {
  TestServer server(Options());
  const auto read = ReadCertificates(files_);
  ASSERT_TRUE(read.ok());
  const int64_t expiry = absl::ToUnixSeconds(read->expires);
  EXPECT_THAT(server.MetricsText(), HasSubstr("bif_certificate_reload_failed 0"));
  EXPECT_THAT(server.MetricsText(), HasSubstr("bif_certificate_expiry_time_seconds"));
  EXPECT_GT(expiry, absl::ToUnixSeconds(absl::Now()));

  WriteText(files_.key, stranger_.key);  // of another certificate: a renewal that stopped half way
  const absl::Time give_up = absl::Now() + absl::Seconds(30);
  std::string text;
  do {
    text = server.MetricsText();
  } while (text.find("bif_certificate_reload_failed 1") == std::string::npos &&
           absl::Now() < give_up);
  EXPECT_THAT(text, HasSubstr("bif_certificate_reload_failed 1"));
  EXPECT_EQ(Call(server, Trusting(authority_)), absl::StatusCode::kOk) << "the last good one";
}

TEST_F(Tls, FilesThatCannotBeUsedAreNamed) {
  const auto message_with = [&](const TlsFiles& files) {
    const auto read = ReadCertificates(files);
    return read.ok() ? std::string() : std::string(read.status().message());
  };
  EXPECT_EQ(message_with(files_), "");
  EXPECT_THAT(message_with({"/no/such/file", files_.key, ""}), HasSubstr("/no/such/file"));
  EXPECT_THAT(message_with({files_.key, files_.key, ""}), HasSubstr("holds no certificate"));
  EXPECT_THAT(message_with({files_.certificate, files_.certificate, ""}),
              HasSubstr("holds no private key"));
  const std::string other_key = folder_ / "other.key";
  WriteText(other_key, stranger_.key);
  EXPECT_THAT(message_with({files_.certificate, other_key, ""}),
              HasSubstr("is not the key of " + files_.certificate));
  EXPECT_THAT(message_with({files_.certificate, files_.key, files_.key}),
              HasSubstr("holds no certificate"));
}

TEST_F(Tls, BeyondTheLoopbackEverybodyNeedsATokenAndWithoutTlsNobodyListensThere) {
  TestServer server;
  ServerOptions options;
  options.listen = "0.0.0.0:0";
  observe::Metrics metrics;
  EXPECT_EQ(Server::Start(options, {}, server.jobs(), metrics).status().code(),
            absl::StatusCode::kInvalidArgument);
  options.tls = files_;
  const auto open = Server::Start(options, {}, server.jobs(), metrics);
  ASSERT_TRUE(open.ok()) << open.status();
  server.TalkTo("127.0.0.1:" + std::to_string((*open)->port()), Trusting(authority_));
  v1::ServerInfo info;
  EXPECT_EQ(server.Call("bif.v1.Admin/GetServerInfo", v1::GetServerInfoRequest(), info).code,
            absl::StatusCode::kUnauthenticated);
  server.TalkOverTcp();
}

}  // namespace
}  // namespace bif::server::testing
