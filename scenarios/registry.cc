// The table of scenarios, in the open.
#include <algorithm>
#include <chrono>

#include "scenarios/runs.h"
#include "scenarios/scenario.h"

namespace weir::scenarios {

using namespace std::chrono_literals;
using faults::Kind;

const std::vector<Scenario>& AllScenarios() {
  static const auto* const table = new std::vector<Scenario>{
      {.name = "ping_pong",
       .speed = Class::kFast,
       .question = "Does every message get its answer over connections that break?",
       .listed = true,
       .world = &AnyWorld,
       .run = &RunPingPong,
       .horizon = 1s,
       .knobs = {{"clients", 1, 4}, {"rounds", 10, 60}},
       .untouched = {Kind::kSlow, Kind::kClockSkew, Kind::kClockStep, Kind::kClockJump,
                     Kind::kDiskReadError, Kind::kDiskWriteError, Kind::kDiskSyncError,
                     Kind::kDiskFull, Kind::kDiskSlow, Kind::kDiskHang, Kind::kDiskFlipRead,
                     Kind::kDiskFlip, Kind::kDiskMisdirect}},
      {.name = "replicated_log",
       .speed = Class::kFast,
       .question = "Is every acknowledged write of a replicated log there, once and in order?",
       .listed = true,
       .world = &AnyWorld,
       .run = &RunReplicatedLog,
       .knobs = {{"clients", 1, 3}, {"writes", 5, 20}},
       // It charges no work and never asks for the date.
       .untouched = {Kind::kSlow, Kind::kClockSkew, Kind::kClockStep, Kind::kClockJump}},
      {.name = "canary_address",
       .speed = Class::kFast,
       .question = "Is a run that depends on an address caught?",
       .listed = false,
       .world = &AnyWorld,
       .run = &RunCanaryAddress},
      {.name = "canary_draw_order",
       .speed = Class::kFast,
       .question = "Is a run that draws twice in one argument list caught between compilers?",
       .listed = false,
       .world = &AnyWorld,
       .run = &RunCanaryDrawOrder},
  };
  return *table;
}

const Scenario* FindScenario(std::string_view name) {
  const std::vector<Scenario>& all = AllScenarios();
  const auto it = std::find_if(all.begin(), all.end(),
                               [&](const Scenario& scenario) { return scenario.name == name; });
  return it == all.end() ? nullptr : &*it;
}

}  // namespace weir::scenarios
