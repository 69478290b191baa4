#include "net/tcp_network.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "engine/base/check.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"
#include "net/loop.h"
#include "net/peer_watch.h"
#include "net/posix.h"
#include "net/resolver.h"

namespace weir::net {
namespace {

using base::Duration;
using base::Monotonic;

// A listener that could not accept for want of descriptors takes a breath, as the connection that
// waits would have it fail again at once.
constexpr Duration kAcceptPause = std::chrono::milliseconds(50);

// ----------------------------------------------------------------------------------- addresses

// An address as the kernel has it.
struct Endpoint {
  sockaddr_storage storage = {};
  socklen_t size = sizeof(sockaddr_storage);

  sockaddr* raw() { return reinterpret_cast<sockaddr*>(&storage); }
  const sockaddr* raw() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

std::optional<Endpoint> ParseLiteral(const std::string& host, uint16_t port) {
  Endpoint endpoint;
  auto* const four = reinterpret_cast<sockaddr_in*>(&endpoint.storage);
  if (inet_pton(AF_INET, host.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    four->sin_port = htons(port);
    endpoint.size = sizeof(sockaddr_in);
    return endpoint;
  }
  if (host.find(':') == std::string::npos) return std::nullopt;
  // The library knows interface names: fe80::1%eth0.
  addrinfo hints = {};
  hints.ai_family = AF_INET6;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return std::nullopt;
  std::memcpy(&endpoint.storage, found->ai_addr, found->ai_addrlen);
  endpoint.size = found->ai_addrlen;
  freeaddrinfo(found);
  reinterpret_cast<sockaddr_in6*>(&endpoint.storage)->sin6_port = htons(port);
  return endpoint;
}

io::Address ToAddress(const Endpoint& endpoint) {
  char host[NI_MAXHOST];
  if (getnameinfo(endpoint.raw(), endpoint.size, host, sizeof(host), nullptr, 0, NI_NUMERICHOST) !=
      0) {
    return {};
  }
  const in_port_t port = endpoint.storage.ss_family == AF_INET6
                             ? reinterpret_cast<const sockaddr_in6*>(&endpoint.storage)->sin6_port
                             : reinterpret_cast<const sockaddr_in*>(&endpoint.storage)->sin_port;
  return {host, ntohs(port)};
}

std::optional<Endpoint> LocalOf(int fd) {
  Endpoint endpoint;
  if (getsockname(fd, endpoint.raw(), &endpoint.size) != 0) return std::nullopt;
  return endpoint;
}

std::optional<Endpoint> PeerOf(int fd) {
  Endpoint endpoint;
  if (getpeername(fd, endpoint.raw(), &endpoint.size) != 0) return std::nullopt;
  return endpoint;
}

// -------------------------------------------------------------------------------------- errors

// `where` is "connect to 10.0.0.1:80" or "connection to 10.0.0.1:80".
absl::Status FromErrno(int error, std::string_view where) {
  const auto message = [&](std::string_view why) {
    return absl::StrFormat("%s: %s", base::Abseil(where), base::Abseil(why));
  };
  switch (error) {
    case EMFILE:
    case ENFILE:
      return absl::ResourceExhaustedError(message(DescriptorsUsedUp(error)));
    case ENOBUFS:
    case ENOMEM:
      return absl::ResourceExhaustedError(message("the kernel has no memory for it"));
    case ECONNREFUSED:
      return absl::UnavailableError(message("refused; nothing listens there"));
    case ECONNRESET:
    case EPIPE:
      return absl::UnavailableError(message("closed by the peer"));
    default:
      return absl::UnavailableError(message(ErrorWords(error)));
  }
}

// -------------------------------------------------------------------------------------- stream

void SetOption(int fd, int level, int option, int value) {
  CHECK_EQ(setsockopt(fd, level, option, &value, sizeof(value)), 0) << ErrorWords(errno);
}

// Keep-alives, for a stream with nothing under way: first after half of `timeout`, then three in
// the other half. The kernel counts whole seconds.
void SetKeepAlive(int fd, Duration timeout) {
  const auto seconds = [](Duration duration) {
    const auto whole = std::chrono::duration_cast<std::chrono::seconds>(duration).count();
    return static_cast<int>(std::clamp<int64_t>(whole, 1, 32'767));
  };
  const int idle = seconds(timeout / 2);
  SetOption(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPIDLE, idle);
  SetOption(fd, IPPROTO_TCP, TCP_KEEPINTVL, seconds(timeout / 6));
  SetOption(fd, IPPROTO_TCP, TCP_KEEPCNT, timeout < std::chrono::seconds(6) ? 1 : 3);
}

// What a stream is made of; ends on its own loop.
class Connection final : private PeerWatch::Watched {
 public:
  Connection(Fd fd, const Endpoint& local, const Endpoint& peer, const io::StreamOptions& options)
      : channel_(std::move(fd)),
        local_(ToAddress(local)),
        peer_(ToAddress(peer)),
        peer_text_(peer_.ToString()),
        peer_timeout_(options.peer_timeout) {
    SetOption(channel_.fd(), IPPROTO_TCP, TCP_NODELAY, 1);
    SetKeepAlive(channel_.fd(), peer_timeout_);
  }

  absl::StatusOr<size_t> Read(absl::Span<char> into, Monotonic deadline) {
    CHECK(!into.empty()) << "a read of nothing looks like the end of the stream";
    if (!broken_.ok()) return broken_;
    Loop* const loop = Loop::This();
    RETURN_IF_ERROR(channel_.Settle(loop));
    loop->CountBusyCall();
    for (;;) {
      if (!broken_.ok()) [[unlikely]]
        return broken_;
      const ssize_t got = recv(channel_.fd(), into.data(), into.size(), 0);
      if (got > 0) [[likely]]
        return static_cast<size_t>(got);
      if (got == 0) {
        // The kernel reports a reset once. If a write took the report, this is no clean end.
        if (!write_error_.ok()) return Break(write_error_);
        return size_t{0};
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) return Break(Reason(errno));
      const absl::Status waited = channel_.AwaitReadable(deadline, {"data from", peer_text_});
      if (absl::IsDeadlineExceeded(waited)) {
        return absl::DeadlineExceededError(
            absl::StrFormat("connection to %s: nothing to read within the deadline", peer_text_));
      }
      if (!waited.ok()) return waited;
    }
  }

  absl::Status Write(std::string_view bytes, Monotonic deadline) {
    CHECK(!write_closed_) << "write to " << peer_text_ << " after CloseWrite";
    if (!broken_.ok()) return broken_;
    Loop* const loop = Loop::This();
    RETURN_IF_ERROR(channel_.Settle(loop));
    loop->CountBusyCall();
    // Whoever leaves in the middle, by whatever way, leaves the peer with a part of a message.
    struct Torn {
      Connection& connection;
      bool torn = false;
      ~Torn() {
        if (torn && connection.broken_.ok())
          connection.BreakWith("a write was cut off in the middle");
      }
    } guard{*this};
    while (!bytes.empty()) {
      if (!broken_.ok()) [[unlikely]]
        return broken_;
      if (!write_error_.ok()) [[unlikely]]
        return write_error_;
      const ssize_t taken = send(channel_.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (taken >= 0) [[likely]] {
        bytes.remove_prefix(static_cast<size_t>(taken));
        if (!listed()) PeerWatch::Of(*loop).List(*this, channel_.fd(), peer_timeout_);
        continue;
      }
      if (errno == EINTR) continue;
      if (errno != EAGAIN) {
        // What the peer sent before it went can still be read; the reader finds the end itself.
        write_error_ = Reason(errno);
        channel_.WakeBoth();
        return write_error_;
      }
      guard.torn = true;
      const absl::Status waited = channel_.AwaitWritable(deadline, {"room at", peer_text_});
      if (absl::IsDeadlineExceeded(waited)) {
        BreakWith("a write missed its deadline");
        return absl::DeadlineExceededError(absl::StrFormat(
            "connection to %s: %d bytes not taken within the deadline", peer_text_, bytes.size()));
      }
      if (!waited.ok()) return waited;
      guard.torn = false;
    }
    return broken_;
  }

  absl::Status CloseWrite() {
    if (!broken_.ok()) return broken_;
    if (!write_error_.ok()) return write_error_;
    write_closed_ = true;
    if (shutdown(channel_.fd(), SHUT_WR) == 0) return absl::OkStatus();
    write_error_ = Reason(errno);
    return write_error_;
  }

  void Abort() {
    if (broken_.ok()) BreakWith("aborted on this side");
  }

  Loop* home() const { return channel_.home(); }
  const io::Address& peer() const { return peer_; }
  const io::Address& local() const { return local_; }

 private:
  void OnSilence() override {
    BreakWith(absl::StrFormat("no sign of life for %s", base::ToString(peer_timeout_)));
  }

  absl::Status Reason(int error) const {
    const std::string where = "connection to " + peer_text_;
    if (error != ETIMEDOUT) return FromErrno(error, where);
    return absl::UnavailableError(
        absl::StrFormat("%s: no sign of life for %s", where, base::ToString(peer_timeout_)));
  }

  // Ends the stream for both sides: the peer is reset.
  void BreakWith(std::string_view why) {
    (void)Break(absl::UnavailableError(
        absl::StrFormat("connection to %s: %s", peer_text_, base::Abseil(why))));
  }
  const absl::Status& Break(absl::Status why) {
    broken_ = std::move(why);
    Unlink();
    const linger reset = {1, 0};
    setsockopt(channel_.fd(), SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
    channel_.Close();
    return broken_;
  }

  Channel channel_;
  const io::Address local_;
  const io::Address peer_;
  const std::string peer_text_;
  const Duration peer_timeout_;
  bool write_closed_ = false;
  absl::Status broken_;       // nothing goes any more
  absl::Status write_error_;  // nothing can be written; what came may still be read
};

class TcpStream final : public io::Stream {
 public:
  TcpStream(Fd fd, const Endpoint& local, const Endpoint& peer, const io::StreamOptions& options)
      : connection_(std::make_unique<Connection>(std::move(fd), local, peer, options)) {}

  absl::StatusOr<size_t> Read(absl::Span<char> into, Monotonic deadline) override {
    return connection_->Read(into, deadline);
  }
  absl::Status Write(std::string_view bytes, Monotonic deadline) override {
    return connection_->Write(bytes, deadline);
  }
  absl::Status CloseWrite() override { return connection_->CloseWrite(); }
  void Abort() override { connection_->Abort(); }
  const io::Address& peer() const override { return connection_->peer(); }
  const io::Address& local() const override { return connection_->local(); }

 private:
  const AtHome<Connection> connection_;
};

// ------------------------------------------------------------------------------------ listener

class TcpListener final : public io::Listener {
 public:
  TcpListener(Fd fd, io::Address address, const io::StreamOptions& options)
      : channel_(std::make_unique<Channel>(std::move(fd))),
        address_(std::move(address)),
        address_text_(address_.ToString()),
        options_(options) {}

  absl::StatusOr<std::unique_ptr<io::Stream>> Accept(Monotonic deadline) override {
    Loop* const loop = Loop::This();
    RETURN_IF_ERROR(channel_->Settle(loop));
    loop->CountBusyCall();
    while (MonotonicNow() < pause_until_) {
      if (deadline < pause_until_ && MonotonicNow() >= deadline) return Nobody();
      if (loop->Park(std::min(deadline, pause_until_), {"descriptors for", address_text_}) ==
          io::Wake::kCancelled) {
        return absl::CancelledError("");
      }
    }
    for (;;) {
      Endpoint peer;
      Fd fd(accept4(channel_->fd(), peer.raw(), &peer.size, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (fd) {
        const std::optional<Endpoint> local = LocalOf(fd.get());
        if (!local.has_value()) continue;
        return std::make_unique<TcpStream>(std::move(fd), *local, peer, options_);
      }
      if (errno == EAGAIN) {
        const absl::Status waited =
            channel_->AwaitReadable(deadline, {"connections at", address_text_});
        if (absl::IsDeadlineExceeded(waited)) return Nobody();
        if (!waited.ok()) return waited;
      } else if (IsDescriptorLimit(errno) || errno == ENOBUFS || errno == ENOMEM) {
        pause_until_ = MonotonicNow() + kAcceptPause;
        return FromErrno(errno, "accept at " + address_text_);
      } else if (errno == EBADF || errno == EINVAL || errno == ENOTSOCK) {
        CHECK(false) << "accept at " << address_text_ << ": " << ErrorWords(errno);
      }
      // Anything else is about one connection that went before it was accepted.
    }
  }

  const io::Address& address() const override { return address_; }

 private:
  absl::Status Nobody() const {
    return absl::DeadlineExceededError(
        absl::StrFormat("accept at %s: nobody connected within the deadline", address_text_));
  }

  const AtHome<Channel> channel_;
  const io::Address address_;
  const std::string address_text_;
  const io::StreamOptions options_;
  Monotonic pause_until_{};
};

absl::StatusOr<std::unique_ptr<io::Stream>> ConnectOne(const Endpoint& to, const std::string& where,
                                                       Monotonic deadline,
                                                       const io::StreamOptions& options) {
  Fd fd(socket(to.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return FromErrno(errno, where);
  const int number = fd.get();
  const int begun = connect(number, to.raw(), to.size);
  if (begun != 0 && errno != EINPROGRESS) {
    if (errno == EADDRNOTAVAIL && to.storage.ss_family == AF_INET) {
      return absl::ResourceExhaustedError(
          absl::StrFormat("%s: no free local port; raise net.ipv4.ip_local_port_range", where));
    }
    return FromErrno(errno, where);
  }
  Channel channel(std::move(fd));
  std::optional<Endpoint> peer = PeerOf(number);
  while (!peer.has_value()) {
    RETURN_IF_ERROR(channel.AwaitWritable(deadline, {"connection to", where}));
    int error = 0;
    socklen_t size = sizeof(error);
    CHECK_EQ(getsockopt(number, SOL_SOCKET, SO_ERROR, &error, &size), 0);
    if (error != 0) return FromErrno(error, where);
    peer = PeerOf(number);
  }
  const std::optional<Endpoint> local = LocalOf(number);
  if (!local.has_value() || ToAddress(*local) == ToAddress(*peer)) {
    // A connect to a free port of this host may be given that very port and meet itself.
    return FromErrno(ECONNREFUSED, where);
  }
  return std::make_unique<TcpStream>(channel.Release(), *local, *peer, options);
}

}  // namespace

// ------------------------------------------------------------------------------------- network

absl::StatusOr<std::vector<std::string>> TcpNetwork::Resolve(std::string_view name,
                                                             Monotonic deadline) {
  std::string asked(name);
  if (asked.empty() || asked.find('\0') != std::string::npos) {
    return absl::InvalidArgumentError(
        absl::StrFormat("name \"%s\": is empty or holds a zero byte; write a host name or an "
                        "address, such as 127.0.0.1",
                        asked));
  }
  if (ParseLiteral(asked, 0).has_value()) return std::vector<std::string>{std::move(asked)};
  Addresses found =
      LookUpOnHelper(tasks_, asked, lookup_ == nullptr ? &LookUpName : lookup_, deadline);
  if (absl::IsDeadlineExceeded(found.status())) {
    return absl::DeadlineExceededError(absl::StrFormat(
        "name \"%s\": no answer within the deadline; check the name server", asked));
  }
  return found;
}

absl::StatusOr<std::unique_ptr<io::Listener>> TcpNetwork::Listen(const io::Address& at,
                                                                 const io::ListenOptions& options) {
  const std::string host = at.host.empty() ? "127.0.0.1" : at.host;
  const std::string where = "listen at " + io::Address{host, at.port}.ToString();
  ASSIGN_OR_RETURN(const std::vector<std::string> literals, Resolve(host, base::kForever));
  const std::optional<Endpoint> endpoint = ParseLiteral(literals.front(), at.port);
  CHECK(endpoint.has_value()) << literals.front();

  Fd fd(socket(endpoint->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd) return FromErrno(errno, where);
  // Connections of an earlier process may still be dying on this port; a second listener is
  // refused all the same.
  SetOption(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1);
  if (bind(fd.get(), endpoint->raw(), endpoint->size) != 0 ||
      listen(fd.get(), options.backlog) != 0) {
    switch (errno) {
      case EADDRINUSE:
        return absl::AlreadyExistsError(absl::StrFormat(
            "%s: the port is in use; stop the process that holds it, or choose another port "
            "(0: any free one)",
            where));
      case EADDRNOTAVAIL:
        return absl::InvalidArgumentError(absl::StrFormat(
            "%s: no interface of this host has this address; choose one that has, or 0.0.0.0",
            where));
      case EACCES:
        return absl::PermissionDeniedError(absl::StrFormat(
            "%s: not allowed; choose a port from 1024 to 65535, or run with CAP_NET_BIND_SERVICE",
            where));
      default:
        return FromErrno(errno, where);
    }
  }
  const std::optional<Endpoint> local = LocalOf(fd.get());
  if (!local.has_value()) return FromErrno(errno, where);
  return std::make_unique<TcpListener>(std::move(fd), ToAddress(*local), options.stream);
}

absl::StatusOr<std::unique_ptr<io::Stream>> TcpNetwork::Connect(const io::Address& to,
                                                                Monotonic deadline,
                                                                const io::StreamOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<std::string> literals, Resolve(to.host, deadline));
  const std::string where = "connect to " + to.ToString();
  absl::Status last;
  for (size_t i = 0; i < literals.size(); ++i) {
    const std::optional<Endpoint> endpoint = ParseLiteral(literals[i], to.port);
    CHECK(endpoint.has_value()) << literals[i];
    // An address that swallows packets must leave time for the ones behind it.
    Monotonic until = deadline;
    if (deadline != base::kForever) {
      const Monotonic now = MonotonicNow();
      const auto left = static_cast<int64_t>(literals.size() - i);
      until = now + std::max(deadline - now, Duration(0)) / left;
    }
    const std::string here =
        literals[i] == to.host ? where : absl::StrFormat("%s (%s)", where, literals[i]);
    absl::StatusOr<std::unique_ptr<io::Stream>> stream =
        ConnectOne(*endpoint, here, until, options);
    if (stream.ok() || absl::IsCancelled(stream.status())) return stream;
    last = absl::IsDeadlineExceeded(stream.status())
               ? absl::DeadlineExceededError(here + ": no answer within the deadline")
               : stream.status();
    if (absl::IsResourceExhausted(last)) break;
  }
  return last;
}

}  // namespace weir::net
