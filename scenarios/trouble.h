// Trouble: what goes wrong in the scenarios of the small programs, drawn from the world's stream:
// kills and restarts, power cuts with the disk kept, pauses, cut links and reset connections. Kinds
// are drawn a run, so that some runs have none of a kind and some little else.
#pragma once

#include <set>
#include <vector>

#include "absl/status/status.h"
#include "scenarios/scenario.h"
#include "sim/world.h"

namespace weir::scenarios {

class Trouble {
 public:
  // Plans what happens between now and `until`, when all is healed: every host has power, every
  // link carries, every process of `victims` runs. Only victims are killed; anybody may be paused
  // or cut off. Must outlive the run.
  Trouble(sim::World& world, std::vector<sim::ProcessId> victims, base::Duration until,
          Facts& facts);
  Trouble(const Trouble&) = delete;
  Trouble& operator=(const Trouble&) = delete;

  // All hosts of the victims lose their power at the same instant and get it back: what was
  // promised is on disk.
  void CutAllPower();

  // What victims that ended by themselves said.
  const absl::Status& complaint() const { return complaint_; }

 private:
  enum class Kind { kKill, kPowerCut, kPause, kCutLink, kReset };

  void Plan(Kind kind, base::Duration until);
  void Strike(Kind kind, base::Duration lasts);
  void Restart(sim::ProcessId process);
  void PowerOn(sim::HostId host);
  void Heal();
  sim::HostId AnyHost();

  sim::World& world_;
  base::Random random_;
  const std::vector<sim::ProcessId> victims_;
  Facts& facts_;
  absl::Status complaint_;
};

// A world whose latencies, windows and reads are drawn from the seed, down to no latency at all.
sim::WorldOptions AnyWorld(uint64_t seed);

}  // namespace weir::scenarios
