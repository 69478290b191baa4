// Explore: random plans for the hunt after one bug, and the proof that few events do not find it.
//
// A swarm (swarm.h) asks whether a correct program survives everything; a hunt asks how many runs
// it takes to find a mistake, with a small vocabulary of faults, each of which is one fault. All
// its draws come from the campaign's seed.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/base/random.h"
#include "faults/kinds.h"
#include "faults/plan.h"
#include "faults/swarm.h"

namespace weir::faults {

enum class Moments {
  kTimes,     // uniform virtual times within the length of a run
  kProtocol,  // hits of probes
};

struct Hunt {
  const Shape* shape = nullptr;
  std::vector<Kind> kinds{};  // each event is one of these
  Moments moments = Moments::kProtocol;
  uint64_t events_min = 1;
  uint64_t events_max = 16;
};

// The single faults: each event of these kinds is one fault, at one place.
const std::vector<Kind>& SingleFaults();

// Plan number `run` of the campaign of `seed`.
Plan DrawPlan(const Hunt& hunt, uint64_t seed, uint64_t run);

// Calls `visit` with every plan of a single event: each kind on each target at the first `hits`
// hits of each probe, before and after, for each of a few lengths. Stops when `visit` says false.
// The number of plans.
uint64_t ForEachSingle(const Hunt& hunt, uint64_t seed, uint64_t hits,
                       const std::function<bool(const Plan&)>& visit);

}  // namespace weir::faults
