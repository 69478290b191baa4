// The cast of the lease: a grantor, a store, holders, and an observer that checks the store's
// history.
#include "absl/strings/str_format.h"
#include "scenarios/cast.h"
#include "scenarios/lease.h"
#include "scenarios/runs.h"

namespace weir::scenarios {

absl::Status RunLease(Run& run) {
  static const io::Program program = Lease;  // outlives the world
  const int64_t holders = run.knobs.Get("holders", 2, 3);
  const int64_t writes = run.knobs.Get("writes", 30, 60);
  Cast cast(run, program, {"grantor:7301", "store:7302"});
  cast.Start("grantor", "grantor", {"grantor"}, false);
  cast.Start("store", "store", {"store"}, false);
  for (int64_t i = 1; i <= holders; ++i) {
    cast.Start(absl::StrFormat("holder%d", i), absl::StrFormat("holder %d", i),
               {"holder", std::to_string(i)}, false);
  }
  cast.Start("observer", "observer", {"observer", std::to_string(writes)}, true);
  run.driver.Protect({.killable = cast.servers()});
  run.facts.committed = static_cast<uint64_t>(writes);
  return cast.Finish();
}

}  // namespace weir::scenarios
