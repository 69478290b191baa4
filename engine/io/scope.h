// Scope: tasks that end together, before the frame that started them. The only way to start a task.
//
//   RETURN_IF_ERROR(io::WithScope(env, "readers", [&](io::Scope& readers) {
//     RETURN_IF_ERROR(readers.Spawn("reader 1", [&] { ... }));
//     return Work();
//   }));   // the readers are cancelled and gone, however Work ended
#pragma once

#include <string_view>

#include "absl/functional/any_invocable.h"
#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "engine/base/check.h"
#include "engine/io/env.h"

namespace weir::io {

class Scope {
 public:
  // Its tasks run on `executor`. Cancelled with the scope of the task that opens it.
  Scope(Tasks& tasks, std::string_view name, Executor executor = kHere)
      : tasks_(tasks), group_(tasks.OpenGroup(name, executor)) {}
  // CHECKs that the tasks are gone: a destructor may not wait for them.
  ~Scope() { tasks_.CloseGroup(group_); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  // kResourceExhausted: no stack for it; kCancelled: the scope is cancelled.
  absl::Status Spawn(const TaskOptions& options, absl::AnyInvocable<void()> body) {
    return tasks_.Spawn(group_, options, std::move(body));
  }
  absl::Status Spawn(std::string_view name, absl::AnyInvocable<void()> body) {
    return Spawn(TaskOptions{.name = std::string(name)}, std::move(body));
  }

  // Asks all tasks, and those of scopes opened under this one, to end. Final: nothing more can be
  // spawned.
  void Cancel() { tasks_.CancelGroup(group_); }
  // Waits until all tasks are gone.
  Wake Join(Monotonic deadline = base::kForever) { return tasks_.JoinGroup(group_, deadline); }

 private:
  Tasks& tasks_;
  TaskGroup* const group_;
};

// Runs `body` with a scope; then cancels what is left in it and waits for it.
absl::Status WithScope(Env& env, std::string_view name,
                       absl::FunctionRef<absl::Status(Scope&)> body);

}  // namespace weir::io
