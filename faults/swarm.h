// Swarm: a seed decides which faults a run sees. Some families and within them some kinds are on,
// the others off, for always all of them on would hide what needs calm elsewhere; then how many
// events, how long and how strong.
//
// Half of the events are bound to protocol moments: hits of probes that the scenario was seen to
// reach, weighted so that rare probes count as much as frequent ones.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "faults/driver.h"
#include "faults/plan.h"

namespace weir::faults {

// How often a place hit a probe in runs without faults; the most of several runs.
struct Reach {
  base::Probe probe{};
  uint32_t place = When::kAnywhere;  // kAnywhere: all places together
  uint64_t hits = 0;
};

// What a scenario looks like from outside, measured without faults.
struct Shape {
  std::string_view scenario;
  Names names{};
  std::vector<uint32_t> killable{};     // processes that a kill may strike
  std::vector<uint32_t> power_hosts{};  // hosts that may lose power
  bool disks_may_be_lost = false;
  bool scopes = false;
  base::Duration length{};   // of a run without faults
  base::Duration horizon{};  // faults end
  std::vector<Reach> reach{};
};

// The plan of a seed. `kinds` are those that may be on; all of them are if there are no more than
// three. Of one seed, shape and list there is one plan, on every compiler.
Plan Expand(uint64_t seed, const Shape& shape, const std::vector<Kind>& kinds);

}  // namespace weir::faults
