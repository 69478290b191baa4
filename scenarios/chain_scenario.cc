#include "absl/strings/str_format.h"
#include "scenarios/cast.h"
#include "scenarios/chain.h"
#include "scenarios/runs.h"

namespace weir::scenarios {

absl::Status RunChain(Run& run) {
  static const io::Program program = Chain;  // outlives the world
  constexpr int64_t kNodes = 4;              // so many crashes it takes to lose what is on no disk
  const int64_t clients = run.knobs.Get("clients", 1, 2);
  const int64_t writes = run.knobs.Get("writes", 4, 10);
  std::vector<std::string> addresses = {"master:7401"};
  for (int64_t i = 1; i <= kNodes; ++i) addresses.push_back(absl::StrFormat("node%d:7402", i));
  Cast cast(run, program, addresses);
  cast.Start("master", "master", {"master"}, false);
  for (int64_t i = 1; i <= kNodes; ++i) {
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
