// How a client speaks to its server: in the clear, or over TLS.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace grpc {
class ChannelCredentials;
}

namespace bif::client {

// PEM files.
struct TlsFiles {
  std::string ca;  // of the authority that the server's certificate must come from; empty: no TLS
  std::string certificate;  // with which the client shows who it is, and its key; empty: none
  std::string key;

  bool enabled() const { return !ca.empty(); }
};

// For a connection to `server`: a Unix socket ("unix:PATH") speaks plaintext whatever the files
// say. INVALID_ARGUMENT or NOT_FOUND names the file that cannot be used.
absl::StatusOr<std::shared_ptr<grpc::ChannelCredentials>> CredentialsOf(const TlsFiles& files,
                                                                        const std::string& server);

// What to do about a connection that failed with this message, in a sentence; empty if there is
// nothing to say.
std::string ConnectionAdvice(absl::string_view message, const TlsFiles& files);

}  // namespace bif::client
