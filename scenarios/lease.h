// A lease with a fencing token: of several holders one at a time writes to a store.
//
// The grantor gives the lease with a token that was never given before, durable before it is told.
// A holder writes while its clock says that the lease is its own. That is no proof: it may be
// paused between the look at the clock and the write. So the store refuses every token older than
// the newest that it has seen, and what it has seen is durable before the write is answered.
#pragma once

#include "absl/status/status.h"
#include "engine/io/env.h"

namespace weir::scenarios {

// Roles, each with the addresses of grantor and store: grantor, store, holder NUMBER, and observer
// WRITES, which waits for so many writes and checks that no holder wrote after its successor.
absl::Status Lease(io::Env& env);

}  // namespace weir::scenarios
