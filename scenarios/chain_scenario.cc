// The cast of the chain: a master, its nodes and clients that check what they read.
#include "absl/strings/str_format.h"
#include "scenarios/cast.h"
#include "scenarios/chain.h"
#include "scenarios/runs.h"

namespace weir::scenarios {

absl::Status RunChain(Run& run) {
  static const io::Program program = Chain;  // outlives the world
  // As many crashes as there are nodes it takes to lose what is on no disk. A knob that says so
  // lets a plan of a bug be read without the bug.
  const int64_t copies = run.bug == "three_in_memory"  ? 3
                         : run.bug == "four_in_memory" ? 4
                         : run.bug == "five_in_memory" ? 5
                                                       : 0;
  const int64_t nodes =
      copies > 0 ? run.knobs.Get("nodes", copies, copies) : run.knobs.Get("nodes", 3, 5);
  const int64_t clients = run.knobs.Get("clients", 1, 2);
  const int64_t writes = run.knobs.Get("writes", 4, 10);
  std::vector<std::string> addresses = {"master:7401"};
  for (int64_t i = 1; i <= nodes; ++i) addresses.push_back(absl::StrFormat("node%d:7402", i));
  Cast cast(run, program, addresses);
  cast.Start("master", "master", {"master"}, false);
  for (int64_t i = 1; i <= nodes; ++i) {
    cast.Start(absl::StrFormat("node%d", i), absl::StrFormat("node %d", i),
               {"node", std::to_string(i)}, false);
  }
  for (int64_t i = 1; i <= clients; ++i) {
    cast.Start(absl::StrFormat("client%d", i), absl::StrFormat("client %d", i),
               {"client", std::to_string(i), std::to_string(writes)}, true);
  }
  run.driver.Protect({.killable = cast.servers()});
  run.facts.committed = static_cast<uint64_t>(clients * writes);
  return cast.Finish();
}

}  // namespace weir::scenarios
