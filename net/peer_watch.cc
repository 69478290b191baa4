#include "net/peer_watch.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>

namespace weir::net {
namespace {

enum class State {
  kDone,    // everything was acknowledged
  kAlive,   // as far as one can know
  kSilent,  // for as long as Look says
};

struct Look {
  State state = State::kDone;
  base::Duration silence{};
};

Look LookAt(int fd, base::Duration since_alive) {
  int unacknowledged = 0;
  if (ioctl(fd, SIOCOUTQ, &unacknowledged) != 0 || unacknowledged == 0) return {};
  tcp_info info = {};
  socklen_t size = sizeof(info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
  if (info.tcpi_unacked == 0) {
    // The peer's window is shut and the kernel probes it, ever more rarely. What counts is not
    // when the last answer came but that probes have none. One may be lost, or come so soon after
    // the last that the peer does not answer it.
    return info.tcpi_probes <= 1 ? Look{State::kAlive, {}} : Look{State::kSilent, since_alive};
  }
  const base::Duration heard =
      std::chrono::milliseconds(std::min(info.tcpi_last_ack_recv, info.tcpi_last_data_recv));
  return {State::kSilent, std::min(heard, since_alive)};
}

}  // namespace

void PeerWatch::Watched::Unlink() {
  if (next_ == nullptr) return;
  next_->previous_ = previous_;
  previous_->next_ = next_;
  next_ = previous_ = nullptr;
}

PeerWatch& PeerWatch::Of(Loop& loop) {
  if (loop.chore() == nullptr) loop.SetChore(std::unique_ptr<Chore>(new PeerWatch(loop)));
  return *static_cast<PeerWatch*>(loop.chore());
}

void PeerWatch::List(Watched& stream, int fd, base::Duration timeout) {
  if (stream.listed()) return;
  if (!anchor_.listed()) anchor_.next_ = anchor_.previous_ = &anchor_;
  stream.fd_ = fd;
  stream.timeout_ = timeout;
  stream.since_ = MonotonicNow();
  stream.next_ = anchor_.next_;
  stream.previous_ = &anchor_;
  anchor_.next_->previous_ = &stream;
  anchor_.next_ = &stream;
  loop_.WakeChoreAt(base::After(stream.since_, timeout / 4));
}

base::Monotonic PeerWatch::Run(base::Monotonic now) {
  base::Monotonic again = base::kForever;
  Watched* next = nullptr;
  for (Watched* stream = anchor_.next_; stream != &anchor_; stream = next) {
    next = stream->next_;
    const Look look = LookAt(stream->fd_, now - stream->since_);
    if (look.state == State::kDone) {
      stream->Unlink();
      continue;
    }
    if (look.state == State::kAlive) stream->since_ = now;
    if (look.silence >= stream->timeout_) {
      stream->Unlink();
      stream->OnSilence();
    } else {
      again = std::min(again, base::After(now, stream->timeout_ / 4));
    }
  }
  return again;
}

}  // namespace weir::net
