// The cast of the write-ahead file: a store, and a client that checks what it reads.
#include "absl/strings/str_format.h"
#include "scenarios/cast.h"
#include "scenarios/runs.h"
#include "scenarios/wal_file.h"

namespace weir::scenarios {

absl::Status RunWalFile(Run& run) {
  static const io::Program program = WalStore;  // outlives the world
  const int64_t writes = run.knobs.Get("writes", 4, 10);
  Cast cast(run, program, {"store:7101"});
  cast.Start("store", "store", {"store"}, false);
  cast.Start("client", "client", {"client", std::to_string(writes)}, true);
  run.driver.Protect({.killable = cast.servers()});
  run.facts.committed = static_cast<uint64_t>(writes);
  return cast.Finish();
}

}  // namespace weir::scenarios
