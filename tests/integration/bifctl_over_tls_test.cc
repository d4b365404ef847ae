// bifctl against a server with TLS: who gets in, and what it says to who does not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/certificates.h"
#include "tests/support/client/bifctl_fixture.h"
#include "tests/support/server/test_certificates.h"
#include "tests/support/server/test_server.h"
#include "tests/support/temp_dir.h"

namespace bif::server::testing {
namespace {

using ::testing::HasSubstr;

class BifctlOverTls : public ::testing::Test {
 protected:
  BifctlOverTls() {
    Write("server", MakeCertificate(authority_, "server", 2));
    Write("friend", MakeCertificate(authority_, "friend", 3));
    Write("foreigner", MakeCertificate(stranger_, "foreigner", 4));
    WriteText(folder_ / "ca.pem", authority_.certificate);
    WriteText(folder_ / "stranger.pem", stranger_.certificate);
  }
  void Write(const std::string& name, const Certificate& certificate) {
    WriteText(folder_ / (name + ".pem"), certificate.certificate);
    WriteText(folder_ / (name + ".key"), certificate.key);
  }
  ServerOptions Options(bool clients_need_one = false) const {
    ServerOptions options;
    options.tls = {folder_ / "server.pem", folder_ / "server.key",
                   clients_need_one ? folder_ / "ca.pem" : ""};
    return options;
  }
  std::string Flag(const std::string& flag, const std::string& file) const {
    return " --tls-" + flag + " " + std::string(folder_ / file);
  }
  static client::Ran Ask(TestServer& server, const std::string& flags) {
    return client::RunLine("dataset list" + flags, server.server().address());
  }

  bif::testing::TempDir folder_;
  const Certificate authority_ = MakeAuthority("authority");
  const Certificate stranger_ = MakeAuthority("stranger");
};

TEST_F(BifctlOverTls, GetsInWithTheAuthorityAndIsToldWhatIsWrongWithout) {
  TestServer server(Options());
  EXPECT_EQ(Ask(server, Flag("ca", "ca.pem")).exit_code, 0);

  const client::Ran wrong = Ask(server, Flag("ca", "stranger.pem"));
  EXPECT_NE(wrong.exit_code, 0);
  EXPECT_THAT(wrong.err, HasSubstr("is not of the authority in"));
  const client::Ran clear = Ask(server, "");
  EXPECT_NE(clear.exit_code, 0);
  EXPECT_THAT(clear.err, HasSubstr("it may want TLS"));
}

TEST_F(BifctlOverTls, IsToldThatTheServerSpeaksPlaintext) {
  TestServer server;
  const client::Ran ran = Ask(server, Flag("ca", "ca.pem"));
  EXPECT_NE(ran.exit_code, 0);
  EXPECT_THAT(ran.err, HasSubstr("it speaks plaintext"));
}

TEST_F(BifctlOverTls, ShowsACertificateWhereOneIsWanted) {
  TestServer server(Options(/*clients_need_one=*/true));
  const std::string ca = Flag("ca", "ca.pem");
  EXPECT_EQ(
      Ask(server, ca + Flag("certificate", "friend.pem") + Flag("key", "friend.key")).exit_code, 0);
  const client::Ran without = Ask(server, ca);
  EXPECT_NE(without.exit_code, 0);
  EXPECT_THAT(without.err, HasSubstr("it may want a certificate of its clients"));
  const client::Ran foreign =
      Ask(server, ca + Flag("certificate", "foreigner.pem") + Flag("key", "foreigner.key"));
  EXPECT_NE(foreign.exit_code, 0);
  EXPECT_THAT(foreign.err, HasSubstr("it may not trust the authority of"));
}

}  // namespace
}  // namespace bif::server::testing
