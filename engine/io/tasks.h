// Tasks: what runs, what waits, and how it ends.
//
// A task is a fiber on a named executor. Executors of one process may be different threads (real
// world) or one (simulator); tasks of the same executor never run at the same time, so they share
// memory without locks, and the only crossing between executors is a Mailbox (sync.h). Every wait
// of the engine rests on Park.
//
// Rules that Park keeps:
//  - A wake may come early or be stale: always `while (!condition) Park(...)`.
//  - A task that was cancelled, or whose process died, does not return from Park: Cancelled is
//    thrown, once, and caught at the task's root only. Inside an unwind or a NoThrowWaits scope
//    Park returns kCancelled at once instead.
//  - No task parks while user code or a library is on its stack (ForeignFrame): Park CHECKs.
//  - Nothing that may wait is noexcept, and no destructor waits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/ids.h"
#include "engine/base/time.h"

namespace weir::io {

using base::Duration;
using base::Monotonic;
using base::WallTime;

class Task;       // scheduler.h; opaque to everyone else
class TaskGroup;  // scheduler.h; opaque, owned by a Scope (scope.h)

// A task by number: waking one that has ended is harmless.
struct TaskRef {
  Task* task = nullptr;
  uint64_t life = 0;
  explicit operator bool() const { return task != nullptr; }
  friend bool operator==(TaskRef, TaskRef) = default;
};

enum class Wake : uint8_t {
  kUnparked,   // somebody called Unpark, perhaps for an earlier wait
  kTimeout,    // the deadline passed
  kCancelled,  // the task is ending and may not wait; only seen in an unwind or under NoThrowWaits
};

// Thrown by Park and by nothing else. Not a std::exception, so that no handler of user code takes
// it.
struct Cancelled {};

// What a task waits for, for reports: {"mailbox", "jobs"}. Both must outlive the wait.
struct WaitFor {
  const char* kind;
  std::string_view name = {};
};

using Executor = base::Id<struct ExecutorTag, uint32_t>;
inline constexpr Executor kHere{0};     // the executor of the calling task
inline constexpr Executor kControl{1};  // every process has it; user code never runs there

struct ExecutorOptions {
  std::string name{};  // "slot 0"
  int core = -1;       // pinned to this core if granted one
  bool may_spin =
      false;  // the right to poll a little before sleeping, a grant that comes with a core
};

struct TaskOptions {
  std::string name{};
  size_t stack_bytes = 0;  // 0: the stack for engine code
};

class Tasks {
 public:
  virtual ~Tasks() = default;

  virtual absl::StatusOr<Executor> AddExecutor(const ExecutorOptions& options) = 0;

  // The calling task. CHECKs that there is one: a helper thread has none.
  virtual TaskRef Current() = 0;
  virtual Executor CurrentExecutor() = 0;
  virtual std::string_view CurrentName() = 0;

  // Waits until Unpark, the deadline, or the end of this task.
  virtual Wake Park(Monotonic deadline, WaitFor what) = 0;
  // Wakes `task`, or lets its next Park return at once. From any thread.
  virtual void Unpark(TaskRef task) = 0;
  // Lets the other ready tasks of this executor run, and the world deliver what is due.
  virtual void Yield() = 0;

  // Runs `work`, which may block, on a helper thread while this task waits. Work already begun is
  // never abandoned: a cancel takes effect after it. `work` may use Disk and clocks; it must not
  // touch what other tasks use.
  virtual void Offload(std::string_view what, absl::FunctionRef<void()> work) = 0;

  // Says that the calling task used `work` of CPU. The simulator turns it into virtual time of this
  // executor; the real world, where time has passed already, does nothing.
  virtual void Charge(Duration work) = 0;

  // While positive, Park returns kCancelled instead of throwing. Use NoThrowWaits.
  virtual void AddNoThrow(int delta) = 0;
  // While a library or user code is on the stack. Use ForeignFrame.
  virtual void AddForeign(int delta, const char* what) = 0;

  // Groups are the mechanism under Scope; use that. A group is a child of the calling task's group.
  virtual TaskGroup* OpenGroup(std::string_view name, Executor executor) = 0;
  virtual absl::Status Spawn(TaskGroup* group, const TaskOptions& options,
                             absl::AnyInvocable<void()> body) = 0;
  // Ends all tasks of the group and of the groups opened under it, one at a time, youngest first.
  // Returns at once.
  virtual void CancelGroup(TaskGroup* group) = 0;
  // Waits until the group has no tasks. kTimeout: it still has.
  virtual Wake JoinGroup(TaskGroup* group, Monotonic deadline) = 0;
  // Gives the group back. CHECKs that it is empty, unless this process has died.
  virtual void CloseGroup(TaskGroup* group) = 0;
};

// In a destructor, deleter or move that may reach a wait: accepts kCancelled instead of a throw.
class NoThrowWaits {
 public:
  explicit NoThrowWaits(Tasks& tasks) : tasks_(tasks) { tasks_.AddNoThrow(+1); }
  ~NoThrowWaits() { tasks_.AddNoThrow(-1); }
  NoThrowWaits(const NoThrowWaits&) = delete;
  NoThrowWaits& operator=(const NoThrowWaits&) = delete;

 private:
  Tasks& tasks_;
};

// Around every call into user code or a library that knows nothing of fibers: RocksDB hangs,
// protobuf and Beast lose their state, if the fiber under them parks.
class ForeignFrame {
 public:
  ForeignFrame(Tasks& tasks, const char* what) : tasks_(tasks), what_(what) {
    tasks_.AddForeign(+1, what_);
  }
  ~ForeignFrame() { tasks_.AddForeign(-1, what_); }
  ForeignFrame(const ForeignFrame&) = delete;
  ForeignFrame& operator=(const ForeignFrame&) = delete;

 private:
  Tasks& tasks_;
  const char* what_;
};

}  // namespace weir::io
