// Two-phase commit with presumed abort: transactions over several participants, all or none.
//
// The coordinator logs a commit before it tells anybody, and its end when every participant has
// acknowledged; aborts are not logged, so what the log does not know is aborted. A participant logs
// its vote before it gives it and is then bound: it asks until it is told. A transaction's number
// is used once; an outcome that was told never changes.
#pragma once

#include "absl/status/status.h"
#include "engine/io/env.h"

namespace weir::scenarios {

// Roles: coordinator ADDRESSES, participant NUMBER ADDRESSES, and client TRANSACTIONS ADDRESSES,
// which runs transactions, waits until nobody is in doubt and checks that all agree. The first
// address is the coordinator's.
absl::Status TwoPhaseCommit(io::Env& env);

}  // namespace weir::scenarios
