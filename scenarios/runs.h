// The runs of the scenarios, for the table in registry.cc. Each is described by its row's question.
#pragma once

#include "absl/status/status.h"
#include "scenarios/scenario.h"
#include "sim/world.h"

namespace weir::scenarios {

absl::Status RunPingPong(sim::World& world, Facts& facts);
absl::Status RunReplicatedLog(sim::World& world, Facts& facts);

// Not deterministic, each in its own way: they prove that the checks of determinism can fail.
absl::Status RunCanaryAddress(sim::World& world, Facts& facts);
absl::Status RunCanaryDrawOrder(sim::World& world, Facts& facts);

}  // namespace weir::scenarios
