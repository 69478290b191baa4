// Scenario: a question put to the simulated world, with an oracle that answers it. Setup, run,
// check; first safety under faults, then health and the demand to finish.
//
// A scenario is a plain function over a World that the runner made from its options: it starts
// processes, plans what goes wrong by drawing from world.random(), runs the world and judges. It
// judges outside of tasks.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "sim/world.h"

namespace weir::scenarios {

enum class Class {
  kFast,  // under a second a seed
  kSlow,
  kSoak,  // not in the default list
};

// What a run did, whether or not it passed.
struct Facts {
  uint64_t faults = 0;      // that had an effect
  uint64_t recoveries = 0;  // processes that came back and went on
  uint64_t checkpoints = 0;
  uint64_t committed = 0;  // results that count
};

// How a run ends, by the code of the status that `run` returns:
//   kOk
//   kDataLoss            safety: something that must never be was
//   kDeadlineExceeded    liveness: what must come did not, although all is healed
//   kInternal            a task of the program died, or refused to end
//   kFailedPrecondition  vacuous: the run proved nothing
struct Scenario {
  std::string_view name;
  Class speed;
  std::string_view question;
  bool listed;  // false: found by name only, such as canaries
  sim::WorldOptions (*world)(uint64_t seed);
  absl::Status (*run)(sim::World& world, Facts& facts);
};

// In the order in which they are listed. registry.cc has the table.
const std::vector<Scenario>& AllScenarios();
// Null if there is none.
const Scenario* FindScenario(std::string_view name);

}  // namespace weir::scenarios
