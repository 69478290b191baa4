// The network family.
#include "faults/driver.h"

namespace weir::faults {

bool Driver::StrikeNetwork(size_t index) {
  const Event& event = plan_.events[index];
  switch (event.kind) {
    case Kind::kNetCut: {
      const sim::HostId from = HostOf(event.target);
      const sim::HostId to = HostOf(event.other);
      if (from == to) return false;
      world_.Cut(from, to);
      Later(event.lasts, [this, from, to] { world_.Heal(from, to); });
      return true;
    }
    case Kind::kNetReset: {
      const sim::HostId a = HostOf(event.target);
      const sim::HostId b = HostOf(event.other);
      if (a == b) return false;
      world_.ResetConnections(a, b);
      return true;
    }
    default:
      return false;
  }
}

}  // namespace weir::faults
