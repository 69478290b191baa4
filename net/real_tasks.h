// RealTasks: the tasks of one process of the real world. Each executor is a thread with a loop;
// the control executor is the thread that made this. What concerns a scope of another executor is
// posted to its thread.
//
// Invariants
//  - A loop stops only after no task of the process is left, so whoever waits for an answer from
//    another executor gets it.
//  - Helpers end before loops do: they wake tasks.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "engine/base/config.h"
#include "engine/io/tasks.h"
#include "net/helpers.h"
#include "net/loop.h"

namespace weir::net {

class RealTasks final : public io::Tasks, public Loop::Owner {
 public:
  // kResourceExhausted: no descriptors for a loop.
  static absl::StatusOr<std::unique_ptr<RealTasks>> Make(const base::Config& config);
  ~RealTasks() override;

  Loop& control() { return *control_; }
  HelperPool& helpers() { return helpers_; }

  // Runs `main` as the first task, on the calling thread, until it has returned and every other
  // task was cancelled and has ended. The status of the first task that failed, if one did.
  absl::Status Run(std::string_view name, absl::AnyInvocable<void()> main);
  // Called once, on the control thread, when the main task has ended.
  void set_on_main_ended(std::function<void()> callback) { on_main_ended_ = std::move(callback); }

  // Tasks that have not ended, a line each. For the report of a process that does not end; an
  // executor that does not answer within a moment is described from outside.
  std::string DescribeTasks();

  // "executor "slot 0", task "reader"", or what else the calling thread is.
  static std::string DescribeThisThread();

  absl::StatusOr<io::Executor> AddExecutor(const io::ExecutorOptions& options) override;
  io::TaskRef Current() override;
  io::Executor CurrentExecutor() override;
  std::string_view CurrentName() override;
  io::Wake Park(base::Monotonic deadline, io::WaitFor what) override;
  void Unpark(io::TaskRef task) override;
  void Yield() override;
  void Offload(std::string_view what, absl::FunctionRef<void()> work) override;
  void Charge(base::Duration) override {}
  void AddNoThrow(int delta) override;
  void AddForeign(int delta, const char* what) override;
  io::TaskGroup* OpenGroup(std::string_view name, io::Executor executor) override;
  absl::Status Spawn(io::TaskGroup* group, const io::TaskOptions& options,
                     absl::AnyInvocable<void()> body) override;
  void CancelGroup(io::TaskGroup* group) override;
  io::Wake JoinGroup(io::TaskGroup* group, base::Monotonic deadline) override;
  void CloseGroup(io::TaskGroup* group) override;

  // Offload to a pool of the caller's choice: a thread of its own for what needs one.
  void RunOn(HelperPool& pool, std::string_view what, absl::FunctionRef<void()> work);

 private:
  // An executor beside control: its thread makes the loop, which outlives the thread.
  struct Slot {
    std::unique_ptr<Loop> loop;
    std::thread thread;
  };

  RealTasks(const base::Config& config, Loop::Descriptors descriptors);

  void OnTaskFailed(std::string reason) override;
  void OnTaskGone() override;
  absl::Status SpawnHere(Loop& loop, io::TaskGroup* group, std::string_view name,
                         size_t stack_bytes, absl::AnyInvocable<void()> body);
  Loop& LoopOf(io::Executor executor);
  void EndExecutors();

  const base::Duration spin_;
  const size_t stack_bytes_;
  const size_t main_stack_bytes_;
  const std::unique_ptr<Loop> control_;
  io::TaskGroup* root_ = nullptr;
  std::function<void()> on_main_ended_;
  std::atomic<int64_t> alive_{0};  // tasks of all loops

  std::mutex mutex_;                          // guards what follows
  std::vector<std::unique_ptr<Slot>> slots_;  // executor n is slots_[n - 2]
  absl::Status failure_;

  HelperPool helpers_;
};

}  // namespace weir::net
