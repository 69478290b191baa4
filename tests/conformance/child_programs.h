// Programs that the conformance suites start as children. Registered in tests/programs.cc;
// arguments stand after
// "--program=NAME".
#pragma once

#include "absl/status/status.h"
#include "engine/io/env.h"

namespace weir::tests {

absl::Status ChildOk(io::Env& env);
absl::Status ChildFail(io::Env& env);
// Never ends by itself.
absl::Status ChildWait(io::Env& env);
// Waits to be asked to end, says "asked", ends.
absl::Status ChildTerminate(io::Env& env);
// Says its arguments, a line each.
absl::Status ChildSay(io::Env& env);
// Writes its arguments, a line each, to the file "said" and syncs it.
absl::Status ChildWrite(io::Env& env);
// HOST:PORT: sends a frame there every 5 ms, for ever.
absl::Status ChildHeartbeat(io::Env& env);
// HOST:PORT: starts a child_heartbeat and waits for ever.
absl::Status ChildParent(io::Env& env);
// Says the first draw of its stream.
absl::Status ChildDraw(io::Env& env);

}  // namespace weir::tests
