// The run of ping_pong: a server that may die, a few clients that may not. See runs.h.
#include <string>

#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "scenarios/ping_pong.h"
#include "scenarios/runs.h"

namespace weir::scenarios {

absl::Status RunPingPong(Run& run) {
  static const io::Program program = PingPong;  // outlives the world
  sim::World& world = run.world;
  const auto clients = static_cast<uint64_t>(run.knobs.Get("clients", 1, 4));
  const auto rounds = static_cast<uint64_t>(run.knobs.Get("rounds", 10, 60));

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
  run.driver.Protect({.killable = {server}, .disks_lost_max = 1});

  RETURN_IF_ERROR(world.Run());

  for (const sim::ProcessId player : players) RETURN_IF_ERROR(world.exit_message(player));
  run.facts.committed = world.hits(base::Probe::kPingRoundTrip);
  if (run.facts.committed == clients * rounds) return absl::OkStatus();
  return absl::DataLossError(absl::StrFormat("%d clients of %d rounds had %d answers", clients,
                                             rounds, run.facts.committed));
}

}  // namespace weir::scenarios
