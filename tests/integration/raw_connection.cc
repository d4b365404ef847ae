#include "tests/integration/raw_connection.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <stdexcept>
#include <utility>

namespace bif::testing {
namespace {

constexpr timeval kGiveUp = {.tv_sec = 30, .tv_usec = 0};
constexpr size_t kFrameHead = 9;

std::atomic<int> open_count{0};

}  // namespace

uint32_t NumberIn(std::string_view bytes) {
  uint32_t value = 0;
  for (const char byte : bytes) value = value << 8 | static_cast<unsigned char>(byte);
  return value;
}

RawConnection::RawConnection(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (socket_ < 0 || connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0)
    throw std::runtime_error("cannot connect to port " + std::to_string(port));
  ++open_count;
  setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &kGiveUp, sizeof(kGiveUp));
  setsockopt(socket_, SOL_SOCKET, SO_SNDTIMEO, &kGiveUp, sizeof(kGiveUp));
}

RawConnection::~RawConnection() { Close(); }

RawConnection::RawConnection(RawConnection&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)), received_(std::move(other.received_)) {}

bool RawConnection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

bool RawConnection::Fill(size_t bytes) {
  char buffer[1 << 16];
  while (received_.size() < bytes) {
    const ssize_t got = recv(socket_, buffer, sizeof(buffer), 0);
    if (got <= 0) return false;
    received_.append(buffer, static_cast<size_t>(got));
  }
  return true;
}

std::optional<Frame> RawConnection::NextFrame() {
  if (!Fill(kFrameHead)) return std::nullopt;
  const size_t length = NumberIn(std::string_view(received_).substr(0, 3));
  if (!Fill(kFrameHead + length)) return std::nullopt;
  Frame frame{.type = static_cast<FrameType>(received_[3]),
              .flags = static_cast<uint8_t>(received_[4]),
              .stream = NumberIn(std::string_view(received_).substr(5, 4)),
              .payload = received_.substr(kFrameHead, length)};
  received_.erase(0, kFrameHead + length);
  return frame;
}

std::optional<Frame> RawConnection::AwaitFrame(const std::function<bool(const Frame&)>& wanted) {
  std::optional<Frame> frame = NextFrame();
  while (frame && !wanted(*frame)) frame = NextFrame();
  return frame;
}

std::optional<Frame> RawConnection::AwaitFrame(FrameType type) {
  return AwaitFrame([type](const Frame& frame) { return frame.type == type; });
}

bool RawConnection::AwaitClosed() {
  char buffer[1 << 16];
  ssize_t got;
  while ((got = recv(socket_, buffer, sizeof(buffer), 0)) > 0) {
  }
  // A server that had not read everything closes with a reset.
  return got == 0 || errno == ECONNRESET;
}

int RawConnection::open_connections() { return open_count; }

void RawConnection::Close() {
  if (socket_ < 0) return;
  close(std::exchange(socket_, -1));
  --open_count;
}

void RawConnection::Reset() {
  const linger at_once = {.l_onoff = 1, .l_linger = 0};
  setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
  Close();
}

int StatusOf(const Frame& trailers) {
  constexpr std::string_view kName = "grpc-status";
  const size_t at = trailers.payload.find(kName);
  if (at == std::string::npos || at + kName.size() + 2 > trailers.payload.size()) return -1;
  const size_t length = static_cast<unsigned char>(trailers.payload[at + kName.size()]);
  return std::atoi(trailers.payload.substr(at + kName.size() + 1, length).c_str());
}

bool IsTrailers(const Frame& frame) {
  return frame.type == FrameType::kHeaders && (frame.flags & kEndStream) != 0;
}

void AllowOpenFiles(uint64_t count) {
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= count) return;
  limit.rlim_cur = std::min<rlim_t>(count, limit.rlim_max);
  setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace bif::testing
