// The daemon's certificate for TLS, from PEM files, checked before it is used.
//
// Free functions, thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

namespace bif::server {

struct TlsFiles {
  std::string certificate;  // the server's, and behind it those that lead to its authority
  std::string key;          // the private key that belongs to it, without a passphrase
  std::string client_ca;    // whose certificates clients must show; empty: none is asked for

  bool enabled() const { return !certificate.empty(); }
  bool operator==(const TlsFiles&) const = default;
};

// What the files hold.
struct Certificates {
  std::string certificate_pem;
  std::string key_pem;
  std::string client_ca_pem;
  absl::Time expires;  // the server's certificate
};

// INVALID_ARGUMENT in words that say which file is wrong and why: it holds no certificate or key,
// or the key is another certificate's; or as ReadFile where one cannot be read. An expired
// certificate is none of these: clients refuse it, and say so.
absl::StatusOr<Certificates> ReadCertificates(const TlsFiles& files);

}  // namespace bif::server
