// The run of replicated_log: three replicas that may die, clients that write, a reader that judges
// after a power cut of everybody. See runs.h.
#include <string>

#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "scenarios/replicated_log.h"
#include "scenarios/runs.h"

namespace weir::scenarios {

absl::Status RunReplicatedLog(Run& run) {
  static const io::Program program = ReplicatedLog;  // outlives the world
  sim::World& world = run.world;
  const auto clients = static_cast<uint64_t>(run.knobs.Get("clients", 1, 3));
  const auto writes = static_cast<uint64_t>(run.knobs.Get("writes", 5, 20));
  const std::vector<std::string> addresses = {"replica1:7001", "replica2:7001", "replica3:7001"};
  const auto arguments = [&](std::vector<std::string> role) {
    role.insert(role.begin(), "--program=replicated_log");
    role.insert(role.end(), addresses.begin(), addresses.end());
    if (!run.bug.empty()) role.push_back("--bug=" + std::string(run.bug));
    return role;
  };

  std::vector<sim::ProcessId> replicas;
  for (int number = 1; number <= 3; ++number) {
    replicas.push_back(world.Start(world.AddHost(absl::StrFormat("replica%d", number)), program,
                                   {.name = absl::StrFormat("replica %d", number),
                                    .arguments = arguments({"replica", std::to_string(number)}),
                                    .essential = false}));
  }
  std::vector<sim::ProcessId> writers;
  for (uint64_t number = 1; number <= clients; ++number) {
    writers.push_back(world.Start(
        world.AddHost(absl::StrFormat("client%d", number)), program,
        {.name = absl::StrFormat("client %d", number),
         .arguments = arguments({"client", std::to_string(number), std::to_string(writes)})}));
  }
  // No disk may be lost: a replica that forgets whom it voted for, or what it acknowledged, breaks
  // the majority's word.
  run.driver.Protect({.killable = replicas});

  RETURN_IF_ERROR(world.Run());

  // What was acknowledged lies on disks: it outlives everybody's memory. A planted bug has to be
  // brought out by the plan.
  if (run.bug.empty()) run.driver.CutAllPower();
  const sim::ProcessId reader = world.Start(
      world.AddHost("reader"), program,
      {.name = "reader",
       .arguments = arguments({"reader", std::to_string(clients), std::to_string(writes)})});
  RETURN_IF_ERROR(world.Run());

  for (const sim::ProcessId writer : writers) RETURN_IF_ERROR(world.exit_message(writer));
  RETURN_IF_ERROR(world.exit_message(reader));
  run.facts.committed = clients * writes;
  return absl::OkStatus();
}

}  // namespace weir::scenarios
