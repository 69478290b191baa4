#include "engine/io/scope.h"

namespace weir::io {

absl::Status WithScope(Env& env, std::string_view name,
                       absl::FunctionRef<absl::Status(Scope&)> body) {
  Scope scope(env.tasks, name);
  absl::Status status;
  try {
    status = body(scope);
  } catch (...) {
    // A task that is cancelled gets here after everything under it has gone; a user's exception
    // gets here first.
    NoThrowWaits no_throw(env.tasks);
    scope.Cancel();
    scope.Join();
    throw;
  }
  scope.Cancel();
  scope.Join();
  return status;
}

}  // namespace weir::io
