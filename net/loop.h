// Loop: the scheduler of one thread in the real world. Tasks run until they wait; the turn of the
// loop (epoll, wakes from other threads, timers) runs inline on the stack of the task that waits,
// and may well find that this very task can go on.
//
// Invariants
//  - A descriptor is registered with one loop, once, edge-triggered. Whoever wants it ready tries
//    the call first and waits only after EAGAIN.
//  - A descriptor is taken out of epoll before it is closed: a fork in progress may hold a copy,
//    and epoll would report events for an owner that is gone.
//  - Nothing is destroyed while a batch of events is handed out; events only make tasks ready.
//  - Loops are destroyed after every thread that may wake their tasks has ended.
#pragma once

#include <sys/epoll.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <memory>
#include <string>
#include <utility>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/io/scheduler.h"
#include "net/posix.h"

namespace weir::net {

// Hears of the events of one descriptor, on the thread of the loop. May make tasks ready, no more.
class Source {
 public:
  virtual ~Source() = default;
  virtual void OnEvents(uint32_t events) = 0;
};

// Something that a loop does between tasks, at times of its own choosing.
class Chore {
 public:
  virtual ~Chore() = default;
  // Returns when it wants to run again; kForever: when somebody calls WakeChoreAt.
  virtual base::Monotonic Run(base::Monotonic now) = 0;
};

class Loop final : public io::Scheduler {
 public:
  // Whom a loop tells about its tasks. Called on the loop's thread.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void OnTaskFailed(std::string reason) = 0;
    virtual void OnTaskGone() = 0;
  };

  // What a loop needs of the kernel; asked for first, as it may be refused.
  struct Descriptors {
    Fd epoll;
    Fd bell;  // an eventfd, rung by other threads while the loop sleeps
    static absl::StatusOr<Descriptors> Make();
  };

  // On the thread that it will run on. `spin` is how long it may poll before it sleeps, 0 if it
  // may not.
  Loop(Owner& owner, Descriptors descriptors, io::Executor executor, std::string name,
       base::Duration spin);
  ~Loop() override;

  // The loop of the calling thread; null on a thread without one.
  static Loop* This();

  // Runs tasks until Stop.
  void Run();
  // On its own thread.
  void Stop() { stop_ = true; }

  io::Executor executor() const { return executor_; }
  const std::string& name() const { return name_; }

  // Hands the events of `fd` to `source`, starting with its state now.
  absl::Status Watch(int fd, Source* source);
  void Unwatch(int fd);

  // A call succeeded without waiting. After some of those the task gives way, so that a connection
  // that is always ready does not keep the others from their turn.
  void CountBusyCall() {
    if (++busy_calls_ >= kBusyCallsMax) {
      busy_calls_ = 0;
      Yield();
    }
  }

  // No other task could run now: the thread would wait anyway.
  bool nothing_ready() const { return ready_.empty() && !HasMail(); }

  // One a loop, made by whoever needs it first.
  Chore* chore() { return chore_.get(); }
  void SetChore(std::unique_ptr<Chore> chore) { chore_ = std::move(chore); }
  void WakeChoreAt(base::Monotonic at) { chore_at_ = std::min(chore_at_, at); }

  // The task that this loop chose last, for a report of who does not let go. From any thread.
  const io::Task* picked() const { return picked_.load(std::memory_order_acquire); }

  void Post(absl::AnyInvocable<void()> work) override;
  void UnparkFromAnywhere(io::TaskRef ref) override;

  // Runs what was posted. For the owner, after the last Run.
  void RunPosted();

 protected:
  io::Task* PickNext() override;
  void Ready(io::Task* task) override { ready_.push_back(task); }
  base::Monotonic Now() override { return MonotonicNow(); }
  void OnTaskFailed(io::Task* task, std::string reason) override;
  void OnTaskGone(io::Task* task) override;

 private:
  static constexpr int kPicksPerPoll = 64;
  static constexpr int kBusyCallsMax = 64;

  struct Posted {
    absl::AnyInvocable<void()> work;
    Posted* next = nullptr;
  };

  void Wake();
  bool HasMail() const {
    return !woken_.empty() || posted_.load(std::memory_order_seq_cst) != nullptr;
  }
  void TakeMail();
  // Takes events, waiting for the first until `until`. How many came.
  int Poll(base::Monotonic until);
  void FireDue(base::Monotonic now);
  void Idle();

  Owner& owner_;
  const Descriptors descriptors_;
  const io::Executor executor_;
  const std::string name_;

  std::deque<io::Task*> ready_;
  int picks_ = 0;  // since the last poll
  int busy_calls_ = 0;
  base::Monotonic polled_at_{};
  bool stop_ = false;
  bool leave_ = false;  // back to the thread's own stack, to take back stacks given up

  const base::Duration spin_;
  // Spinning pays while events come in quick succession, and only then: after a sleep that an
  // event ended soon. (How long a sleep should have been without the time to wake up cannot be
  // told, so a loop that once slept in a conversation would not spin again if "soon" were the time
  // that it may spin.)
  bool spins_ = false;

  std::unique_ptr<Chore> chore_;
  base::Monotonic chore_at_ = base::kForever;

  std::atomic<const io::Task*> picked_{nullptr};

  // What other threads write.
  io::WakeList woken_;
  std::atomic<Posted*> posted_{nullptr};
  std::atomic<bool> sleeping_{false};
};

// A descriptor that tasks of one executor wait for: the one that waits first. One task may wait
// for each direction. Ends on the thread of that executor, see AtHome.
class Channel final : private Source {
 public:
  explicit Channel(Fd fd) : fd_(std::move(fd)) {}
  ~Channel() override;
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  int fd() const { return fd_.get(); }
  Loop* home() const { return home_; }

  // Makes `loop`, that of the calling task, its home, or CHECKs that it is.
  absl::Status Settle(Loop* loop) {
    return home_ == loop && loop != nullptr ? absl::OkStatus() : SettleFirst(loop);
  }
  // Waits until a call that said EAGAIN is worth another try. kDeadlineExceeded and kCancelled
  // carry no message for people.
  absl::Status AwaitReadable(base::Monotonic deadline, io::WaitFor what) {
    return Await(reader_, deadline, what);
  }
  absl::Status AwaitWritable(base::Monotonic deadline, io::WaitFor what) {
    return Await(writer_, deadline, what);
  }
  // Wakes whoever waits, so that they look again.
  void WakeBoth();
  // Closes the descriptor; whoever waits is woken and finds it gone.
  void Close();
  // Gives the descriptor away, known to no loop: the next to wait may be of another executor.
  Fd Release();

 private:
  void OnEvents(uint32_t events) override;
  absl::Status SettleFirst(Loop* loop);
  absl::Status Await(io::TaskRef& waiter, base::Monotonic deadline, io::WaitFor what);
  void Leave();

  Fd fd_;
  Loop* home_ = nullptr;
  io::TaskRef reader_;
  io::TaskRef writer_;
};

// Owns a T that belongs to the loop T::home(), and ends it there, whichever thread lets it go.
template <typename T>
class AtHome {
 public:
  explicit AtHome(std::unique_ptr<T> object) : object_(std::move(object)) {}
  ~AtHome() {
    Loop* const home = object_->home();
    if (home != nullptr && home != Loop::This()) home->Post([object = std::move(object_)] {});
  }
  AtHome(const AtHome&) = delete;
  AtHome& operator=(const AtHome&) = delete;
  T* operator->() const { return object_.get(); }
  T& operator*() const { return *object_; }

 private:
  std::unique_ptr<T> object_;
};

}  // namespace weir::net
