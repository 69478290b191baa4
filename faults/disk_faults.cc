// The disk family: calls that fail, bytes that change, space that runs out, disks that are slow or
// hang.
//
// Fault model. It is that of sim/sim_disk.h. A power cut (process family) loses unsynced sectors
// and names and tears what it keeps; the faults here strike a host with power. Only as many hosts
// as the scenario allows have their stored bytes damaged or read wrongly, so that a program that
// keeps copies has a good one left; errors that the program is told of may strike everybody. A
// process whose disk failed may end; it is started again.
#include "faults/driver.h"

namespace weir::faults {

bool Driver::StrikeDisk(size_t index) {
  const Event& event = plan_.events[index];
  const sim::FaultTag tag = TagOf(index);
  const auto parameter = [&](size_t i) { return static_cast<uint64_t>(event.parameters[i]); };
  const sim::HostId host = HostOf(event.target);
  const bool damages = event.kind == Kind::kDiskFlip || event.kind == Kind::kDiskFlipRead ||
                       event.kind == Kind::kDiskMisdirect;
  // Only supervised processes are asked to live with a disk that fails.
  if (!MayLosePower(host) || (damages && !MayDamage(host))) return false;
  if (event.kind != Kind::kDiskSlow && event.kind != Kind::kDiskHang) {
    for (const sim::ProcessId process : processes_) {
      if (world_.host_of(process) == host) excused_.insert(process);
    }
  }
  sim::DiskTrouble& trouble = world_.disk_trouble(host);
  const sim::DiskTrouble::Calls calls =
      event.parameters.size() > 1
          ? sim::DiskTrouble::Calls{.skip = parameter(0), .calls = parameter(1), .tag = tag}
          : sim::DiskTrouble::Calls{};
  switch (event.kind) {
    case Kind::kDiskReadError:
      trouble.read_errors = calls;
      Later(event.lasts, [this, host] { world_.disk_trouble(host).read_errors = {}; });
      return true;
    case Kind::kDiskWriteError:
      trouble.write_errors = calls;
      Later(event.lasts, [this, host] { world_.disk_trouble(host).write_errors = {}; });
      return true;
    case Kind::kDiskSyncError:
      trouble.sync_errors = calls;
      Later(event.lasts, [this, host] { world_.disk_trouble(host).sync_errors = {}; });
      return true;
    case Kind::kDiskMisdirect:
      trouble.misdirected_writes = calls;
      Later(event.lasts, [this, host] { world_.disk_trouble(host).misdirected_writes = {}; });
      return true;
    case Kind::kDiskFull:
      trouble.free_bytes = parameter(0);
      trouble.full_by = tag;
      Later(event.lasts, [this, host] { world_.disk_trouble(host).free_bytes.reset(); });
      return true;
    case Kind::kDiskSlow:
      trouble.slow_factor = parameter(0);
      trouble.slow_by = tag;
      Later(event.lasts, [this, host] { world_.disk_trouble(host).slow_factor = 1; });
      return true;
    case Kind::kDiskHang:
      trouble.hung = true;
      trouble.hung_by = tag;
      Later(event.lasts, [this, host] {
        world_.disk_trouble(host).hung = false;
        world_.WakeDisk(host);
      });
      return true;
    case Kind::kDiskFlipRead:
      trouble.flip_bits = parameter(0);
      trouble.flip_one_in = parameter(1);
      trouble.flip_by = tag;
      Later(event.lasts, [this, host] { world_.disk_trouble(host).flip_bits = 0; });
      return true;
    case Kind::kDiskFlip:
      return world_.FlipStoredBits(host, parameter(0), parameter(1), tag);
    default:
      return false;
  }
}

}  // namespace weir::faults
