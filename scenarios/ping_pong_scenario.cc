// The scenario ping_pong: a server and some clients under kills, pauses and cut links; every client
// must get every answer.
#include <chrono>
#include <string>

#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "scenarios/ping_pong.h"
#include "scenarios/runs.h"
#include "scenarios/trouble.h"

namespace weir::scenarios {

using namespace std::chrono_literals;

absl::Status RunPingPong(sim::World& world, Facts& facts) {
  static const io::Program program = PingPong;  // outlives the world
  base::Random random = world.random().Fork("setup");
  const auto clients = random.Between(uint64_t{1}, uint64_t{4});
  const auto rounds = random.Between(uint64_t{10}, uint64_t{60});

  const sim::ProcessId server =
      world.Start(world.AddHost("server"), program,
                  {.name = "server",
                   .arguments = {"--program=ping_pong", "server", "server:7000"},
                   .essential = false});
  std::vector<sim::ProcessId> players;
  for (uint64_t number = 1; number <= clients; ++number) {
    const std::string name = absl::StrFormat("client %d", number);
    players.push_back(world.Start(world.AddHost(absl::StrFormat("client%d", number)), program,
                                  {.name = name,
                                   .arguments = {"--program=ping_pong", "client", "server:7000",
                                                 std::to_string(number), std::to_string(rounds)}}));
  }
  Trouble trouble(world, {server}, 1s, facts);

  RETURN_IF_ERROR(world.Run());

  RETURN_IF_ERROR(trouble.complaint());
  for (const sim::ProcessId player : players) RETURN_IF_ERROR(world.exit_message(player));
  facts.committed = world.hits(base::Probe::kPingRoundTrip);
  if (facts.committed == clients * rounds) return absl::OkStatus();
  return absl::DataLossError(
      absl::StrFormat("%d clients of %d rounds had %d answers", clients, rounds, facts.committed));
}

}  // namespace weir::scenarios
