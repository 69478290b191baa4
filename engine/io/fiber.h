// Fibers of one OS thread: stacks with guard pages and the switch between them. Nothing here knows
// what a task is or who runs next; that is scheduler.h. fiber.cc is the only file of the engine
// that includes Boost, so that both worlds switch, unwind and are seen by sanitizers through the
// same code.
//
// A fiber is reused: when its entry returns it goes idle and serves the next one, so that a spawn
// costs no mapping. A stack that overflows hits its guard page, and the process dies with the label
// of the fiber in the last line.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace weir::io {

class FiberThread;

// Runs on a fiber. Returns the fiber to run next when it is done with its work: null for the
// thread's own stack.
class Fiber;
class FiberEntry {
 public:
  virtual ~FiberEntry() = default;
  virtual Fiber* RunOnFiber() = 0;
};

class Fiber {
 public:
  // Names the task in a report of an overflow; must outlive its use.
  void set_label(const char* label) { label_ = label; }
  size_t stack_bytes() const { return stack_bytes_; }

 private:
  friend class FiberThread;
  friend struct FiberThreadBoost;
  Fiber() = default;

  void* context_ = nullptr;  // boost::fibers::context
  char* stack_ = nullptr;    // lowest usable byte; the guard page lies below
  size_t stack_bytes_ = 0;
  FiberEntry* entry_ = nullptr;
  const char* label_ = "";
};

class FiberThread {
 public:
  // The calling thread's fibers, made at first use and ended with the thread.
  static FiberThread& This();

  // A fiber that will run `entry` when first switched to. kResourceExhausted names the cap or what
  // the kernel said.
  absl::StatusOr<Fiber*> Acquire(size_t stack_bytes, FiberEntry* entry);

  // Leaves the running fiber (or the thread's own stack) and continues `next`; null is the thread's
  // own stack. Returns when somebody switches back. `next` must not be the running one.
  void SwitchTo(Fiber* next);

  // Takes back the stack of a suspended fiber that will never be continued. What its frames own is
  // leaked.
  void Abandon(Fiber* fiber);

  Fiber* running() const { return running_; }  // null on the thread's own stack

  // The cap on stacks of the whole process.
  static void SetStacksMax(size_t stacks);
  static size_t stacks();  // alive in the process

  FiberThread(const FiberThread&) = delete;
  FiberThread& operator=(const FiberThread&) = delete;

 private:
  friend struct FiberThreadBoost;
  FiberThread();
  ~FiberThread();

  std::unique_ptr<struct FiberThreadBoost> boost_;
  Fiber* running_ = nullptr;
  std::map<size_t, std::vector<Fiber*>> idle_;  // by stack size
  bool ending_ = false;
};

}  // namespace weir::io
