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
  kWalRecoverBegin,
  kWalRecoverEnd,
  kWalTornTail,
  kWalAppendBegin,
  kWalWritten,
  kWalAppendEnd,
  kWalAcknowledged,
  kTpcRecovered,
  kTpcPrepareBegin,
  kTpcPrepareEnd,
  kTpcDecided,
  kTpcAcknowledged,
  kTpcEnded,
  kTpcVoted,
  kTpcApplied,
  kTpcInquired,
  kLeaseGranted,
  kLeaseHeldBegin,
  kLeaseHeldEnd,
  kLeaseChecked,
  kLeaseWritten,
  kLeaseRefused,
  kChainEpoch,
  kChainRemoved,
  kChainJoined,
  kChainSynced,
  kChainAppendBegin,
  kChainAppendEnd,
  kChainAcknowledged,
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
    {Probe::kWalRecoverBegin, "wal.recover_begin", ""},
    {Probe::kWalRecoverEnd, "wal.recover_end", "records", Probe::kWalRecoverBegin},
    {Probe::kWalTornTail, "wal.torn_tail", "bytes"},
    {Probe::kWalAppendBegin, "wal.append_begin", "offset"},
    {Probe::kWalWritten, "wal.written", "offset"},
    {Probe::kWalAppendEnd, "wal.append_end", "offset", Probe::kWalAppendBegin},
    {Probe::kWalAcknowledged, "wal.acknowledged", "sequence"},
    {Probe::kTpcRecovered, "tpc.recovered", "unfinished"},
    {Probe::kTpcPrepareBegin, "tpc.prepare_begin", "transaction"},
    {Probe::kTpcPrepareEnd, "tpc.prepare_end", "transaction all", Probe::kTpcPrepareBegin},
    {Probe::kTpcDecided, "tpc.decided", "transaction"},
    {Probe::kTpcAcknowledged, "tpc.acknowledged", "transaction"},
    {Probe::kTpcEnded, "tpc.ended", "transaction", Probe::kTpcDecided},
    {Probe::kTpcVoted, "tpc.voted", "participant transaction"},
    {Probe::kTpcApplied, "tpc.applied", "participant transaction"},
    {Probe::kTpcInquired, "tpc.inquired", "participant transaction"},
    {Probe::kLeaseGranted, "lease.granted", "holder token"},
    {Probe::kLeaseHeldBegin, "lease.held_begin", "holder token"},
    {Probe::kLeaseHeldEnd, "lease.held_end", "holder token", Probe::kLeaseHeldBegin},
    {Probe::kLeaseChecked, "lease.checked", "holder token"},
    {Probe::kLeaseWritten, "lease.written", "holder token"},
    {Probe::kLeaseRefused, "lease.refused", "holder token"},
    {Probe::kChainEpoch, "chain.epoch", "epoch nodes"},
    {Probe::kChainRemoved, "chain.removed", "node epoch"},
    {Probe::kChainJoined, "chain.joined", "node epoch"},
    {Probe::kChainSynced, "chain.synced", "node entries"},
    {Probe::kChainAppendBegin, "chain.append_begin", "node index"},
    {Probe::kChainAppendEnd, "chain.append_end", "node index", Probe::kChainAppendBegin},
    {Probe::kChainAcknowledged, "chain.acknowledged", "node index"},
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
