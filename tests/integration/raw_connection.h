// A TCP connection to a server on the loopback that sends any bytes and can end in any way.
//
// Confined to one thread. Everything that waits gives up after 30 s.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "tests/integration/http2_bytes.h"

namespace bif::testing {

struct Frame {
  FrameType type;
  uint8_t flags;
  uint32_t stream;
  std::string payload;
};

class RawConnection {
 public:
  explicit RawConnection(int port);  // throws if nobody listens
  ~RawConnection();                  // as Close
  RawConnection(RawConnection&& other) noexcept;
  RawConnection& operator=(RawConnection&&) = delete;

  // False if the server has closed the connection, or takes nothing.
  bool Send(std::string_view bytes);
  // The next frame, or nothing if the server closed the connection.
  std::optional<Frame> NextFrame();
  // The first frame that `wanted` accepts; those before it are dropped.
  std::optional<Frame> AwaitFrame(const std::function<bool(const Frame&)>& wanted);
  std::optional<Frame> AwaitFrame(FrameType type);
  // True once the server has closed the connection.
  bool AwaitClosed();

  static int open_connections();  // in this process, at this end

  void Close();  // orderly, as when a process ends
  void Reset();  // as when a machine vanishes and another answers in its place

 private:
  bool Fill(size_t bytes);  // until `received_` has so many

  int socket_ = -1;
  std::string received_;
};

// Big endian.
uint32_t NumberIn(std::string_view bytes);
// The value of grpc-status in a stream's trailers, which must be the connection's first ones, so
// that they name the field; -1 if it is not there.
int StatusOf(const Frame& trailers);
bool IsTrailers(const Frame& frame);

// Lets this process have `count` files open, if it may.
void AllowOpenFiles(uint64_t count);

}  // namespace bif::testing
