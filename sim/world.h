// World: hosts, processes and a network made of one seed, on one thread, in virtual time.
//
// Fault model. A process may be killed at any instant (its kernel closes its sockets, its page
// cache stays), asked to end, paused (kernel buffers keep filling; its timers fire late, together)
// and restarted. A host may lose power (no goodbye to anybody; unsynced bytes and names survive in
// part, torn by sector) and come back, its disk kept or lost. The network delays, cuts reads short,
// fills windows, drops listeners' overflow, is cut or clogged one way or both, loses the word that
// bytes have arrived, flips bits, refuses and delays connects, gives stale addresses, and resets a
// connection at any byte. A disk fails calls, is full, slow or hung, flips bits and writes to the
// wrong place (DiskTrouble). Clocks of hosts are skewed against each other, step and drift. CPU
// work takes virtual time (Tasks::Charge).
//
// The world knows nothing of what a test thinks of it: it has knobs and hands, and whoever made it
// turns them. It can be used for any program of the form absl::Status(io::Env&).
//
// Identity. Every scheduling choice, draw, message, disk call and its result is folded into hash():
// two runs are the same run exactly if their hashes are.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "engine/base/ids.h"
#include "engine/base/random.h"
#include "engine/io/env.h"

namespace weir::sim {

using HostId = base::Id<struct HostTag, uint32_t>;
// A place where a process lives, kept over its restarts; io::ProcessId names one of its lives.
using ProcessId = base::Id<struct PlaceTag, uint32_t>;

// What a fault strikes is marked with its tag, so that World::bites can tell which faults changed
// an outcome. 0: untold.
using FaultTag = uint32_t;

struct NetworkModel {
  base::Duration latency_low{std::chrono::microseconds(50)};
  base::Duration latency_high{std::chrono::microseconds(800)};
  base::Ratio slow_message{1, 1000};  // of these, latency up to:
  base::Duration latency_slow{std::chrono::milliseconds(100)};
  base::Duration loopback_high{std::chrono::microseconds(20)};  // within a host, from zero
  uint64_t bytes_per_second = 1'250'000'000;  // of each direction of each host's link
  base::Ratio short_read{1, 4};               // a read gives a random part of what is there
  uint64_t window_bytes = 256 << 10;          // that a connection holds unread, each way
  base::Duration syn_retry{std::chrono::seconds(1)};

  // A world of one switch with no surprises, for benchmarks.
  static NetworkModel Calm();
};

struct DiskModel {
  base::Duration sync_low{std::chrono::microseconds(100)};
  base::Duration sync_high{std::chrono::milliseconds(5)};
  base::Duration read_low{std::chrono::nanoseconds(0)};
  base::Duration read_high{std::chrono::microseconds(200)};
  uint64_t capacity_bytes = uint64_t{64} << 30;
};

struct WorldOptions {
  uint64_t seed = 1;
  NetworkModel network{};
  DiskModel disk{};
  // The run fails as without end when this much virtual time has passed.
  base::Duration time_limit{std::chrono::hours(1)};
  // What is drawn at most for the difference between hosts' wall clocks, either way.
  base::Duration wall_skew{std::chrono::milliseconds(500)};
  io::LogLevel log_level = io::LogLevel::kWarn;
  std::function<void(std::string_view)> log{};  // gets log lines; null: dropped
  std::function<void(std::string_view)>
      trace{};  // gets a line an event, slow; null: none. Does not change the run.
  std::function<void(std::string_view)> console{};  // what processes print; null: dropped
};

// What is wrong with a host's disk. A default value is a disk that works.
struct DiskTrouble {
  // The calls after the next `skip` ones fail, so many of them.
  struct Calls {
    uint64_t skip = 0;
    uint64_t calls = 0;
    FaultTag tag = 0;
  };
  Calls read_errors{};
  Calls write_errors{};
  Calls sync_errors{};
  Calls misdirected_writes{};            // succeed, and the bytes land elsewhere on the disk
  std::optional<uint64_t> free_bytes{};  // that are left to grow files by
  FaultTag full_by = 0;
  uint64_t slow_factor = 1;
  FaultTag slow_by = 0;
  bool hung = false;  // calls that reach the platter wait until it no longer is
  FaultTag hung_by = 0;
  uint64_t flip_bits = 0;  // on the way from the platter, of one read in `flip_one_in`
  uint64_t flip_one_in = 1;
  FaultTag flip_by = 0;
};

enum class DiskFate {
  kKept,
  kLost,  // a new, empty disk
};

struct StartOptions {
  std::string name{};  // of the place, unique; "" for "process N"
  std::vector<std::string> arguments{};
  // Run ends when every essential process has ended; the others die with the world.
  bool essential = true;
};

struct WorldCounts {
  uint64_t events = 0;
  uint64_t switches = 0;
  uint64_t messages = 0;  // writes that went to a connection
  uint64_t message_bytes = 0;
  uint64_t disk_calls = 0;
  uint64_t kills = 0;
  uint64_t restarts = 0;
  uint64_t pauses = 0;
  uint64_t muted_effects = 0;  // of dead processes' destructors
};

class World {
 public:
  explicit World(const WorldOptions& options);
  ~World();  // Kills what lives; never hangs.
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  // ---- Making it.
  HostId AddHost(std::string_view name);
  // Starts `program`, which must outlive the world, now. What it spawns by its own hash is
  // `program` again.
  ProcessId Start(HostId host, const io::Program& program, const StartOptions& options);
  // A program that processes can find by this path (Processes::Install).
  void InstallProgram(std::string_view path, const io::Program& program);

  // ---- Running it.
  // Until every essential process has ended. OK; or what went wrong:
  //   kDeadlineExceeded  the time limit, or nothing can ever happen again (the message names every
  //   waiting task) kInternal          a task died of an exception or refused to end
  absl::Status Run();
  // Until `until` holds (true), or so much virtual time has passed, or a failure that Run will
  // tell.
  bool RunUntil(const std::function<bool()>& until, base::Duration at_most);
  void RunFor(base::Duration duration) { RunUntil(nullptr, duration); }
  // Runs `hand` in the world at a time, between tasks.
  void At(base::Duration when, std::function<void()> hand);

  // `hook` is called inside every hit of a probe, before the task that hit it goes on; null:
  // nobody. It may use every hand: a task whose process it kills never goes on, one whose process
  // it pauses goes on when that is resumed.
  void OnProbe(std::function<void(base::Probe, ProcessId)> hook);

  // `hook` is called between tasks when a process that Start started has ended, however it did.
  void OnExit(std::function<void(ProcessId)> hook);

  // ---- Its hands. Between tasks: before Run, from At, or from OnProbe.
  void Kill(ProcessId process);
  void Terminate(ProcessId process);  // the polite signal
  void Pause(ProcessId process, FaultTag tag = 0);
  void Resume(ProcessId process);
  // Starts the place's program again, as it was started. Must not be running.
  void Restart(ProcessId process);
  void PowerOff(HostId host);
  void PowerOn(HostId host, DiskFate fate);
  // Both without power. Each finds the files of the other, in the places of its own.
  void SwapDisks(HostId a, HostId b);
  // Cancels the scopes of the process that are open under this name; returns how many tasks that
  // ends.
  size_t CancelScope(ProcessId process, std::string_view scope);
  // Bytes and connects from `from` to `to` wait while cut.
  void Cut(HostId from, HostId to, FaultTag tag = 0);
  void Heal(HostId from, HostId to);
  // As a cut, but nobody's timer notices, and what was held back arrives together when it ends.
  void Clog(HostId from, HostId to, FaultTag tag = 0);
  void Unclog(HostId from, HostId to);
  // Bytes from `from` arrive at `to`, and `from` never hears that they did: its window fills, its
  // kernel gives up after the peer timeout.
  void LoseAcks(HostId from, HostId to, FaultTag tag = 0);
  void RestoreAcks(HostId from, HostId to);
  // Resets every connection between two hosts.
  void ResetConnections(HostId a, HostId b, FaultTag tag = 0);
  // Ends them as if one side had closed: the other reads to the end.
  void CloseConnections(HostId a, HostId b, FaultTag tag = 0);
  // The connection that carries this byte from `from` to `to`, counted from now, is reset behind
  // it. nullopt: no more.
  void ResetAtByte(HostId from, HostId to, std::optional<uint64_t> byte, FaultTag tag = 0);
  // Of one write in `one_in` so many bits arrive flipped. 0 bits: none.
  void FlipBits(HostId from, HostId to, uint64_t bits, uint64_t one_in, FaultTag tag = 0);
  // Every message between hosts takes this long instead of what the model says. nullopt: as the
  // model says.
  void SetLatency(std::optional<std::pair<base::Duration, base::Duration>> range, FaultTag tag = 0);
  void SetBandwidth(HostId host, std::optional<uint64_t> bytes_per_second, FaultTag tag = 0);
  void RefuseConnects(HostId host, base::Ratio share, FaultTag tag = 0);
  void DelayConnects(HostId host, base::Duration delay, FaultTag tag = 0);
  // Its name gives an address that it no longer has.
  void SetStaleName(HostId host, bool stale, FaultTag tag = 0);
  // To be changed; after ending a hang, WakeDisk.
  DiskTrouble& disk_trouble(HostId host);
  void WakeDisk(HostId host);
  // Flips bits that lie on the platter, of a file that `where` chooses. False: the disk holds no
  // bytes.
  bool FlipStoredBits(HostId host, uint64_t bits, uint64_t where, FaultTag tag = 0);
  // CPU work of this process takes so many times as long.
  void SetSlowness(ProcessId process, uint64_t factor, FaultTag tag = 0);
  void StepWallClock(HostId host, base::Duration by, FaultTag tag = 0);
  // Both clocks of the host run faster by so many parts in a million.
  void SetDrift(HostId host, int64_t parts_per_million, FaultTag tag = 0);

  // ---- What can be seen.
  base::Duration now() const;
  uint64_t hash() const;
  WorldCounts counts() const;
  bool running(ProcessId process) const;
  // It was killed or ends, and is gone at this very instant of virtual time, but not yet.
  bool ending(ProcessId process) const;
  bool paused(ProcessId process) const;
  bool powered(HostId host) const;
  // Of its latest life; empty while it runs.
  std::optional<io::ExitStatus> exit_status(ProcessId process) const;
  const absl::Status& exit_message(ProcessId process) const;  // what the program returned
  ProcessId Find(std::string_view name) const;                // invalid if there is none
  std::vector<ProcessId> processes() const;
  std::vector<HostId> hosts() const;
  HostId host_of(ProcessId process) const;
  const std::string& name_of(ProcessId process) const;
  const std::string& name_of(HostId host) const;
  const std::string& address_of(HostId host) const;
  uint64_t hits(base::Probe probe) const;
  uint64_t hits(base::Probe probe, ProcessId process) const;
  // How often what carries this tag has changed an outcome.
  uint64_t bites(FaultTag tag) const;
  // A stream of draws for whoever turns the knobs, apart from the world's own.
  base::Random& random();
  // What waits for what, a line a task.
  std::string DescribeWaits() const;

 private:
  friend class Core;
  std::unique_ptr<class Core> core_;
};

}  // namespace weir::sim
