// The scenario replicated_log: replicas that are killed, cut off and lose power while clients
// write; afterwards a reader must find every acknowledged write, once and in order.
#include <chrono>
#include <string>

#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "scenarios/replicated_log.h"
#include "scenarios/runs.h"
#include "scenarios/trouble.h"

namespace weir::scenarios {

using namespace std::chrono_literals;

absl::Status RunReplicatedLog(sim::World& world, Facts& facts) {
  static const io::Program program = ReplicatedLog;  // outlives the world
  base::Random random = world.random().Fork("setup");
  const auto clients = random.Between(uint64_t{1}, uint64_t{3});
  const auto writes = random.Between(uint64_t{10}, uint64_t{40});
  const std::vector<std::string> addresses = {"replica1:7001", "replica2:7001", "replica3:7001"};
  const auto arguments = [&](std::vector<std::string> role) {
    role.insert(role.begin(), "--program=replicated_log");
    role.insert(role.end(), addresses.begin(), addresses.end());
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
  Trouble trouble(world, replicas, 3s, facts);

  RETURN_IF_ERROR(world.Run());

  // What was acknowledged lies on disks: it outlives everybody's memory.
  trouble.CutAllPower();
  const sim::ProcessId reader = world.Start(
      world.AddHost("reader"), program,
      {.name = "reader",
       .arguments = arguments({"reader", std::to_string(clients), std::to_string(writes)})});
  RETURN_IF_ERROR(world.Run());

  for (const sim::ProcessId writer : writers) RETURN_IF_ERROR(world.exit_message(writer));
  RETURN_IF_ERROR(world.exit_message(reader));
  facts.committed = clients * writes;
  return trouble.complaint();
}

}  // namespace weir::scenarios
