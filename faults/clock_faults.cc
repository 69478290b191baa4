// The clock family: dates that are wrong, for a while or for good, and clocks that run at another
// speed.
//
// Fault model. Each host has one quartz: both of its clocks drift together, by at most 500 parts in
// a million, which is what NTP will still correct. The wall clock may besides show any date and
// step either way at any moment. The monotonic clock never runs backwards and never jumps; a pause
// (process family) is what looks like a jump of it.
#include <chrono>

#include "faults/driver.h"

namespace weir::faults {

using base::Duration;

bool Driver::StrikeClock(size_t index) {
  const Event& event = plan_.events[index];
  const sim::FaultTag tag = TagOf(index);
  const auto parameter = [&](size_t i) { return event.parameters[i]; };
  const sim::HostId host = HostOf(event.target);
  switch (event.kind) {
    case Kind::kClockSkew: {
      const Duration by = std::chrono::milliseconds(parameter(0));
      world_.StepWallClock(host, by, tag);
      Later(event.lasts, [this, host, by] { world_.StepWallClock(host, -by); });
      return true;
    }
    case Kind::kClockDrift:
      world_.SetDrift(host, parameter(0), tag);
      Later(event.lasts, [this, host] { world_.SetDrift(host, 0); });
      return true;
    case Kind::kClockStep:
      world_.StepWallClock(host, std::chrono::milliseconds(parameter(0)), tag);
      return true;
    case Kind::kClockJump: {
      // There and back, as often as it says.
      const Duration by = std::chrono::milliseconds(parameter(0));
      const int64_t times = parameter(1);
      const Duration each = event.lasts / (2 * times);
      for (int64_t i = 0; i < times; ++i) {
        world_.At(world_.now() + each * (2 * i), [this, host, by, each, tag] {
          if (healed_) return;
          world_.StepWallClock(host, by, tag);
          Later(each, [this, host, by] { world_.StepWallClock(host, -by); });
        });
      }
      return true;
    }
    default:
      return false;
  }
}

}  // namespace weir::faults
