// The table of scenarios. A new one adds its row here; nothing registers itself.
#include <algorithm>

#include "scenarios/runs.h"
#include "scenarios/scenario.h"
#include "scenarios/trouble.h"

namespace weir::scenarios {

const std::vector<Scenario>& AllScenarios() {
  static const auto* const table = new std::vector<Scenario>{
      {"ping_pong", Class::kFast, "Does every message get its answer over connections that break?",
       true, &AnyWorld, &RunPingPong},
      {"replicated_log", Class::kFast,
       "Is every acknowledged write of a replicated log there, once and in order?", true, &AnyWorld,
       &RunReplicatedLog},
      {"canary_address", Class::kFast, "Is a run that depends on an address caught?", false,
       &AnyWorld, &RunCanaryAddress},
      {"canary_draw_order", Class::kFast,
       "Is a run that draws twice in one argument list caught between compilers?", false, &AnyWorld,
       &RunCanaryDrawOrder},
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
