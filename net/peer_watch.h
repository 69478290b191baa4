// PeerWatch: finds the streams of one loop whose peer has gone without a word while bytes were
// under way to it. (With nothing under way the kernel's keep-alives find it.)
//
// A stream is listed at its first write and leaves the list when a look at it shows that all was
// acknowledged. So idle streams cost nothing and busy ones a look every quarter of their timeout.
//
// A peer that dies behind a shut window is found later: when two of the kernel's probes of the
// window in a row had no answer. The kernel lets up to two minutes pass between probes.
#pragma once

#include "engine/base/time.h"
#include "net/loop.h"

namespace weir::net {

class PeerWatch final : public Chore {
 public:
  // A stream, linked into the list of its loop.
  class Watched {
   public:
    Watched() = default;
    Watched(const Watched&) = delete;
    Watched& operator=(const Watched&) = delete;
    bool listed() const { return next_ != nullptr; }

   protected:
    // The peer showed no life since `since`, although bytes were under way.
    virtual void OnSilence() = 0;
    virtual ~Watched() { Unlink(); }
    void Unlink();

   private:
    friend class PeerWatch;
    int fd_ = -1;
    base::Duration timeout_{};
    base::Monotonic since_{};  // listed, or known to be alive behind a shut window
    Watched* next_ = nullptr;
    Watched* previous_ = nullptr;
  };

  // The watch of `loop`.
  static PeerWatch& Of(Loop& loop);

  // Bytes are under way on `fd` from now on.
  void List(Watched& stream, int fd, base::Duration timeout);

  base::Monotonic Run(base::Monotonic now) override;

 private:
  class Anchor final : public Watched {
    void OnSilence() override {}
  };

  explicit PeerWatch(Loop& loop) : loop_(loop) {}

  Loop& loop_;
  Anchor anchor_;  // of a ring
};

}  // namespace weir::net
