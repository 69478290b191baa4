#include "scenarios/execute.h"

#include <algorithm>
#include <map>
#include <memory>

#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"

namespace weir::scenarios {
namespace {

struct Probed {
  Outcome outcome;
  faults::Limits limits;
  std::vector<faults::Reach> reach;
  std::vector<uint32_t> killable;
  std::vector<uint32_t> power_hosts;
};

// One run; `look` sees the world and the driver at its end.
template <typename Look>
Outcome Perform(const Scenario& scenario, const faults::Plan& plan, const ExecuteOptions& options,
                const Look& look) {
  Outcome outcome;
  sim::WorldOptions world_options = scenario.world(plan.seed);
  world_options.seed = plan.seed;
  world_options.time_limit = scenario.horizon + scenario.bound;
  world_options.log = options.log;
  world_options.log_level = options.log_level;
  world_options.trace = options.trace;
  sim::World world(world_options);
  faults::Driver driver(world, plan);
  driver.HealAt(scenario.horizon);
  const Knobs knobs(plan.seed, plan.knobs);
  Run run{
      .world = world, .driver = driver, .knobs = knobs, .bug = options.bug, .facts = outcome.facts};
  outcome.status = scenario.run(run);
  if (outcome.status.ok()) outcome.status = driver.complaint();
  if (absl::IsDeadlineExceeded(outcome.status) && driver.healed()) {
    outcome.status = absl::DeadlineExceededError(
        absl::StrFormat("all was healed at %s and the run did not finish in the %s after it: %s",
                        base::ToString(scenario.horizon), base::ToString(scenario.bound),
                        outcome.status.message()));
  }
  outcome.facts.faults += driver.strikes();
  outcome.facts.recoveries += driver.recoveries();
  outcome.hash = world.hash();
  outcome.events = world.counts().events;
  outcome.ended = world.now();
  outcome.plan = driver.plan();
  outcome.plan.scenario = scenario.name;
  outcome.plan.knobs = knobs.used();
  outcome.names = driver.names();
  outcome.bites = driver.bites();
  for (size_t i = 0; i < outcome.plan.events.size(); ++i) {
    outcome.struck.push_back(driver.struck(i));
    outcome.event_bites.push_back(driver.bites_of(i));
  }
  look(world, driver);
  return outcome;
}

faults::Plan Faultless(const Scenario& scenario, uint64_t seed) {
  faults::Plan plan;
  plan.scenario = scenario.name;
  plan.seed = seed;
  return plan;
}

faults::Shape Measure(const Scenario& scenario) {
  constexpr uint64_t kSeeds = 4;
  faults::Shape shape;
  shape.scenario = scenario.name;
  shape.horizon = scenario.horizon;
  std::map<std::pair<base::Probe, uint32_t>, uint64_t> reach;
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    const auto look = [&](const sim::World& world, const faults::Driver& driver) {
      shape.length = std::max(shape.length, std::min(world.now(), scenario.horizon));
      const std::vector<sim::ProcessId> processes = world.processes();
      for (const base::ProbeInfo& info : base::kProbes) {
        uint64_t& all = reach[{info.probe, faults::When::kAnywhere}];
        all = std::max(all, world.hits(info.probe));
        for (uint32_t i = 0; i < driver.names().processes.size(); ++i) {
          uint64_t& one = reach[{info.probe, i}];
          one = std::max(one, world.hits(info.probe, processes[i]));
        }
      }
      // The largest of the clusters seen: indices wrap around in a smaller one.
      if (driver.names().hosts.size() < shape.names.hosts.size()) return;
      shape.names = driver.names();
      shape.killable.clear();
      shape.power_hosts.clear();
      shape.disks_may_be_lost = driver.limits().disks_lost_max > 0;
      shape.scopes = !driver.limits().scopes.empty();
      for (const sim::ProcessId process : driver.limits().killable) {
        const auto index = static_cast<uint32_t>(
            std::find(processes.begin(), processes.end(), process) - processes.begin());
        shape.killable.push_back(index);
        const std::vector<sim::HostId> hosts = world.hosts();
        const auto host = static_cast<uint32_t>(
            std::find(hosts.begin(), hosts.end(), world.host_of(process)) - hosts.begin());
        if (std::find(shape.power_hosts.begin(), shape.power_hosts.end(), host) ==
            shape.power_hosts.end()) {
          shape.power_hosts.push_back(host);
        }
      }
    };
    Perform(scenario, Faultless(scenario, seed), {}, look);
  }
  for (const auto& [where, hits] : reach) {
    if (hits > 0)
      shape.reach.push_back({.probe = where.first, .place = where.second, .hits = hits});
  }
  return shape;
}

}  // namespace

Outcome Execute(const Scenario& scenario, const faults::Plan& plan, const ExecuteOptions& options) {
  return Perform(scenario, plan, options, [](const sim::World&, const faults::Driver&) {});
}

const faults::Shape& ShapeOf(const Scenario& scenario) {
  static auto* const shapes = new std::map<std::string_view, std::unique_ptr<faults::Shape>>;
  std::unique_ptr<faults::Shape>& shape = (*shapes)[scenario.name];
  if (shape == nullptr) shape = std::make_unique<faults::Shape>(Measure(scenario));
  return *shape;
}

std::array<uint64_t, static_cast<size_t>(base::Probe::kCount)> CountProbes(const Scenario& scenario,
                                                                           uint64_t seeds) {
  std::array<uint64_t, static_cast<size_t>(base::Probe::kCount)> counts{};
  const std::vector<faults::Kind> kinds = KindsFor(scenario, AllKinds());
  for (uint64_t seed = 1; seed <= seeds; ++seed) {
    Perform(scenario, PlanOf(scenario, seed, kinds), {},
            [&](const sim::World& world, const faults::Driver&) {
              for (const base::ProbeInfo& info : base::kProbes)
                counts[static_cast<size_t>(info.probe)] += world.hits(info.probe);
            });
  }
  return counts;
}

std::vector<faults::Kind> AllKinds() {
  std::vector<faults::Kind> kinds;
  for (const faults::Info& info : faults::kKinds) kinds.push_back(info.kind);
  return kinds;
}

absl::StatusOr<std::vector<faults::Kind>> KindsFor(const Scenario& scenario,
                                                   std::string_view list) {
  ASSIGN_OR_RETURN(const std::vector<faults::Kind> kinds, faults::ParseKinds(list));
  std::vector<faults::Kind> result = KindsFor(scenario, kinds);
  for (const faults::Kind kind : scenario.untouched) {
    if (faults::NamesKind(list, kind)) result.push_back(kind);
  }
  if (!kinds.empty() && result.empty()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("faults \"%s\": %s does not promise to survive any of them, or none can "
                        "touch it; name others, or none",
                        base::Abseil(list), base::Abseil(scenario.name)));
  }
  std::sort(result.begin(), result.end());
  return result;
}

std::vector<faults::Kind> KindsFor(const Scenario& scenario,
                                   const std::vector<faults::Kind>& kinds) {
  const auto in = [](const std::vector<faults::Kind>& list, faults::Kind kind) {
    return std::find(list.begin(), list.end(), kind) != list.end();
  };
  std::vector<faults::Kind> result;
  for (const faults::Kind kind : kinds) {
    if (!in(scenario.never, kind) && !in(scenario.untouched, kind)) result.push_back(kind);
  }
  return result;
}

faults::Plan PlanOf(const Scenario& scenario, uint64_t seed,
                    const std::vector<faults::Kind>& kinds) {
  if (kinds.empty()) return Faultless(scenario, seed);
  return faults::Expand(seed, ShapeOf(scenario), kinds);
}

absl::StatusOr<LoadedPlan> LoadPlan(std::string_view text, std::string_view source) {
  faults::Position at;
  ASSIGN_OR_RETURN(const faults::Plan header, faults::ParseHeader(text, source, &at));
  LoadedPlan loaded;
  loaded.scenario = FindScenario(header.scenario);
  if (loaded.scenario == nullptr) {
    std::vector<std::string_view> names;
    for (const Scenario& scenario : AllScenarios()) names.push_back(scenario.name);
    return absl::InvalidArgumentError(
        absl::StrFormat("%s:%d:%d: the plan is for \"%s\", and there is no such scenario; did you "
                        "mean \"%s\"? `weir sim list --all` shows every one",
                        base::Abseil(source), at.line, at.column, header.scenario,
                        base::Abseil(base::Nearest(header.scenario, names))));
  }
  // The knobs decide how large the cluster is, and so its names; a run without faults tells them.
  const Outcome calm = Execute(*loaded.scenario, header);
  ASSIGN_OR_RETURN(loaded.plan, faults::Parse(text, source, calm.names));
  return loaded;
}

}  // namespace weir::scenarios
