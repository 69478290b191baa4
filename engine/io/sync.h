// Sync: what tasks wait for, built on Park and Unpark alone, so the same sources serve both worlds.
//
//   Mutex, CondVar, Event, Queue   between tasks of one executor, which they CHECK
//   Mailbox                        the only crossing between executors
//   WaitAny                        the first of several, with a deadline
//
// Invariants
//  - Who waits is served in the order of arrival. A line is a list of nodes on the waiters' stacks;
//  a node leaves when
//    its wait ends, however it ends, and hands a wake that it could not use to the next.
//  - Every wait tells how it ended. A cancelled task unwinds from the wait; where it may not (an
//  unwind, NoThrowWaits)
//    the wait returns kCancelled and has taken nothing: a lock is not held, an item is not moved.
//  - Names appear in reports of who waits for what.
#pragma once

#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/base/check.h"
#include "engine/base/spinlock.h"
#include "engine/io/tasks.h"

namespace weir::io {

// kTimeout -> kDeadlineExceeded, kCancelled -> kCancelled, naming what was waited for.
absl::Status WaitError(Wake wake, WaitFor what);

namespace internal {
class HoldIfAny {
 public:
  explicit HoldIfAny(base::SpinLock* lock) : lock_(lock) {
    if (lock_ != nullptr) lock_->Lock();
  }
  ~HoldIfAny() {
    if (lock_ != nullptr) lock_->Unlock();
  }
  HoldIfAny(const HoldIfAny&) = delete;
  HoldIfAny& operator=(const HoldIfAny&) = delete;

 private:
  base::SpinLock* const lock_;
};
}  // namespace internal

// What all primitives have: a name, the executor they belong to, and a lock where other executors
// come in.
class Primitive {
 public:
  Primitive(const Primitive&) = delete;
  Primitive& operator=(const Primitive&) = delete;
  WaitFor what() const { return {kind_, name_}; }

 protected:
  // Belongs to `owner`; kHere: to the executor that uses it first.
  Primitive(Tasks& tasks, const char* kind, std::string_view name, Executor owner = kHere)
      : tasks_(tasks), kind_(kind), name_(name), owner_(owner) {}
  ~Primitive() = default;

  void CheckOwner() {
    const Executor here = tasks_.CurrentExecutor();
    if (!owner_) owner_ = here;
    CHECK_EQ(owner_, here) << kind_ << " " << name_
                           << " belongs to another executor; cross with a Mailbox";
  }

  Tasks& tasks_;

 private:
  const char* const kind_;
  const std::string name_;
  Executor owner_;
};

// Tasks in line. `lock` guards it where several executors meet; null where one does.
class WaitLine {
 public:
  explicit WaitLine(base::SpinLock* lock = nullptr) : lock_(lock) {}
  ~WaitLine();
  WaitLine(const WaitLine&) = delete;
  WaitLine& operator=(const WaitLine&) = delete;

  // The calling task's place in line, on its stack.
  class Place {
   public:
    Place(WaitLine& line, Tasks& tasks);
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    // Under the lock, as is what follows.
    bool first() const { return line_.first_ == this; }
    bool called() const { return called_; }
    // Got what it waited for: leaves without waking the next.
    void Leave();

   private:
    friend class WaitLine;
    WaitLine& line_;
    Tasks& tasks_;
    const TaskRef task_;
    bool in_line_ = true;
    bool called_ = false;
    Place* previous_ = nullptr;
    Place* next_ = nullptr;
  };

  using Refs = absl::InlinedVector<TaskRef, 4>;

  bool empty() const { return first_ == nullptr; }
  TaskRef first() const { return first_ == nullptr ? TaskRef{} : first_->task_; }
  Refs all() const;
  // Marks places as called: the first that is not yet, or all. The mark stays, whatever becomes of
  // the condition.
  TaskRef CallFirst();
  Refs CallAll();

 private:
  base::SpinLock* const lock_;
  Place* first_ = nullptr;
  Place* last_ = nullptr;
};

// What WaitAny can wait for. Ready means that a Try… would find something, or the end.
class Waitable : public Primitive {
 protected:
  using Primitive::Primitive;
  ~Waitable() = default;

 private:
  friend absl::StatusOr<size_t> WaitAny(Tasks&, absl::Span<Waitable* const>, Monotonic);
  virtual bool Ready(const WaitLine::Place* place) = 0;
  virtual WaitLine& ReadLine() = 0;
};

inline constexpr size_t kWaitAnyMax = 16;
// Waits until one of `waitables` is ready and gives its index, the lowest if there are several;
// takes nothing.
absl::StatusOr<size_t> WaitAny(Tasks& tasks, absl::Span<Waitable* const> waitables,
                               Monotonic deadline = base::kForever);
inline absl::StatusOr<size_t> WaitAny(Tasks& tasks, std::initializer_list<Waitable*> waitables,
                                      Monotonic deadline = base::kForever) {
  return WaitAny(tasks, absl::MakeConstSpan(waitables.begin(), waitables.size()), deadline);
}

// Tasks of one executor never run at once, so a Mutex is needed only for what must hold across a
// wait.
class Mutex : public Primitive {
 public:
  Mutex(Tasks& tasks, std::string_view name) : Primitive(tasks, "mutex", name) {}
  // kUnparked: locked by the calling task. Prefer MutexLock.
  [[nodiscard]] Wake Lock(Monotonic deadline = base::kForever);
  void Unlock();

 private:
  TaskRef holder_;
  WaitLine line_;
};

class MutexLock {
 public:
  explicit MutexLock(Mutex& mutex, Monotonic deadline = base::kForever) : mutex_(mutex) {
    Lock(deadline);
  }
  ~MutexLock() { Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

  // False after a deadline or a cancel; look before touching what the mutex guards.
  [[nodiscard]] bool held() const { return held_; }
  Wake Lock(Monotonic deadline = base::kForever) {
    const Wake wake = mutex_.Lock(deadline);
    held_ = wake == Wake::kUnparked;
    return wake;
  }
  void Unlock() {
    if (std::exchange(held_, false)) mutex_.Unlock();
  }

 private:
  Mutex& mutex_;
  bool held_ = false;
};

class CondVar : public Primitive {
 public:
  CondVar(Tasks& tasks, std::string_view name) : Primitive(tasks, "condition", name) {}
  // Unlocks, waits for a notification, locks again. kUnparked and kTimeout: the lock is held;
  // kCancelled: it is not.
  [[nodiscard]] Wake Wait(MutexLock& lock, Monotonic deadline = base::kForever);
  void NotifyOne();
  void NotifyAll();

 private:
  WaitLine line_;
};

// Something that happened, until Reset. Who waits when Set is called goes on, even if Reset follows
// at once.
class Event : public Waitable {
 public:
  Event(Tasks& tasks, std::string_view name) : Waitable(tasks, "event", name) {}
  void Set();
  void Reset();
  bool is_set() const { return set_; }
  [[nodiscard]] Wake Wait(Monotonic deadline = base::kForever);

 private:
  bool Ready(const WaitLine::Place* place) override {
    return set_ || (place != nullptr && place->called());
  }
  WaitLine& ReadLine() override { return line_; }
  bool set_ = false;
  WaitLine line_;
};

// What Queue and Mailbox share: at most `bound` items, both ends wait in line. After Close nothing
// more goes in, and what is in comes out.
template <typename T>
class Bounded : public Waitable {
 public:
  size_t bound() const { return bound_; }

 protected:
  Bounded(Tasks& tasks, const char* kind, std::string_view name, size_t bound, base::SpinLock* lock,
          Executor owner)
      : Waitable(tasks, kind, name, owner),
        bound_(bound),
        lock_(lock),
        putters_(lock),
        getters_(lock) {
    CHECK_GT(bound, 0u) << kind << " " << name << " needs room for an item";
  }
  ~Bounded() = default;

  absl::Status Put(T item, Monotonic deadline) {
    if (TryPut(item)) return absl::OkStatus();
    WaitLine::Place place(putters_, tasks_);
    for (;;) {
      if (TryPut(item, &place)) return absl::OkStatus();
      if (closed()) return absl::FailedPreconditionError(Text("is closed"));
      if (const Wake wake = tasks_.Park(deadline, what()); wake != Wake::kUnparked)
        return WaitError(wake, what());
    }
  }

  absl::StatusOr<T> Get(Monotonic deadline) {
    if (std::optional<T> item = TryGet(false)) return *std::move(item);
    WaitLine::Place place(getters_, tasks_);
    for (;;) {
      // The end is looked at first: an item that goes in between the two looks is followed by no
      // end.
      const bool end = closed();
      if (std::optional<T> item = TryGet(false, &place)) return *std::move(item);
      if (end) return absl::OutOfRangeError(Text("is closed and empty"));
      if (const Wake wake = tasks_.Park(deadline, what()); wake != Wake::kUnparked)
        return WaitError(wake, what());
    }
  }

  // Without a place: `item` goes in if there is room and nobody in line. With one: if it is the
  // first in line.
  bool TryPut(T& item, WaitLine::Place* place = nullptr) {
    TaskRef getter;
    TaskRef putter;
    {
      internal::HoldIfAny hold(lock_);
      if (closed_ || items_.size() >= bound_ ||
          !(place == nullptr ? putters_.empty() : place->first()))
        return false;
      items_.push_back(std::move(item));
      getter = getters_.first();
      if (place != nullptr) place->Leave();
      if (items_.size() < bound_) putter = putters_.first();
    }
    return Wakes(tasks_, getter, putter);
  }

  // `overtake`: takes what is there although others stand in line for it.
  std::optional<T> TryGet(bool overtake, WaitLine::Place* place = nullptr) {
    std::optional<T> item;
    TaskRef getter;
    TaskRef putter;
    {
      internal::HoldIfAny hold(lock_);
      if (items_.empty()) return item;
      if (!overtake && !(place == nullptr ? getters_.empty() : place->first())) return item;
      item.emplace(std::move(items_.front()));
      items_.pop_front();
      if (place != nullptr) place->Leave();
      putter = putters_.first();
      if (!items_.empty()) getter = getters_.first();
    }
    Wakes(tasks_, getter, putter);
    return item;
  }

  void End() {
    WaitLine::Refs refs;
    {
      internal::HoldIfAny hold(lock_);
      closed_ = true;
      refs = putters_.all();
      for (const TaskRef ref : getters_.all()) refs.push_back(ref);
    }
    for (const TaskRef ref : refs) tasks_.Unpark(ref);
  }

  size_t Count() const {
    internal::HoldIfAny hold(lock_);
    return items_.size();
  }
  bool closed() const {
    internal::HoldIfAny hold(lock_);
    return closed_;
  }

 private:
  // Outside of the lock, and of this object: who is woken may end it.
  static bool Wakes(Tasks& tasks, TaskRef getter, TaskRef putter) {
    if (getter) tasks.Unpark(getter);
    if (putter) tasks.Unpark(putter);
    return true;
  }
  std::string Text(const char* state) const {
    return std::string(what().kind) + " " + std::string(what().name) + " " + state;
  }
  bool Ready(const WaitLine::Place*) override {
    internal::HoldIfAny hold(lock_);
    return closed_ || !items_.empty();
  }
  WaitLine& ReadLine() override { return getters_; }

  const size_t bound_;
  base::SpinLock* const lock_;
  std::deque<T> items_;
  bool closed_ = false;
  WaitLine putters_;
  WaitLine getters_;
};

// Between tasks of one executor.
template <typename T>
class Queue : public Bounded<T> {
 public:
  Queue(Tasks& tasks, std::string_view name, size_t bound)
      : Bounded<T>(tasks, "queue", name, bound, nullptr, kHere) {}

  // kFailedPrecondition: closed. kDeadlineExceeded, kCancelled: not in.
  absl::Status Push(T item, Monotonic deadline = base::kForever) {
    this->CheckOwner();
    return this->Put(std::move(item), deadline);
  }
  // kOutOfRange: closed and empty.
  absl::StatusOr<T> Pop(Monotonic deadline = base::kForever) {
    this->CheckOwner();
    return this->Get(deadline);
  }
  // Moves from `item` if it returns true. Never overtakes who waits to push.
  bool TryPush(T& item) {
    this->CheckOwner();
    return this->TryPut(item);
  }
  std::optional<T> TryPop() {
    this->CheckOwner();
    return this->TryGet(true);
  }
  void Close() {
    this->CheckOwner();
    this->End();
  }
  size_t size() const { return this->Count(); }
  bool is_closed() const { return this->closed(); }
};

namespace internal {
struct MailboxLock {
  base::SpinLock lock;
};
}  // namespace internal

// Any executor sends; tasks of one executor, the owner, receive. Must outlive its senders.
template <typename T>
class Mailbox : private internal::MailboxLock, public Bounded<T> {
 public:
  Mailbox(Tasks& tasks, std::string_view name, size_t bound, Executor owner)
      : Bounded<T>(tasks, "mailbox", name, bound, &lock, owner) {
    CHECK(owner) << "mailbox " << name << " needs an owner by number";
  }

  // As Queue's, from a task of any executor.
  absl::Status Send(T item, Monotonic deadline = base::kForever) {
    return this->Put(std::move(item), deadline);
  }
  bool TrySend(T& item) { return this->TryPut(item); }
  void Close() { this->End(); }

  absl::StatusOr<T> Receive(Monotonic deadline = base::kForever) {
    this->CheckOwner();
    return this->Get(deadline);
  }
  std::optional<T> TryReceive() {
    this->CheckOwner();
    return this->TryGet(true);
  }
};

}  // namespace weir::io
