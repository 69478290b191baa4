// Network: listeners, connections, names. Modelled on TCP and promising no more than TCP does.
//
// Errors that callers act on:
//   kUnavailable        the peer or the path is gone: refused, reset, silent beyond peer_timeout
//   kDeadlineExceeded   the deadline passed; nothing was read, or nothing more is known
//   kNotFound           a name that nobody knows
//   kAlreadyExists      the port is in use
//   kResourceExhausted  out of descriptors or ports
//   kInvalidArgument    an address that is none
// A message is one line and names the address.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/base/limits.h"
#include "engine/io/tasks.h"

namespace weir::io {

// Where to connect to or listen at. `host` is a name, an IPv4 or an IPv6 literal (without
// brackets).
struct Address {
  std::string host;
  uint16_t port = 0;

  // "host:port", IPv6 literals in brackets.
  std::string ToString() const;
  // "10.0.0.1:80", "[::1]:80", "name:80".
  static absl::StatusOr<Address> Parse(std::string_view text);
  friend auto operator<=>(const Address&, const Address&) = default;
};

// A connected, ordered pipe of bytes that may break at any byte. One task may read while another
// writes; no two read, no two write. Belongs to the executor that made it or first used it.
class Stream {
 public:
  virtual ~Stream() = default;  // Closes. Bytes the peer has not read may be lost.

  // Waits for at least one byte and gives what is there, up to into.size(); 0 means that the peer
  // closed its side. kDeadlineExceeded: nothing was read and the stream is whole.
  virtual absl::StatusOr<size_t> Read(absl::Span<char> into, Monotonic deadline) = 0;
  // Takes all of `bytes`, waiting while the peer's window is full, or breaks the stream. OK says
  // nothing about arrival. After kDeadlineExceeded a part may have been taken: the stream is
  // broken.
  virtual absl::Status Write(std::string_view bytes, Monotonic deadline) = 0;
  // Says that no more will be written; the peer reads to the end and then 0. To write after it is a
  // bug of the caller: a CHECK.
  virtual absl::Status CloseWrite() = 0;
  // Breaks the stream at once for both sides; a reader and a writer waiting on it return
  // kUnavailable.
  virtual void Abort() = 0;

  virtual const Address& peer() const = 0;
  virtual const Address& local() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;  // Stops listening; connections not yet accepted are reset.
  virtual absl::StatusOr<std::unique_ptr<Stream>> Accept(Monotonic deadline) = 0;
  virtual const Address& address() const = 0;  // with the port that was given if 0 was asked for
};

struct StreamOptions {
  // Broken when the peer has shown no life for so long: no acknowledgement of what was sent, no
  // answer to keep-alives.
  Duration peer_timeout = base::kPeerTimeout;
};

struct ListenOptions {
  int backlog =
      1024;  // connections that may wait to be accepted; more are refused or time out, as in TCP
  StreamOptions stream{};
};

class Network {
 public:
  virtual ~Network() = default;
  // Binds and listens. Port 0: any free one. Loopback unless `host` says otherwise.
  virtual absl::StatusOr<std::unique_ptr<Listener>> Listen(const Address& at,
                                                           const ListenOptions& options) = 0;
  // Resolves `to.host`, tries its addresses in order, and waits until one is connected.
  virtual absl::StatusOr<std::unique_ptr<Stream>> Connect(const Address& to, Monotonic deadline,
                                                          const StreamOptions& options) = 0;
  // The literals behind a name, in the order to try them. A literal is its own answer.
  virtual absl::StatusOr<std::vector<std::string>> Resolve(std::string_view name,
                                                           Monotonic deadline) = 0;

  absl::StatusOr<std::unique_ptr<Listener>> Listen(const Address& at) {
    return Listen(at, ListenOptions{});
  }
  absl::StatusOr<std::unique_ptr<Stream>> Connect(const Address& to, Monotonic deadline) {
    return Connect(to, deadline, StreamOptions{});
  }
};

}  // namespace weir::io
