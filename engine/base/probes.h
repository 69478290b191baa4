// The probe table: the protocol moments of the whole project, by name. A probe is emitted through
// io::Trace where the moment happens; the simulator counts hits and lets a fault strike there
// ("kill worker 2 at its third ack"). Probes are per protocol step (a connection, a commit, a
// checkpoint), never per record.
//
// A begin/end pair spans an interval: "while a commit is in progress".
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

namespace weir::base {

enum class Probe : uint16_t {
  kPingServerUp,
  kPingRoundTrip,
  kLogAppendBegin,
  kLogAppendEnd,
  kLogReplicated,
  kLogCommitted,
  kLogRecovered,
  kLogLeaderUp,
  kCount,
};

struct ProbeInfo {
  Probe probe;
  std::string_view name;
  std::string_view fields;  // names of the values it carries, in order
  std::optional<Probe> ends =
      std::nullopt;  // set: this probe closes the interval that `ends` opened
};

inline constexpr std::array<ProbeInfo, static_cast<size_t>(Probe::kCount)> kProbes = {{
    {Probe::kPingServerUp, "ping.server_up", "port"},
    {Probe::kPingRoundTrip, "ping.round_trip", "client round"},
    {Probe::kLogAppendBegin, "log.append_begin", "replica index"},
    {Probe::kLogAppendEnd, "log.append_end", "replica index", Probe::kLogAppendBegin},
    {Probe::kLogReplicated, "log.replicated", "replica index"},
    {Probe::kLogCommitted, "log.committed", "replica index"},
    {Probe::kLogRecovered, "log.recovered", "replica entries"},
    {Probe::kLogLeaderUp, "log.leader_up", "replica epoch"},
}};

constexpr bool ProbesAreInOrder() {
  for (size_t i = 0; i < kProbes.size(); ++i) {
    if (static_cast<size_t>(kProbes[i].probe) != i) return false;
  }
  return true;
}
static_assert(ProbesAreInOrder());

constexpr const ProbeInfo& Info(Probe probe) { return kProbes[static_cast<size_t>(probe)]; }

}  // namespace weir::base
