// The cast of two-phase commit: a coordinator, participants, and a client that checks that they
// agree.
#include "absl/strings/str_format.h"
#include "scenarios/cast.h"
#include "scenarios/runs.h"
#include "scenarios/two_phase_commit.h"

namespace weir::scenarios {

absl::Status RunTwoPhaseCommit(Run& run) {
  static const io::Program program = TwoPhaseCommit;  // outlives the world
  const int64_t participants = run.knobs.Get("participants", 2, 3);
  const int64_t transactions = run.knobs.Get("transactions", 3, 8);
  std::vector<std::string> addresses = {"coordinator:7201"};
  for (int64_t i = 1; i <= participants; ++i)
    addresses.push_back(absl::StrFormat("participant%d:7202", i));
  Cast cast(run, program, addresses);
  cast.Start("coordinator", "coordinator", {"coordinator"}, false);
  for (int64_t i = 1; i <= participants; ++i) {
    cast.Start(absl::StrFormat("participant%d", i), absl::StrFormat("participant %d", i),
               {"participant", std::to_string(i)}, false);
  }
  cast.Start("client", "client", {"client", std::to_string(transactions)}, true);
  run.driver.Protect({.killable = cast.servers()});
  run.facts.committed = static_cast<uint64_t>(transactions);
  return cast.Finish();
}

}  // namespace weir::scenarios
