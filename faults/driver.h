// Driver: carries a plan out on a world. It waits for the times and the protocol moments that the
// plan names, strikes, undoes what lasts, restarts who died, and counts for each event whether it
// struck and whether anything came of it.
//
// Fault model. It is the world's (sim/world.h), within the limits that the scenario sets: who may
// be killed, and how many hosts' bytes may be lost. From the moment of healing on nothing strikes
// and nothing is wrong any more: links carry, hosts have power, disks work, processes run; only
// clocks keep what they were set to.
//
// A scenario makes its hosts and processes, says Protect, and runs the world. The driver must
// outlive the run and be gone before the world.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "faults/kinds.h"
#include "faults/plan.h"
#include "sim/world.h"

namespace weir::faults {

// What a scenario's program promises to survive.
struct Limits {
  std::vector<sim::ProcessId> killable{};  // and supervised: restarted whenever they end badly
  size_t disks_lost_max = 0;          // hosts whose stored bytes may be lost, exchanged or damaged
  std::vector<std::string> scopes{};  // names of scopes that may be cancelled
};

// What became of the events of one kind.
struct Bite {
  Kind kind{};
  uint64_t struck = 0;  // events that found their moment and their target
  uint64_t bit = 0;     // of these, events that changed an outcome
  uint64_t bites = 0;   // changed outcomes
};

class Driver {
 public:
  Driver(sim::World& world, Plan plan);
  ~Driver();
  Driver(const Driver&) = delete;
  Driver& operator=(const Driver&) = delete;

  // After the hosts and processes have been made: they are now known by name, the plan is clamped
  // to them and to `limits`.
  void Protect(Limits limits);
  void HealAt(base::Duration horizon);
  void Heal();
  bool healed() const { return healed_; }

  // All hosts of killable processes lose their power at the same instant and get it back a little
  // later, disks kept.
  void CutAllPower();

  // The plan as it is carried out.
  const Plan& plan() const { return plan_; }
  const Names& names() const { return names_; }
  const Limits& limits() const { return limits_; }

  // By kind, in their order, those with events in the plan.
  std::vector<Bite> bites() const;
  // By event of the plan: struck, and how many outcomes it changed.
  bool struck(size_t event) const { return states_[event].struck; }
  uint64_t bites_of(size_t event) const;
  uint64_t strikes() const;
  uint64_t recoveries() const { return recoveries_; }  // processes that were started again
  // "kill 2/3 net.cut 0/1": events of each kind that bit, of those that struck.
  std::string Report() const;
  // What a supervised process said that ended by itself although no fault excuses it.
  const absl::Status& complaint() const { return complaint_; }

 private:
  struct State {
    bool due = false;  // its moment has come, it does not come again
    bool struck = false;
    uint64_t bites = 0;  // those that the driver sees; the world counts the others
  };
  struct IntervalEnd {
    size_t event;
    base::Probe probe;
    sim::ProcessId process;
  };

  void OnProbe(base::Probe probe, sim::ProcessId process);
  void OnExit(sim::ProcessId process);
  void BeginInterval(size_t event, sim::ProcessId process);
  void Fire(size_t event);
  bool Strike(size_t event);
  // One a family, each in its own file. False: nothing to strike.
  bool StrikeProcess(size_t event);
  bool StrikeNetwork(size_t event);
  bool StrikeClock(size_t event);
  bool StrikeDisk(size_t event);
  void Partition(size_t event, const std::vector<sim::HostId>& side, int64_t ways);
  void Swizzle(size_t event);
  // Runs `undo` after so long, or at the healing if that is earlier.
  void Later(base::Duration after, std::function<void()> undo);
  sim::FaultTag TagOf(size_t event) const { return static_cast<sim::FaultTag>(event + 1); }

  bool Kill(size_t event, sim::ProcessId process);
  void KillAgain(size_t event, sim::ProcessId process, int64_t times);
  void PowerOff(size_t event, sim::HostId host);
  void PowerOn(sim::HostId host, sim::DiskFate fate);
  void Restart(sim::ProcessId process);
  // Whether one more host may lose bytes; if so it counts.
  bool MayDamage(sim::HostId host);

  bool Killable(sim::ProcessId process) const;
  bool MayLosePower(sim::HostId host) const;
  void FitToLimits();
  sim::ProcessId ProcessOf(const Event& event) const { return processes_[event.target]; }
  sim::HostId HostOf(uint32_t index) const { return hosts_[index]; }

  sim::World& world_;
  Plan plan_;
  Limits limits_;
  Names names_;
  std::vector<sim::ProcessId> processes_;
  std::vector<sim::HostId> hosts_;
  std::vector<State> states_;
  std::vector<std::vector<size_t>> waiting_;  // events by probe
  std::vector<IntervalEnd> open_;
  std::map<uint64_t, std::function<void()>> undos_;
  uint64_t last_undo_ = 0;
  std::set<sim::HostId> damaged_;
  std::set<sim::ProcessId>
      excused_;  // may end by themselves: their disk failed them, or a task of theirs was cancelled
  uint64_t recoveries_ = 0;
  bool healed_ = false;
  absl::Status complaint_;
};

}  // namespace weir::faults
