#include <array>
#include <charconv>

#include "server/server.h"
#include "src/base/status.h"

namespace bif::server {

absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& address) {
  const size_t colon = address.rfind(':');
  ListenAddress parsed;
  if (colon != std::string::npos) {
    const char* const begin = address.data() + colon + 1;
    const char* const end = address.data() + address.size();
    const auto [rest, error] = std::from_chars(begin, end, parsed.port);
    if (error != std::errc() || rest != end) parsed.port = -1;
    parsed.host = address.substr(0, colon);
  }
  if (parsed.host.empty() || parsed.port < 0 || parsed.port > 65535) {
    return absl::InvalidArgumentError("'" + address + "' is not host:port, like 127.0.0.1:7311");
  }
  // 127.0.0.0/8 is loopback as a whole, but only the usual names keep it simple.
  constexpr std::array<std::string_view, 3> kLoopback = {"127.0.0.1", "[::1]", "localhost"};
  for (std::string_view host : kLoopback) {
    if (parsed.host == host) parsed.loopback = true;
  }
  return parsed;
}

absl::StatusOr<ListenAddress> ParseLoopbackAddress(const std::string& address) {
  BIF_ASSIGN_OR_RETURN(ListenAddress parsed, ParseListenAddress(address));
  if (parsed.loopback) return parsed;
  return absl::InvalidArgumentError(
      "'" + address +
      "' is not a loopback address, and traffic is not encrypted: use 127.0.0.1, [::1] or "
      "localhost, and reach it from elsewhere through an SSH tunnel; the API's listener may have "
      "any address with a certificate (--tls-certificate, --tls-key)");
}

}  // namespace bif::server
