// Certificates for tests: an authority of its own, and what it vouches for.
//
// Throws if OpenSSL fails: a test without certificates cannot go on.
#pragma once

#include <filesystem>
#include <string>

namespace bif::server::testing {

// PEM texts.
struct Certificate {
  std::string certificate;
  std::string key;
};

Certificate MakeAuthority(const std::string& name);
// For the loopback by name and address, or for a client; `serial` tells certificates apart. Tests
// connect by address: Debian's c-ares leaks a little at every look-up of `localhost`, and the
// address sanitizer tells.
Certificate MakeCertificate(const Certificate& authority, const std::string& name, int serial);

void WriteText(const std::filesystem::path& path, const std::string& text);

}  // namespace bif::server::testing
