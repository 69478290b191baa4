// The process family: processes that die, once, in a loop or while they recover; hosts that lose
// power, their disks kept, lost or exchanged; processes that stand still or crawl; tasks that are
// cancelled.
//
// Fault model. A kill takes effect between two instructions of the program, no destructor's effect
// is seen, the kernel closes its sockets. A power cut loses what was not synced, torn by sector
// (sim/sim_disk.h), and says goodbye to nobody. A pause is the stop-the-world of a garbage
// collector or a hypervisor: the kernel goes on receiving, timers fire late and together, the
// process wakes in a world that may have given it up. Slowness multiplies the CPU work that the
// program charges.
#include <algorithm>
#include <chrono>

#include "faults/driver.h"

namespace weir::faults {

using namespace std::chrono_literals;
using base::Duration;

bool Driver::Kill(size_t event, sim::ProcessId process) {
  if (!Killable(process) || !world_.running(process)) return false;
  world_.Kill(process);
  ++states_[event].bites;
  return true;
}

void Driver::KillAgain(size_t event, sim::ProcessId process, int64_t times) {
  if (healed_ || times == 0 || !Kill(event, process)) return;
  const Event& plan = plan_.events[event];
  Later(plan.lasts, [this, event, process, times] {
    Restart(process);
    const Duration gap = std::chrono::milliseconds(plan_.events[event].parameters[1]);
    world_.At(world_.now() + gap,
              [this, event, process, times] { KillAgain(event, process, times - 1); });
  });
}

void Driver::PowerOff(size_t event, sim::HostId host) {
  world_.PowerOff(host);
  ++states_[event].bites;
}

bool Driver::StrikeProcess(size_t index) {
  const Event& event = plan_.events[index];
  const auto parameter = [&](size_t i) { return event.parameters[i]; };
  switch (event.kind) {
    case Kind::kKill: {
      const sim::ProcessId process = ProcessOf(event);
      if (!Kill(index, process)) return false;
      Later(event.lasts, [this, process] { Restart(process); });
      return true;
    }
    case Kind::kCrashLoop: {
      const sim::ProcessId process = ProcessOf(event);
      if (!Killable(process) || !world_.running(process)) return false;
      KillAgain(index, process, parameter(0));
      return true;
    }
    case Kind::kKillInRecovery: {
      const sim::ProcessId process = ProcessOf(event);
      if (!Killable(process) || !world_.running(process)) return false;
      world_.Kill(process);
      Later(event.lasts, [this, index, process] {
        Restart(process);
        const Duration after = std::chrono::microseconds(plan_.events[index].parameters[0]);
        world_.At(world_.now() + after, [this, index, process] {
          if (healed_ || !Kill(index, process)) return;
          Later(plan_.events[index].lasts, [this, process] { Restart(process); });
        });
      });
      return true;
    }
    case Kind::kPower: {
      const sim::HostId host = HostOf(event.target);
      if (!world_.powered(host) || !MayLosePower(host)) return false;
      const bool lost = parameter(0) == 1 && MayDamage(host);
      PowerOff(index, host);
      Later(event.lasts, [this, host, lost] {
        PowerOn(host, lost ? sim::DiskFate::kLost : sim::DiskFate::kKept);
      });
      return true;
    }
    case Kind::kSwapDisks: {
      const sim::HostId a = HostOf(event.target);
      const sim::HostId b = HostOf(event.other);
      if (a == b || !world_.powered(a) || !world_.powered(b)) return false;
      if (!MayLosePower(a) || !MayLosePower(b) || limits_.disks_lost_max < 2 || !MayDamage(a) ||
          !MayDamage(b))
        return false;
      PowerOff(index, a);
      PowerOff(index, b);
      Later(event.lasts, [this, a, b] {
        if (world_.powered(a) || world_.powered(b)) return;
        world_.SwapDisks(a, b);
        PowerOn(a, sim::DiskFate::kKept);
        PowerOn(b, sim::DiskFate::kKept);
      });
      return true;
    }
    case Kind::kPause: {
      const sim::ProcessId process = ProcessOf(event);
      if (!world_.running(process) || world_.paused(process)) return false;
      world_.Pause(process, TagOf(index));
      Later(event.lasts, [this, process] {
        if (world_.paused(process)) world_.Resume(process);
      });
      return true;
    }
    case Kind::kSlow: {
      const sim::ProcessId process = ProcessOf(event);
      if (!world_.running(process)) return false;
      world_.SetSlowness(process, static_cast<uint64_t>(parameter(0)), TagOf(index));
      Later(event.lasts, [this, process] { world_.SetSlowness(process, 1); });
      return true;
    }
    case Kind::kCancel: {
      const sim::ProcessId process = ProcessOf(event);
      if (limits_.scopes.empty() || !Killable(process) || !world_.running(process)) return false;
      excused_.insert(process);
      const size_t scope = static_cast<size_t>(parameter(0)) % limits_.scopes.size();
      states_[index].bites += world_.CancelScope(process, limits_.scopes[scope]);
      return true;
    }
    default:
      return false;
  }
}

}  // namespace weir::faults
