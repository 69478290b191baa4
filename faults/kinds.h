// The kinds of faults: one row each. A new kind is a row here, a case in its family's file and, if
// the world cannot do it yet, a hand of sim::World.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "faults/plan.h"

namespace weir::faults {

enum class Kind : uint8_t {
  kKill,
  kCrashLoop,
  kKillInRecovery,
  kPower,
  kSwapDisks,
  kPause,
  kSlow,
  kCancel,
  kNetLatency,
  kNetBandwidth,
  kNetClog,
  kNetClogBoth,
  kNetSwizzle,
  kNetCut,
  kNetCutBoth,
  kNetPartition,
  kNetIsolate,
  kNetHalfOpen,
  kNetClose,
  kNetReset,
  kNetResetAt,
  kNetRefuse,
  kNetSlowConnect,
  kNetFlip,
  kNetStaleName,
  kClockSkew,
  kClockDrift,
  kClockStep,
  kClockJump,
  kDiskReadError,
  kDiskWriteError,
  kDiskSyncError,
  kDiskFull,
  kDiskSlow,
  kDiskHang,
  kDiskFlipRead,
  kDiskFlip,
  kDiskMisdirect,
  kCount,
};

enum class Family : uint8_t { kProcess, kNetwork, kClock, kDisk };
inline constexpr size_t kFamilies = 4;
std::string_view NameOf(Family family);

enum class Target : uint8_t { kNone, kProcess, kHost, kHostPair };

struct Parameter {
  std::string_view name;
  std::string_view unit;
  int64_t low = 0;
  int64_t high = 0;
  int64_t fallback = 0;
};

struct Info {
  Kind kind{};
  std::string_view name;
  Family family{};
  Target target{};
  bool lasts = false;
  std::string_view bite;                  // the changed outcome that counts
  std::array<Parameter, 2> parameters{};  // those with a name

  size_t parameter_count() const {
    return parameters[0].name.empty() ? 0 : parameters[1].name.empty() ? 1 : 2;
  }
};

// Disks: 0 kept, 1 lost.
inline constexpr std::array<Info, static_cast<size_t>(Kind::kCount)> kKinds = {{
    {Kind::kKill, "kill", Family::kProcess, Target::kProcess, true, "a running process died"},
    {Kind::kCrashLoop,
     "crash_loop",
     Family::kProcess,
     Target::kProcess,
     true,
     "a running process died",
     {{{"times", "", 2, 20, 3}, {"gap_ms", "ms", 0, 5'000, 50}}}},
    {Kind::kKillInRecovery,
     "kill_in_recovery",
     Family::kProcess,
     Target::kProcess,
     true,
     "a process died soon after it had come back",
     {{{"after_us", "us", 0, 1'000'000, 2'000}}}},
    {Kind::kPower,
     "power",
     Family::kProcess,
     Target::kHost,
     true,
     "a host with power lost it",
     {{{"disk_lost", "", 0, 1, 0}}}},
    {Kind::kSwapDisks, "swap_disks", Family::kProcess, Target::kHostPair, true,
     "two hosts came back with each other's disk"},
    {Kind::kPause, "pause", Family::kProcess, Target::kProcess, true,
     "a task that was ready had to wait"},
    {Kind::kSlow,
     "slow",
     Family::kProcess,
     Target::kProcess,
     true,
     "charged work took longer",
     {{{"factor", "", 2, 10'000, 10}}}},
    {Kind::kCancel,
     "cancel",
     Family::kProcess,
     Target::kProcess,
     false,
     "tasks of the scope ended",
     {{{"scope", "", 0, 63, 0}}}},

    {Kind::kNetLatency,
     "net.latency",
     Family::kNetwork,
     Target::kNone,
     true,
     "a message arrived later than it would have",
     {{{"low_us", "us", 0, 1'000'000, 0}, {"high_us", "us", 0, 10'000'000, 20'000}}}},
    {Kind::kNetBandwidth,
     "net.bandwidth",
     Family::kNetwork,
     Target::kHost,
     true,
     "a message queued for its link",
     {{{"bytes_per_second", "", 1'000, 1'250'000'000, 100'000}}}},
    {Kind::kNetClog, "net.clog", Family::kNetwork, Target::kHostPair, true,
     "a message was held back"},
    {Kind::kNetClogBoth, "net.clog_both", Family::kNetwork, Target::kHostPair, true,
     "a message was held back"},
    {Kind::kNetSwizzle,
     "net.swizzle",
     Family::kNetwork,
     Target::kNone,
     true,
     "a message was held back",
     {{{"hosts_percent", "%", 1, 100, 50}, {"mix", "", 0, 1'000'000, 1}}}},
    {Kind::kNetCut, "net.cut", Family::kNetwork, Target::kHostPair, true,
     "a message did not get through"},
    {Kind::kNetCutBoth, "net.cut_both", Family::kNetwork, Target::kHostPair, true,
     "a message did not get through"},
    {Kind::kNetPartition,
     "net.partition",
     Family::kNetwork,
     Target::kNone,
     true,
     "a message did not get through",
     {{{"side", "bits", 1, (int64_t{1} << 62) - 1, 1}, {"ways", "0 both 1 in 2 out", 0, 2, 0}}}},
    {Kind::kNetIsolate,
     "net.isolate",
     Family::kNetwork,
     Target::kHost,
     true,
     "a message did not get through",
     {{{"ways", "0 both 1 in 2 out", 0, 2, 0}}}},
    {Kind::kNetHalfOpen, "net.half_open", Family::kNetwork, Target::kHostPair, true,
     "an acknowledgement did not get through"},
    {Kind::kNetClose, "net.close", Family::kNetwork, Target::kHostPair, false,
     "a connection ended"},
    {Kind::kNetReset, "net.reset", Family::kNetwork, Target::kHostPair, false,
     "a connection was lost"},
    {Kind::kNetResetAt,
     "net.reset_at",
     Family::kNetwork,
     Target::kHostPair,
     true,
     "a connection was lost in the middle of bytes",
     {{{"bytes", "", 0, 1 << 20, 10}}}},
    {Kind::kNetRefuse,
     "net.refuse",
     Family::kNetwork,
     Target::kHost,
     true,
     "a connect was refused",
     {{{"percent", "%", 1, 100, 100}}}},
    {Kind::kNetSlowConnect,
     "net.slow_connect",
     Family::kNetwork,
     Target::kHost,
     true,
     "a connect waited",
     {{{"delay_ms", "ms", 1, 60'000, 500}}}},
    {Kind::kNetFlip,
     "net.flip",
     Family::kNetwork,
     Target::kHostPair,
     true,
     "bytes arrived changed",
     {{{"bits", "", 1, 32, 1}, {"one_in", "messages", 1, 1'000, 1}}}},
    {Kind::kNetStaleName, "net.stale_name", Family::kNetwork, Target::kHost, true,
     "a name gave an address that nobody has"},

    {Kind::kClockSkew,
     "clock.skew",
     Family::kClock,
     Target::kHost,
     true,
     "a process read the wrong date",
     {{{"by_ms", "ms", -86'400'000, 86'400'000, 1'000}}}},
    {Kind::kClockDrift,
     "clock.drift",
     Family::kClock,
     Target::kHost,
     true,
     "a timer fired at another moment",
     {{{"ppm", "ppm", -500, 500, 200}}}},
    {Kind::kClockStep,
     "clock.step",
     Family::kClock,
     Target::kHost,
     false,
     "a process read the wrong date",
     {{{"by_ms", "ms", -3'600'000, 3'600'000, -1'000}}}},
    {Kind::kClockJump,
     "clock.jump",
     Family::kClock,
     Target::kHost,
     true,
     "a process read the wrong date",
     {{{"by_ms", "ms", -315'360'000'000, 315'360'000'000, 3'600'000}, {"times", "", 1, 20, 2}}}},

    {Kind::kDiskReadError,
     "disk.read_error",
     Family::kDisk,
     Target::kHost,
     true,
     "a read failed",
     {{{"skip", "calls", 0, 100'000, 0}, {"calls", "", 1, 1'000, 1}}}},
    {Kind::kDiskWriteError,
     "disk.write_error",
     Family::kDisk,
     Target::kHost,
     true,
     "a write failed",
     {{{"skip", "calls", 0, 100'000, 0}, {"calls", "", 1, 1'000, 1}}}},
    {Kind::kDiskSyncError,
     "disk.sync_error",
     Family::kDisk,
     Target::kHost,
     true,
     "a sync failed",
     {{{"skip", "calls", 0, 100'000, 0}, {"calls", "", 1, 1'000, 1}}}},
    {Kind::kDiskFull,
     "disk.full",
     Family::kDisk,
     Target::kHost,
     true,
     "a write found no space",
     {{{"free_bytes", "", 0, 1 << 30, 0}}}},
    {Kind::kDiskSlow,
     "disk.slow",
     Family::kDisk,
     Target::kHost,
     true,
     "a call took longer",
     {{{"factor", "", 2, 10'000, 20}}}},
    {Kind::kDiskHang, "disk.hang", Family::kDisk, Target::kHost, true, "a call waited"},
    {Kind::kDiskFlipRead,
     "disk.flip_read",
     Family::kDisk,
     Target::kHost,
     true,
     "a read gave other bytes",
     {{{"bits", "", 1, 32, 1}, {"one_in", "reads", 1, 1'000, 1}}}},
    {Kind::kDiskFlip,
     "disk.flip",
     Family::kDisk,
     Target::kHost,
     false,
     "a stored byte changed",
     {{{"bits", "", 1, 256, 1}, {"where", "", 0, 1'000'000, 0}}}},
    {Kind::kDiskMisdirect,
     "disk.misdirect",
     Family::kDisk,
     Target::kHost,
     true,
     "a write went elsewhere",
     {{{"skip", "calls", 0, 100'000, 0}, {"calls", "", 1, 1'000, 1}}}},
}};

constexpr bool KindsAreInOrder() {
  for (size_t i = 0; i < kKinds.size(); ++i) {
    if (static_cast<size_t>(kKinds[i].kind) != i) return false;
  }
  return true;
}
static_assert(KindsAreInOrder());

constexpr const Info& InfoOf(Kind kind) { return kKinds[static_cast<size_t>(kind)]; }

// Null if there is none; `nearest` gets the closest name.
const Info* FindKind(std::string_view name);
std::string_view NearestKind(std::string_view name);

// Whether the list names this very kind, not only its family.
bool NamesKind(std::string_view list, Kind kind);

// "all", "none", or names of families and kinds with commas between: kill,network,disk.full. In the
// order of the table.
absl::StatusOr<std::vector<Kind>> ParseKinds(std::string_view list);

}  // namespace weir::faults
