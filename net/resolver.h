// Resolver: names to addresses, by the system's own resolver, which has no deadline and may block
// for a minute. So it runs on threads of its own that nobody waits for at the end: whoever asked
// may have left when the answer comes.
#pragma once

#include <string>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "engine/io/tasks.h"

namespace weir::net {

using Addresses = absl::StatusOr<std::vector<std::string>>;

// Asks the system. Blocks.
Addresses LookUpName(const std::string& name);

// Waits for `lookup` on a thread of its own. kDeadlineExceeded without a message for people: no
// answer yet; the thread goes on, and its answer is dropped.
Addresses LookUpOnHelper(io::Tasks& tasks, const std::string& name,
                         Addresses (*lookup)(const std::string& name), base::Monotonic deadline);

}  // namespace weir::net
