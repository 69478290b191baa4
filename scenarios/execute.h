// Execute: one run of a scenario under one plan, from the making of its world to the verdict.
// Everything that runs scenarios comes through here: the runner of seeds, replay, shrinking,
// benchmarks, tests.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/io/log.h"
#include "faults/driver.h"
#include "faults/plan.h"
#include "faults/swarm.h"
#include "scenarios/scenario.h"

namespace weir::scenarios {

struct ExecuteOptions {
  std::string_view bug{};
  std::function<void(std::string_view)> log{};
  std::function<void(std::string_view)> trace{};
  io::LogLevel log_level = io::LogLevel::kWarn;
};

struct Outcome {
  absl::Status status;
  Facts facts;
  uint64_t hash = 0;
  uint64_t events = 0;
  base::Duration ended{};  // virtual time
  faults::Plan plan;       // as it was carried out, with every knob
  faults::Names names;
  std::vector<faults::Bite> bites;
  std::vector<bool> struck;           // by event of the plan
  std::vector<uint64_t> event_bites;  // by event of the plan
};

Outcome Execute(const Scenario& scenario, const faults::Plan& plan,
                const ExecuteOptions& options = {});

// Measured with a few runs at the first call, then kept.
const faults::Shape& ShapeOf(const Scenario& scenario);
// How often each probe was hit over seeds 1 to `seeds` of the swarm.
std::array<uint64_t, static_cast<size_t>(base::Probe::kCount)> CountProbes(const Scenario& scenario,
                                                                           uint64_t seeds);

// The kinds that the scenario's program promises to survive and that can touch it.
std::vector<faults::Kind> KindsFor(const Scenario& scenario,
                                   const std::vector<faults::Kind>& kinds);
// The same for a list as --faults takes it; a kind that is named itself is on even if it is thought
// not to touch anything.
absl::StatusOr<std::vector<faults::Kind>> KindsFor(const Scenario& scenario, std::string_view list);
std::vector<faults::Kind> AllKinds();
// The plan that the swarm makes of a seed.
faults::Plan PlanOf(const Scenario& scenario, uint64_t seed,
                    const std::vector<faults::Kind>& kinds);

// A plan's text, for one of AllScenarios: its names are those of the scenario that it names, with
// its knobs.
struct LoadedPlan {
  const Scenario* scenario = nullptr;
  faults::Plan plan;
};
absl::StatusOr<LoadedPlan> LoadPlan(std::string_view text, std::string_view source);

}  // namespace weir::scenarios
