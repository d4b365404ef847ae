#include "client/tls.h"

#include <fstream>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/status_macros.h"
#include "grpcpp/security/credentials.h"

namespace bif::client {
namespace {

absl::StatusOr<std::string> ReadPem(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(file), {}};
  if (!file) return absl::NotFoundError("cannot read " + path);
  if (text.find("-----BEGIN ") == std::string::npos)
    return absl::InvalidArgumentError(path + " is no PEM file (-----BEGIN ...)");
  return text;
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> CredentialsOf(const TlsFiles& files,
                                                                        const std::string& server) {
  if (files.certificate.empty() != files.key.empty() ||
      (!files.enabled() && !files.certificate.empty())) {
    return absl::InvalidArgumentError(
        "a client's certificate needs its key, and the server's authority (--tls-ca)");
  }
  if (!files.enabled() || server.starts_with("unix:")) return grpc::InsecureChannelCredentials();
  grpc::SslCredentialsOptions options;
  CLIENT_ASSIGN_OR_RETURN(options.pem_root_certs, ReadPem(files.ca));
  if (!files.certificate.empty()) {
    CLIENT_ASSIGN_OR_RETURN(options.pem_cert_chain, ReadPem(files.certificate));
    CLIENT_ASSIGN_OR_RETURN(options.pem_private_key, ReadPem(files.key));
  }
  return grpc::SslCredentials(options);
}

// gRPC hands on what OpenSSL or the socket says.
std::string ConnectionAdvice(absl::string_view message, const TlsFiles& files) {
  const auto says = [message](absl::string_view text) { return absl::StrContains(message, text); };
  if (!files.enabled()) {
    return says("Socket closed") || says("Connection reset")
               ? "it may want TLS: pass --tls-ca with its authority's certificate"
               : "";
  }
  if (says("certificate verify failed")) {
    return absl::StrCat("its certificate is not of the authority in ", files.ca,
                        ", or has expired");
  }
  if (says("is not in peer certificate"))
    return "its certificate is for another name: name the server as the certificate does";
  if (says("wrong version number")) return "it speaks plaintext: leave out --tls-ca";
  if (says("certificate required") || says("bad certificate") || says("unknown ca") ||
      says("Socket closed")) {
    return files.certificate.empty()
               ? "it may want a certificate of its clients: pass --tls-certificate and --tls-key"
               : absl::StrCat("it may not trust the authority of ", files.certificate);
  }
  return "";
}

}  // namespace bif::client
