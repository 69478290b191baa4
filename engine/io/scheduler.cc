#include "engine/io/scheduler.h"

#include <cxxabi.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/base/check.h"
#include "engine/base/text.h"

namespace weir::io {
namespace {

// The exception state of the Itanium C++ ABI: caught exceptions, number of uncaught ones. It
// belongs to the thread, and each task needs its own.
struct ExceptionState {
  void* caught = nullptr;
  unsigned int uncaught = 0;
};

ExceptionState* ThisThreadsExceptions() {
  return reinterpret_cast<ExceptionState*>(abi::__cxa_get_globals());
}

}  // namespace

class Reaping {
 public:
  Reaping(Scheduler* home, TaskGroup* group) : home_(home), group_(group) {}

  Scheduler* const home_;
  TaskGroup* const group_;
  std::vector<Task*> victims_;  // oldest first
  Task* dying_ = nullptr;
  int below_ = 0;  // unfinished cancels of groups under this one, here or on other executors
  std::vector<Reaping*> waiters_;  // cancels of groups above: told when this one is finished
};

TaskGroup::TaskGroup(Scheduler* home, std::string_view name, Executor executor, TaskGroup* parent,
                     void* owner)
    : home_(home), name_(name), executor_(executor), parent_(parent), owner_(owner) {}

// -------------------------------------------------------------------------------------- timers

void TimerHeap::Place(size_t index, Entry entry) {
  heap_[index] = entry;
  entry.task->timer_index_ = index;
}

void TimerHeap::SiftUp(size_t index, Entry entry) {
  while (index > 0) {
    const size_t parent = (index - 1) / 4;
    if (!(entry < heap_[parent])) break;
    Place(index, heap_[parent]);
    index = parent;
  }
  Place(index, entry);
}

void TimerHeap::SiftDown(size_t index, Entry entry) {
  for (;;) {
    const size_t first = 4 * index + 1;
    if (first >= heap_.size()) break;
    size_t least = first;
    for (size_t child = first + 1; child < std::min(first + 4, heap_.size()); ++child) {
      if (heap_[child] < heap_[least]) least = child;
    }
    if (!(heap_[least] < entry)) break;
    Place(index, heap_[least]);
    index = least;
  }
  Place(index, entry);
}

void TimerHeap::Set(Task* task, Monotonic at, uint64_t number) {
  const Entry entry{at, number, task};
  task->timer_at_ = at;
  task->timer_number_ = number;
  if (task->timer_index_ == SIZE_MAX) {
    heap_.push_back(entry);
    SiftUp(heap_.size() - 1, entry);
  } else if (entry < heap_[task->timer_index_]) {
    SiftUp(task->timer_index_, entry);
  } else {
    SiftDown(task->timer_index_, entry);
  }
}

void TimerHeap::Remove(Task* task) {
  const size_t index = task->timer_index_;
  if (index == SIZE_MAX) return;
  task->timer_index_ = SIZE_MAX;
  const Entry last = heap_.back();
  heap_.pop_back();
  if (last.task == task) return;
  if (index > 0 && last < heap_[(index - 1) / 4]) {
    SiftUp(index, last);
  } else {
    SiftDown(index, last);
  }
}

Task* TimerHeap::Pop() {
  Task* const task = heap_[0].task;
  Remove(task);
  return task;
}

bool WakeList::Push(TaskRef ref) {
  Task* const task = ref.task;
  if (task == nullptr || task->life_.load(std::memory_order_relaxed) != ref.life) return false;
  if (task->posted_.exchange(true, std::memory_order_acq_rel)) return false;
  Task* head = head_.load(std::memory_order_relaxed);
  do {
    task->next_posted_ = head;
  } while (!head_.compare_exchange_weak(head, task, std::memory_order_seq_cst,
                                        std::memory_order_relaxed));
  return true;
}

void WakeList::Drain(Scheduler& home) {
  Task* task = head_.exchange(nullptr, std::memory_order_acquire);
  while (task != nullptr) {
    Task* const next = task->next_posted_;
    // An exchange and no store: it also takes in what a waker wrote that found the task listed.
    task->posted_.exchange(false, std::memory_order_acq_rel);
    if (task->group_ != nullptr) home.Unpark(task->ref());
    task = next;
  }
}

// ---------------------------------------------------------------------------------------- task

std::string Task::waiting_for() const {
  if (!parked_ || waiting_for_.kind == nullptr) return "";
  std::string text = waiting_for_.kind;
  if (!waiting_for_.name.empty()) text.append(" ").append(waiting_for_.name);
  return text;
}

Fiber* Task::RunOnFiber() {
  Scheduler* const scheduler = home_;
  scheduler->current_ = this;
  if (reaping_ != nullptr) {
    scheduler->AwaitTurn(this);
  } else {
    try {
      body_();
    } catch (const Cancelled&) {
      // The one place where a task's end by cancel or kill arrives.
    } catch (const std::exception& error) {
      scheduler->OnTaskFailed(
          this, absl::StrFormat("task \"%s\" died of an exception: %s", name_, error.what()));
    } catch (...) {
      scheduler->OnTaskFailed(
          this,
          absl::StrFormat("task \"%s\" died of an exception that is no std::exception", name_));
    }
  }
  // What the body captured is destroyed here, while the task is still itself: its effects are
  // judged as the task's. A destructor that reaches a wait on the way gets kCancelled.
  no_throw_ = 1;
  if (reaping_ != nullptr && !turn_) scheduler->AwaitTurn(this);
  body_ = nullptr;
  scheduler->Gone(this);
  scheduler->current_ = nullptr;
  Task* const next = scheduler->PickNext();
  return next == nullptr ? nullptr : next->fiber_;
}

// ----------------------------------------------------------------------------------- scheduler

Scheduler::Scheduler() : fibers_(FiberThread::This()) {}

Scheduler::~Scheduler() { ReapGivenUp(); }

void Scheduler::RunTasks() {
  current_ = nullptr;
  if (Task* const next = PickNext(); next != nullptr) {
    ++switches_;
    fibers_.SwitchTo(next->fiber_);
  }
  current_ = nullptr;
}

void Scheduler::SwitchAway(Task* task) {
  ExceptionState* const exceptions = ThisThreadsExceptions();
  const ExceptionState mine = *exceptions;
  *exceptions = {};
  current_ = nullptr;
  if (Task* const next = PickNext(); next != task) {
    ++switches_;
    fibers_.SwitchTo(next == nullptr ? nullptr : next->fiber_);
  }
  *exceptions = mine;
  current_ = task;
}

void Scheduler::MakeReady(Task* task, Wake wake) {
  task->parked_ = false;
  task->wake_ = wake;
  Ready(task);
}

Wake Scheduler::Park(Monotonic deadline, WaitFor what) {
  Task* const task = current_;
  CHECK(task != nullptr) << "wait for " << what.kind << " " << what.name << " outside of a task";
  CHECK_EQ(task->foreign_, 0) << "task \"" << task->name_ << "\" waits for " << what.kind << " "
                              << what.name << " under " << task->foreign_what_
                              << ": nothing may park under user code or a library";
  if (task->reaping_ != nullptr) [[unlikely]]
    return Refuse(task);
  if (task->token_) {
    task->token_ = false;
    return Wake::kUnparked;
  }
  task->parked_ = true;
  task->waiting_for_ = what;
  task->deadline_ = deadline;
  // An entry that is too early stays: when it fires it is set again. So a deadline that moves on is
  // free.
  if (deadline != base::kForever &&
      (task->timer_index_ == SIZE_MAX || deadline < task->timer_at_)) {
    timers_.Set(task, deadline, NextNumber());
  }
  SwitchAway(task);
  if (task->reaping_ != nullptr) [[unlikely]]
    return Refuse(task);
  return task->wake_;
}

void Scheduler::Yield() {
  Task* const task = current_;
  CHECK(task != nullptr) << "yield outside of a task";
  CHECK_EQ(task->foreign_, 0) << "task \"" << task->name_ << "\" yields under "
                              << task->foreign_what_;
  if (task->reaping_ == nullptr) {
    Ready(task);
    SwitchAway(task);
  }
  if (task->reaping_ != nullptr) [[unlikely]]
    Refuse(task);
}

void Scheduler::ParkThrough(absl::FunctionRef<bool()> done, WaitFor what) {
  Task* const task = current_;
  CHECK(task != nullptr) << "wait for " << what.kind << " outside of a task";
  CHECK_EQ(task->foreign_, 0) << "task \"" << task->name_ << "\" waits under "
                              << task->foreign_what_;
  task->offloaded_ = true;
  while (!done()) {
    if (task->token_) {
      task->token_ = false;
      continue;
    }
    task->parked_ = true;
    task->waiting_for_ = what;
    task->deadline_ = base::kForever;
    SwitchAway(task);
  }
  task->offloaded_ = false;
  if (task->reaping_ != nullptr) {
    if (task->reaping_->dying_ == task) task->turn_ = true;
    Refuse(task);
  }
}

bool Scheduler::CheckAlive() {
  Task* const task = current_;
  if (task == nullptr || task->reaping_ == nullptr) return true;
  // Through a library's frames no exception may pass.
  if (task->foreign_ > 0) return false;
  Refuse(task);
  return false;
}

void Scheduler::AddNoThrow(int delta) {
  if (current_ != nullptr) current_->no_throw_ += delta;
}

void Scheduler::AddForeign(int delta, const char* what) {
  if (current_ == nullptr) return;
  current_->foreign_ += delta;
  current_->foreign_what_ = what;
}

Wake Scheduler::JoinGroup(TaskGroup* group, Monotonic deadline) {
  while (group->live() > 0) {
    {
      base::SpinHold hold(group->lock_);
      group->joiner_ = current_->ref();
      group->joiner_home_ = this;
    }
    if (group->live() == 0) break;
    if (const Wake wake = Park(deadline, {"scope", group->name_}); wake != Wake::kUnparked)
      return wake;
  }
  return Wake::kUnparked;
}

void Scheduler::Unpark(TaskRef ref) {
  Task* const task = ref.task;
  if (task == nullptr || task->life_.load(std::memory_order_relaxed) != ref.life) return;
  // A cancelled task is woken by its turn alone, unless its frame is lent to a helper.
  if (task->reaping_ != nullptr && !task->offloaded_) return;
  if (task->parked_) {
    MakeReady(task, Wake::kUnparked);
  } else {
    task->token_ = true;
  }
}

TaskGroup* Scheduler::OpenGroup(std::string_view name, Executor executor, TaskGroup* parent,
                                void* owner) {
  auto* const group = new TaskGroup(this, name, executor, parent, owner);
  if (parent != nullptr) {
    // The opener runs on the parent's thread. What it opens under a cancelled scope is too late for
    // that cancel.
    group->cancelled_ = parent->cancelled_;
    base::SpinHold hold(parent->lock_);
    parent->children_.push_back(group);
  }
  return group;
}

void Scheduler::CloseGroup(TaskGroup* group) {
  CHECK_EQ(group->live(), 0u) << "scope \"" << group->name_
                              << "\" ends while its tasks run; Join or Cancel and Join first";
  CHECK(group->children_.empty()) << "scope \"" << group->name_
                                  << "\" ends before the scopes opened under it";
  if (group->parent_ != nullptr) {
    base::SpinHold hold(group->parent_->lock_);
    std::erase(group->parent_->children_, group);
  }
  if (group->home_ == this) {
    delete group;
  } else {
    // Its home may still be in the last steps of the task that ended last.
    group->home_->Post([group] { delete group; });
  }
}

Task* Scheduler::NewTask() {
  if (!free_.empty()) {
    Task* const task = free_.back();
    free_.pop_back();
    return task;
  }
  all_.push_back(std::unique_ptr<Task>(new Task(this)));
  return all_.back().get();
}

absl::Status Scheduler::Spawn(TaskGroup* group, std::string_view name, size_t stack_bytes,
                              absl::AnyInvocable<void()> body) {
  CHECK(group->home_ == this) << "spawn into scope \"" << group->name_
                              << "\" of another executor's thread";
  if (group->cancelled_) {
    return absl::CancelledError(absl::StrFormat(
        "task \"%s\" not started: scope \"%s\" is cancelled", base::Abseil(name), group->name_));
  }
  Task* const task = NewTask();
  absl::StatusOr<Fiber*> fiber =
      fibers_.Acquire(stack_bytes == 0 ? base::kEngineStackBytes : stack_bytes, task);
  if (!fiber.ok()) {
    free_.push_back(task);
    return absl::Status(fiber.status().code(),
                        absl::StrFormat("task \"%s\" not started: %s", base::Abseil(name),
                                        fiber.status().message()));
  }
  task->name_.assign(name);
  task->number_ = NextNumber();
  task->group_ = group;
  task->index_in_group_ = group->tasks_.size();
  group->tasks_.push_back(task);
  group->live_.fetch_add(1, std::memory_order_acq_rel);
  task->body_ = std::move(body);
  task->fiber_ = *fiber;
  task->fiber_->set_label(task->name_.c_str());
  ++tasks_alive_;
  Ready(task);
  return absl::OkStatus();
}

void Scheduler::Gone(Task* task) {
  TaskGroup* const group = task->group_;
  Reaping* const reaping = task->reaping_;
  task->life_.fetch_add(1, std::memory_order_relaxed);
  timers_.Remove(task);
  OnTaskGone(task);
  group->tasks_.back()->index_in_group_ = task->index_in_group_;
  group->tasks_[task->index_in_group_] = group->tasks_.back();
  group->tasks_.pop_back();
  task->group_ = nullptr;
  task->fiber_ = nullptr;
  task->parked_ = false;
  task->token_ = false;
  task->timer_at_ = base::kForever;
  task->reaping_ = nullptr;
  task->turn_ = false;
  task->no_throw_ = 0;
  task->foreign_ = 0;
  task->refusals_ = 0;
  --tasks_alive_;
  if (std::find(given_up_.begin(), given_up_.end(), task) == given_up_.end()) free_.push_back(task);

  // After the last decrement a joiner may close the group, but that happens on this thread, later.
  TaskRef joiner;
  Scheduler* joiner_home = nullptr;
  {
    base::SpinHold hold(group->lock_);
    if (group->live_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      joiner = std::exchange(group->joiner_, TaskRef{});
      joiner_home = group->joiner_home_;
    }
  }
  if (joiner) {
    if (joiner_home == this) {
      Unpark(joiner);
    } else {
      joiner_home->UnparkFromAnywhere(joiner);
    }
  }
  if (reaping != nullptr) {
    CHECK(reaping->dying_ == task) << "a cancelled task ended out of its turn";
    reaping->dying_ = nullptr;
    NextVictim(reaping);
  }
}

// -------------------------------------------------------------------------------------- cancel

void Scheduler::Cancel(TaskGroup* group) {
  CHECK(group->home_ == this) << "cancel of scope \"" << group->name_
                              << "\" on another executor's thread";
  if (!group->cancelled_) StartReaping(group, nullptr);
}

void Scheduler::StartReaping(TaskGroup* group, Reaping* waiter) {
  auto* const reaping = new Reaping(this, group);
  if (waiter != nullptr) reaping->waiters_.push_back(waiter);
  group->reaping_ = reaping;
  CollectVictims(group, reaping);
  std::sort(reaping->victims_.begin(), reaping->victims_.end(),
            [](const Task* a, const Task* b) { return a->number() < b->number(); });
  NextVictim(reaping);
}

void Scheduler::CollectVictims(TaskGroup* group, Reaping* reaping) {
  group->cancelled_ = true;
  for (Task* task : group->tasks_) {
    if (task->reaping_ != nullptr) continue;
    task->reaping_ = reaping;
    reaping->victims_.push_back(task);
  }
  std::vector<TaskGroup*> children;
  {
    base::SpinHold hold(group->lock_);
    children = group->children_;
  }
  for (TaskGroup* child : children) {
    if (child->home_ == this) {
      if (child->reaping_ != nullptr) {
        ++reaping->below_;
        child->reaping_->waiters_.push_back(reaping);
      } else if (!child->cancelled_) {
        CollectVictims(child, reaping);
      }
      continue;
    }
    // The child's opener is a victim and ends after `below_` is zero, so the child outlives this
    // message.
    ++reaping->below_;
    child->home_->Post([child, reaping] {
      Scheduler* const there = child->home_;
      if (child->reaping_ != nullptr) {
        child->reaping_->waiters_.push_back(reaping);
      } else if (!child->cancelled_) {
        there->StartReaping(child, reaping);
      } else {
        reaping->home_->Post([reaping] {
          --reaping->below_;
          reaping->home_->NextVictim(reaping);
        });
      }
    });
  }
}

void Scheduler::NextVictim(Reaping* reaping) {
  if (reaping->below_ > 0 || reaping->dying_ != nullptr) return;
  if (!reaping->victims_.empty()) {
    Task* const task = reaping->victims_.back();
    reaping->victims_.pop_back();
    reaping->dying_ = task;
    if (task->offloaded_) return;  // takes its turn when the helper is done with its frame
    task->turn_ = true;
    if (task->parked_) MakeReady(task, Wake::kCancelled);
    return;
  }
  reaping->group_->reaping_ = nullptr;
  for (Reaping* waiter : reaping->waiters_) {
    const auto tell = [waiter] {
      --waiter->below_;
      waiter->home_->NextVictim(waiter);
    };
    if (waiter->home_ == this) {
      tell();
    } else {
      waiter->home_->Post(tell);
    }
  }
  delete reaping;
}

void Scheduler::AwaitTurn(Task* task) {
  while (!task->turn_) {
    task->parked_ = true;
    task->waiting_for_ = {"its turn to end", {}};
    task->deadline_ = base::kForever;
    SwitchAway(task);
  }
}

Wake Scheduler::Refuse(Task* task) {
  AwaitTurn(task);
  if (++task->refusals_ > base::kCancelRefusalsMax) GiveUp(task);
  if (task->no_throw_ == 0 && std::uncaught_exceptions() == 0) throw Cancelled{};
  return Wake::kCancelled;
}

void Scheduler::GiveUp(Task* task) {
  ++given_up_count_;
  OnTaskFailed(
      task, absl::StrFormat(
                "task \"%s\" was cancelled and refused to end %d times; a `catch (...)` or a loop "
                "that ignores kCancelled holds it",
                task->name_, base::kCancelRefusalsMax));
  given_up_.push_back(task);
  Fiber* const fiber = task->fiber_;
  Gone(task);
  task->fiber_ = fiber;
  for (;;) SwitchAway(task);
}

void Scheduler::ReapGivenUp() {
  for (Task* task : given_up_) {
    fibers_.Abandon(task->fiber_);
    // What the task's frames and captures own is leaked; destroying it now would run product code
    // without a task.
    const auto it = std::find_if(all_.begin(), all_.end(),
                                 [task](const auto& owned) { return owned.get() == task; });
    (void)it->release();
    all_.erase(it);
  }
  given_up_.clear();
}

void Scheduler::FireTimers(Monotonic now) {
  while (!timers_.empty() && timers_.next() <= now) {
    Task* const task = timers_.Pop();
    if (!task->parked_ || task->reaping_ != nullptr) continue;
    if (task->deadline_ <= now) {
      MakeReady(task, Wake::kTimeout);
    } else if (task->deadline_ != base::kForever) {
      timers_.Set(task, task->deadline_, NextNumber());
    }
  }
}

std::string Scheduler::DescribeWaits(absl::FunctionRef<std::string(const Task&)> place) const {
  std::vector<const Task*> tasks;
  for (const auto& task : all_) {
    if (task->group_ != nullptr) tasks.push_back(task.get());
  }
  std::sort(tasks.begin(), tasks.end(),
            [](const Task* a, const Task* b) { return a->number() < b->number(); });
  std::string text;
  for (const Task* task : tasks) {
    const std::string wait = task->waiting_for();
    text += absl::StrFormat("  %s: task \"%s\" %s%s\n", place(*task), task->name(),
                            wait.empty() ? std::string("is ready") : "waits for " + wait,
                            wait.empty() || task->deadline() == base::kForever
                                ? std::string()
                                : " until " + base::ToString(task->deadline().time_since_epoch()));
  }
  return text;
}

}  // namespace weir::io
