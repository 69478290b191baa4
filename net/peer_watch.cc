#include "net/peer_watch.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>

namespace weir::net {
namespace {

// How long ago the peer acknowledged or sent something. Zero if everything has been acknowledged.
base::Duration SilenceOf(int fd) {
  int unacknowledged = 0;
  if (ioctl(fd, SIOCOUTQ, &unacknowledged) != 0 || unacknowledged == 0) return {};
  tcp_info info = {};
  socklen_t size = sizeof(info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return {};
  // Answers to the probes of a shut window are acknowledgements, too.
  return std::max(base::Duration(std::chrono::milliseconds(
                      std::min(info.tcpi_last_ack_recv, info.tcpi_last_data_recv))),
                  base::Duration(1));
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
    const base::Duration silence = SilenceOf(stream->fd_);
    if (silence == base::Duration(0)) {
      stream->Unlink();
    } else if (std::min(silence, base::Duration(now - stream->since_)) >= stream->timeout_) {
      stream->Unlink();
      stream->OnSilence();
    } else {
      again = std::min(again, base::After(now, stream->timeout_ / 4));
    }
  }
  return again;
}

}  // namespace weir::net
