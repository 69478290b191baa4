// Scheduler: waiting, waking, timers and cancelling, the same sources in both worlds. A world
// derives one (real: one a thread; simulator: one for everything) and decides only who runs next
// and what time it is.
//
// Invariants
//  - A task runs, is ready, or is parked; a parked one is woken by Unpark, its deadline, or its
//    turn to die.
//  - A cancelled task never suspends again: once it has its turn every Park throws or returns
//    kCancelled. Turns are given one at a time, youngest task first, so a child may use its
//    parent's frame.
//  - Park saves and restores the C++ exception state, so two tasks may each wait inside a catch
//    block.
//  - A task has at most one entry in the timer heap, however often it waits.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "engine/base/limits.h"
#include "engine/base/spinlock.h"
#include "engine/io/fiber.h"
#include "engine/io/tasks.h"

namespace weir::io {

class Scheduler;

// Tasks that end together. Lives on one scheduler; its parent and children may live on others.
class TaskGroup {
 public:
  const std::string& name() const { return name_; }
  Executor executor() const { return executor_; }
  Scheduler* home() const { return home_; }
  size_t live() const { return live_.load(std::memory_order_acquire); }
  bool cancelled() const { return cancelled_; }
  // For a world's own use, inherited by child groups: the simulator keeps the process here.
  void* owner() const { return owner_; }

 private:
  friend class Scheduler;
  TaskGroup(Scheduler* home, std::string_view name, Executor executor, TaskGroup* parent,
            void* owner);

  Scheduler* const home_;
  const std::string name_;
  const Executor executor_;
  TaskGroup* const parent_;
  void* const owner_;
  std::vector<Task*> tasks_;  // home_ only
  bool cancelled_ = false;    // home_ only
  class Reaping* reaping_ =
      nullptr;  // home_ only: the latest cancel of this very group that has not finished

  std::atomic<size_t> live_{
      0};  // spawned and not gone, counted at once even if the spawn is still on its way
  base::SpinLock lock_;  // guards what follows: threads of other executors open children and join
  std::vector<TaskGroup*> children_;
  TaskRef joiner_;
  Scheduler* joiner_home_ = nullptr;
};

// One cancel on one scheduler: its victims die one by one, youngest first, after everything under
// them has.
class Reaping;

class Task final : public FiberEntry {
 public:
  const std::string& name() const { return name_; }
  Executor executor() const { return group_->executor(); }
  TaskGroup* group() const { return group_; }
  void* owner() const { return group_->owner(); }
  uint64_t number() const { return number_; }
  TaskRef ref() { return {this, life_.load(std::memory_order_relaxed)}; }
  Scheduler* home() const { return home_; }
  bool cancelled() const { return reaping_ != nullptr; }
  bool has_turn() const { return turn_; }
  // "mailbox jobs", for reports; empty when it does not wait.
  std::string waiting_for() const;
  Monotonic deadline() const { return deadline_; }
  Fiber* fiber() const { return fiber_; }

  Fiber* RunOnFiber() override;

  // Free for the world: the simulator keeps the place in its list of ready tasks here.
  uint32_t slot = 0;

 private:
  friend class Scheduler;
  friend class TimerHeap;
  friend class WakeList;
  explicit Task(Scheduler* home) : home_(home) {}

  Scheduler* const home_;
  std::atomic<uint64_t> life_{
      1};  // moves on when the task ends; a TaskRef of an earlier life wakes nobody
  std::string name_;
  uint64_t number_ = 0;  // birth order on this scheduler
  TaskGroup* group_ = nullptr;
  size_t index_in_group_ = 0;
  Fiber* fiber_ = nullptr;
  absl::AnyInvocable<void()> body_;

  bool parked_ = false;
  bool token_ = false;  // an Unpark that found nobody parked
  Wake wake_ = Wake::kUnparked;
  WaitFor waiting_for_{nullptr, {}};
  Monotonic deadline_ = base::kForever;

  size_t timer_index_ = SIZE_MAX;  // its place in the timer heap
  Monotonic timer_at_ = base::kForever;
  uint64_t timer_number_ = 0;

  Reaping* reaping_ = nullptr;  // set: cancelled
  bool turn_ = false;           // cancelled, and its turn to unwind has come
  bool offloaded_ = false;      // work of its frame runs on a helper: its turn waits for that
  int no_throw_ = 0;
  int foreign_ = 0;
  const char* foreign_what_ = "";
  int refusals_ = 0;

  std::atomic<bool> posted_{false};  // in the WakeList of its home
  Task* next_posted_ = nullptr;
};

// Tasks by (deadline, number); at most one entry a task, so a wait that moves its deadline on costs
// nothing.
class TimerHeap {
 public:
  bool empty() const { return heap_.empty(); }
  size_t size() const { return heap_.size(); }
  Monotonic next() const { return heap_.empty() ? base::kForever : heap_[0].at; }
  uint64_t next_number() const { return heap_[0].number; }
  void Set(Task* task, Monotonic at, uint64_t number);
  void Remove(Task* task);
  Task* Pop();

 private:
  struct Entry {
    Monotonic at;
    uint64_t number;
    Task* task;
    bool operator<(const Entry& other) const {
      return at != other.at ? at < other.at : number < other.number;
    }
  };
  void Place(size_t index, Entry entry);
  void SiftUp(size_t index, Entry entry);
  void SiftDown(size_t index, Entry entry);
  std::vector<Entry> heap_;  // 4-ary
};

// Tasks of one scheduler that other threads woke, linked through the tasks themselves: a wake
// allocates nothing and takes no lock. Whatever the waker wrote before Push is seen by the task
// that Drain wakes.
class WakeList {
 public:
  // From any thread. False: it was listed already, or has ended.
  bool Push(TaskRef ref);
  bool empty() const { return head_.load(std::memory_order_seq_cst) == nullptr; }
  // On the scheduler's thread.
  void Drain(Scheduler& home);

 private:
  std::atomic<Task*> head_{nullptr};
};

class Scheduler {
 public:
  Scheduler();
  virtual ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  Task* current() const { return current_; }

  // ---- Called by tasks of this scheduler.
  Wake Park(Monotonic deadline, WaitFor what);
  void Yield();
  // Waits until `done`, cancelled or not; then, if cancelled, unwinds in its turn.
  void ParkThrough(absl::FunctionRef<bool()> done, WaitFor what);
  // Throws Cancelled or returns false if the current task may not go on; the first line of every
  // effect in the simulator.
  bool CheckAlive();
  void AddNoThrow(int delta);
  void AddForeign(int delta, const char* what);
  // The current task has user code or a library on its stack and may not park.
  bool UnderForeignFrame() const { return current_ != nullptr && current_->foreign_ > 0; }
  Wake JoinGroup(TaskGroup* group, Monotonic deadline);

  // ---- On this scheduler's thread.
  void Unpark(TaskRef ref);
  TaskGroup* OpenGroup(std::string_view name, Executor executor, TaskGroup* parent, void* owner);
  void CloseGroup(TaskGroup* group);
  absl::Status Spawn(TaskGroup* group, std::string_view name, size_t stack_bytes,
                     absl::AnyInvocable<void()> body);
  // `waiter` and what it means: see Reaping.
  void Cancel(TaskGroup* group);
  // Wakes the tasks whose deadline is at or before `now`.
  void FireTimers(Monotonic now);
  // Takes back the stacks of tasks that were given up. On the thread's own stack, and only when no
  // task will run any more: such a stack may hold a place in a line that others stand in.
  void ReapGivenUp();
  // Every task that waits: "name (executor 1) waits for mailbox jobs until 3.000000s", a line each,
  // oldest first.
  std::string DescribeWaits(absl::FunctionRef<std::string(const Task&)> place) const;

  TimerHeap& timers() { return timers_; }
  const TimerHeap& timers() const { return timers_; }
  bool InForeignFrame() const { return current_ != nullptr && current_->foreign_ > 0; }
  size_t tasks_alive() const { return tasks_alive_; }
  uint64_t NextNumber() { return ++number_; }
  uint64_t switches() const { return switches_; }
  uint64_t given_up() const { return given_up_count_; }

  // ---- Cross-thread, where a world has more than one scheduler.
  // Runs `work` on this scheduler's thread soon. A world with one scheduler runs it at once.
  virtual void Post(absl::AnyInvocable<void()> work) = 0;
  // Wakes a task of this scheduler from any thread.
  virtual void UnparkFromAnywhere(TaskRef ref) = 0;

 protected:
  // ---- What a world decides.
  // The next task to run; null lets the thread's own stack run. May deliver what is due (never runs
  // a task). Called on the stack of a task that is about to wait, and may return that very task.
  virtual Task* PickNext() = 0;
  // `task` may run.
  virtual void Ready(Task* task) = 0;
  virtual Monotonic Now() = 0;
  // A user's exception left `task`, or it was given up: the world fails its process, naming the
  // task.
  virtual void OnTaskFailed(Task* task, std::string reason) = 0;
  virtual void OnTaskGone(Task*) {}

  // Continues with what PickNext says until somebody returns here. On the thread's own stack.
  void RunTasks();
  void SwitchAway(Task* task);
  void MakeReady(Task* task, Wake wake);

  Task* current_ = nullptr;

 private:
  friend class Task;
  friend class Reaping;

  Wake Refuse(Task* task);
  void AwaitTurn(Task* task);
  void GiveUp(Task* task);
  void Gone(Task* task);
  void StartReaping(TaskGroup* group, Reaping* waiter);
  void CollectVictims(TaskGroup* group, Reaping* reaping);
  void NextVictim(Reaping* reaping);
  Task* NewTask();

  FiberThread& fibers_;
  TimerHeap timers_;
  uint64_t number_ = 0;
  uint64_t switches_ = 0;
  uint64_t given_up_count_ = 0;
  size_t tasks_alive_ = 0;
  std::vector<std::unique_ptr<Task>> all_;  // never shrinks: a TaskRef stays safe to look at
  std::vector<Task*> free_;
  std::vector<Task*> given_up_;
};

}  // namespace weir::io
