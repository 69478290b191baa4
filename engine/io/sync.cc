#include "engine/io/sync.h"

#include <array>
#include <exception>

namespace weir::io {
absl::Status WaitError(Wake wake, WaitFor what) {
  const std::string text = std::string(what.kind) + " " + std::string(what.name);
  if (wake == Wake::kTimeout)
    return absl::DeadlineExceededError("deadline passed while waiting for " + text);
  CHECK(wake == Wake::kCancelled);
  return absl::CancelledError("the task ends and may not wait for " + text);
}

// ---------------------------------------------------------------------------------------- line

// In an unwind the line may still hold the place of a task that refused to end and was given up.
WaitLine::~WaitLine() {
  CHECK(first_ == nullptr || std::uncaught_exceptions() > 0)
      << "what tasks wait for ends before they do";
}

WaitLine::Place::Place(WaitLine& line, Tasks& tasks)
    : line_(line), tasks_(tasks), task_(tasks.Current()) {
  internal::HoldIfAny hold(line_.lock_);
  previous_ = line_.last_;
  (previous_ == nullptr ? line_.first_ : previous_->next_) = this;
  line_.last_ = this;
}

WaitLine::Place::~Place() {
  if (!in_line_) return;  // the line itself may be gone
  TaskRef next;
  {
    internal::HoldIfAny hold(line_.lock_);
    const bool was_first = first();
    Leave();
    if (was_first) next = line_.first();
  }
  if (next) tasks_.Unpark(next);
}

void WaitLine::Place::Leave() {
  (previous_ == nullptr ? line_.first_ : previous_->next_) = next_;
  (next_ == nullptr ? line_.last_ : next_->previous_) = previous_;
  in_line_ = false;
}

WaitLine::Refs WaitLine::all() const {
  Refs refs;
  for (const Place* place = first_; place != nullptr; place = place->next_)
    refs.push_back(place->task_);
  return refs;
}

TaskRef WaitLine::CallFirst() {
  for (Place* place = first_; place != nullptr; place = place->next_) {
    if (!std::exchange(place->called_, true)) return place->task_;
  }
  return {};
}

WaitLine::Refs WaitLine::CallAll() {
  for (Place* place = first_; place != nullptr; place = place->next_) place->called_ = true;
  return all();
}

// --------------------------------------------------------------------------------------- mutex

Wake Mutex::Lock(Monotonic deadline) {
  CheckOwner();
  const TaskRef self = tasks_.Current();
  CHECK(!(holder_ == self)) << "mutex " << what().name << " is locked twice by task "
                            << tasks_.CurrentName();
  if (!holder_ && line_.empty()) {
    holder_ = self;
    return Wake::kUnparked;
  }
  WaitLine::Place place(line_, tasks_);
  while (holder_ || !place.first()) {
    if (const Wake wake = tasks_.Park(deadline, what()); wake != Wake::kUnparked) return wake;
  }
  holder_ = self;
  place.Leave();
  return Wake::kUnparked;
}

void Mutex::Unlock() {
  CHECK(holder_ == tasks_.Current())
      << "mutex " << what().name << " is unlocked by a task that does not hold it";
  holder_ = {};
  if (!line_.empty()) tasks_.Unpark(line_.first());
}

// ----------------------------------------------------------------------------------- condition

Wake CondVar::Wait(MutexLock& lock, Monotonic deadline) {
  CheckOwner();
  CHECK(lock.held()) << "condition " << what().name << " needs its mutex locked";
  // A notification that came to a task which then ends belongs to the next in line.
  struct PassOn {
    CondVar& condition;
    WaitLine::Place place;
    bool taken = false;
    ~PassOn() {
      if (place.called() && !taken) condition.NotifyOne();
    }
  };
  Wake wake = Wake::kUnparked;
  {
    PassOn waiting{*this, {line_, tasks_}};
    lock.Unlock();
    while (!waiting.place.called() && wake == Wake::kUnparked) wake = tasks_.Park(deadline, what());
    if (wake == Wake::kCancelled) return wake;
    waiting.taken = waiting.place.called();
    if (waiting.taken) wake = Wake::kUnparked;
  }
  return lock.Lock() == Wake::kCancelled ? Wake::kCancelled : wake;
}

void CondVar::NotifyOne() {
  CheckOwner();
  if (const TaskRef task = line_.CallFirst()) tasks_.Unpark(task);
}

void CondVar::NotifyAll() {
  CheckOwner();
  for (const TaskRef task : line_.CallAll()) tasks_.Unpark(task);
}

// --------------------------------------------------------------------------------------- event

void Event::Set() {
  CheckOwner();
  set_ = true;
  for (const TaskRef task : line_.CallAll()) tasks_.Unpark(task);
}

void Event::Reset() {
  CheckOwner();
  set_ = false;
}

Wake Event::Wait(Monotonic deadline) {
  CheckOwner();
  if (set_) return Wake::kUnparked;
  WaitLine::Place place(line_, tasks_);
  while (!Ready(&place)) {
    if (const Wake wake = tasks_.Park(deadline, what()); wake != Wake::kUnparked) return wake;
  }
  return Wake::kUnparked;
}

// ----------------------------------------------------------------------------------------- any

absl::StatusOr<size_t> WaitAny(Tasks& tasks, absl::Span<Waitable* const> waitables,
                               Monotonic deadline) {
  CHECK(!waitables.empty());
  CHECK_LE(waitables.size(), kWaitAnyMax);
  for (size_t i = 0; i < waitables.size(); ++i) {
    waitables[i]->CheckOwner();
    if (waitables[i]->Ready(nullptr)) return i;
  }
  std::string names;
  std::array<std::optional<WaitLine::Place>, kWaitAnyMax> places;
  for (size_t i = 0; i < waitables.size(); ++i) {
    places[i].emplace(waitables[i]->ReadLine(), tasks);
    names += (i == 0 ? "" : ", ") + std::string(waitables[i]->what().kind) + " " +
             std::string(waitables[i]->what().name);
  }
  for (;;) {
    for (size_t i = 0; i < waitables.size(); ++i) {
      if (waitables[i]->Ready(&*places[i])) return i;
    }
    const Wake wake = tasks.Park(deadline, {"any of", names});
    if (wake != Wake::kUnparked) return WaitError(wake, {"any of", names});
  }
}

}  // namespace weir::io
