// Core: the inside of a World. Shared by the files of sim/ alone.
//
//   Core       scheduler, event queue, virtual time; decides who runs and what happens next
//   HostState  a machine: power, address, clocks, its link to the network, its disk
//   Place      where a process lives, over its restarts
//   Life       one life of a process: its Env, its tasks, its executors
//
// Everything runs on one thread. Light events (deliveries, timers) run on the stack of whoever
// waits; what may do more (kills, restarts, hands of the test) runs on the driver's stack, when no
// task is ready.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/hash.h"
#include "engine/base/metrics.h"
#include "engine/io/scheduler.h"
#include "sim/event_queue.h"
#include "sim/world.h"

namespace weir::sim {

class Core;
class SimDiskState;
class SimNetwork;
struct Place;

using base::Duration;
using base::Monotonic;
using base::Nanos;

// What is wrong on the way from one host to another.
struct LinkTrouble {
  bool cut = false;
  FaultTag cut_by = 0;
  bool clogged = false;
  FaultTag clogged_by = 0;
  bool acks_lost = false;  // of bytes that went this way
  FaultTag acks_lost_by = 0;
  std::optional<uint64_t> reset_after;  // bytes
  FaultTag reset_by = 0;
  uint64_t flip_bits = 0;
  uint64_t flip_one_in = 1;
  FaultTag flip_by = 0;
};

struct HostState {
  HostId id;
  std::string name;
  std::string address;
  bool powered = true;
  Duration monotonic_offset{0};  // clocks of two hosts share no zero
  Duration wall_offset{0};
  Monotonic link_free_at{};               // when its outgoing link has sent what it was given
  std::map<uint32_t, LinkTrouble> links;  // by the host they lead to; those that ever had trouble
  std::optional<uint64_t> bandwidth;      // instead of the model's
  FaultTag bandwidth_by = 0;
  base::Ratio refuses{0, 1};
  FaultTag refuses_by = 0;
  Duration connect_delay{0};
  FaultTag connect_delay_by = 0;
  bool stale_name = false;
  FaultTag stale_name_by = 0;
  FaultTag wall_by = 0;
  // Drift: since `drift_since` both clocks have gained this share of the time; what they gained
  // before is in the offsets.
  int64_t drift_ppm = 0;
  FaultTag drift_by = 0;
  Monotonic drift_since{};
  std::unique_ptr<SimDiskState> disk;

  const LinkTrouble* LinkTo(const HostState& to) const {
    if (links.empty()) [[likely]]
      return nullptr;
    const auto it = links.find(to.id.value());
    return it == links.end() ? nullptr : &it->second;
  }
  Duration Gained(Monotonic world) const {
    if (drift_ppm == 0) [[likely]]
      return Duration::zero();
    return Duration((world - drift_since).count() / 1000 * drift_ppm / 1000);
  }
  Monotonic FromWorld(Monotonic world) const { return world + monotonic_offset + Gained(world); }
  // The first moment at which the host's clock shows `here`, or a little before it where that is
  // not exact.
  Monotonic ToWorld(Monotonic here) const {
    if (here == base::kForever) return here;
    const Monotonic world = here - monotonic_offset;
    if (drift_ppm == 0 || world <= drift_since) [[likely]]
      return world;
    return world - Gained(world);
  }
};

struct ExecutorState {
  std::string name;
  Monotonic busy_until{};
  Duration debt{0};
  bool in_charged = false;
  std::vector<io::Task*> held{};  // ready, but the core is busy
};

// The interfaces of one life; each is a thin view of the core.
class LifeEnv;

class Life {
 public:
  Life(Core& core, Place& place, HostState& host, io::ProcessId id);
  ~Life();

  // The first line of every effect: false if the process is dead. Does not return to a dead task
  // that may be thrown.
  bool Alive();
  bool dead() const { return dead_; }

  Core& core;
  Place& place;
  HostState& host;
  const io::ProcessId id;
  io::TaskGroup* root = nullptr;
  io::TaskGroup* helpers = nullptr;
  std::vector<ExecutorState> executors;
  std::vector<io::Task*> held_by_pause;
  std::unique_ptr<LifeEnv> env;
  bool dead_ = false;    // killed: effects are muted
  bool ending_ = false;  // its tasks are being cancelled
  io::ExitStatus exit;
  absl::Status message;
  uint64_t children = 0;               // spawned so far
  std::vector<io::TaskGroup*> scopes;  // open ones, in the order of opening
  // Paused in the middle of its work, inside the hit of a probe: goes on before any other task of
  // the process does.
  io::Task* stopped = nullptr;
  bool termination_requested = false;
  std::vector<io::TaskRef> termination_waiters;
};

struct Place {
  ProcessId id;
  std::string name;
  HostState* host = nullptr;
  const io::Program* program = nullptr;
  std::vector<std::string> arguments;
  std::string directory;  // on the host's disk
  bool essential = false;
  bool capture_output = false;
  bool paused = false;
  FaultTag paused_by = 0;
  uint64_t slowness = 1;
  FaultTag slowed_by = 0;
  std::array<uint64_t, static_cast<size_t>(base::Probe::kCount)> hits{};
  uint64_t lives = 0;
  Place* parent = nullptr;
  bool forgotten = false;  // nobody can ask about it any more
  std::unique_ptr<Life> life;
  std::optional<io::ExitStatus> exit;
  absl::Status message;
  std::vector<io::TaskRef> exit_waiters;  // tasks of the parent
  std::string output;                     // captured and not yet read
  bool output_ended = false;
  std::vector<io::TaskRef> output_waiters;
};

class Core final : public io::Scheduler, public EventSink, public base::Random::Witness {
 public:
  explicit Core(const WorldOptions& options);
  ~Core() override;

  // ---- The identity of the run.
  void OnDraw(uint64_t value) override { hash_.Add(value); }
  void Note(uint64_t word) { hash_.Add(word); }
  void Note(uint64_t a, uint64_t b) {
    hash_.Add(a);
    hash_.Add(b);
  }
  bool tracing() const { return static_cast<bool>(options.trace); }
  void TraceLine(std::string_view text);
  std::string TimeText() const;

  // ---- Events.
  void PushLight(Monotonic at, EventSink* sink, uint64_t a, uint64_t b) {
    queue_.Push({at < now_ ? now_ : at, NextNumber(), sink, a, b});
  }
  void PushHeavy(Monotonic at, std::function<void()> hand);
  void OnEvent(uint64_t a, uint64_t b) override;  // an executor has finished its charge

  // ---- Lives.
  Place& MakePlace(HostState& host, const io::Program& program, std::string name,
                   std::vector<std::string> arguments, std::string directory, bool essential,
                   Place* parent);
  void Begin(Place& place);
  // The parent's handle is gone: the place goes too, now or when its life has ended.
  void Forget(Place& place);
  // Simulated programs are code of this very binary: their content is their number in the order of
  // first use.
  base::Hash128 ProgramHash(const io::Program* program);
  // Ends the life of `place`: at once and muted, or by cancelling what still runs.
  void End(Life& life, io::ExitStatus exit, absl::Status message, bool muted);
  void SetPaused(Place& place, bool paused, FaultTag tag = 0);
  // Where the current task may have been paused by what struck there: waits until it may go on.
  void StopHere(Life& life);
  size_t CancelScope(Life& life, std::string_view name);
  void Terminate(Life& life);
  void PowerOff(HostState& host);
  Life* FindLife(io::ProcessId id);
  void ReadyAgain(std::vector<io::Task*>& held);
  void Fail(absl::Status status);
  // What a fault did changed an outcome.
  void Bite(FaultTag tag) {
    if (tag == 0) return;
    if (tag >= bites.size()) bites.resize(tag + 1);
    ++bites[tag];
  }

  HostState& host(HostId id) { return *hosts[id.value() - 1]; }
  Place& place(ProcessId id) { return *places[id.value() - 1]; }

  // ---- The driver.
  // Until the essential processes have ended, or a failure.
  absl::Status Run(Monotonic limit);
  // Until `until` holds (true), `limit`, or a failure.
  bool RunUntil(const std::function<bool()>& until, Monotonic limit);
  std::string Waits() const;

  // ---- Scheduler.
  void Post(absl::AnyInvocable<void()> work) override { work(); }
  void UnparkFromAnywhere(io::TaskRef ref) override { Unpark(ref); }
  Monotonic Now() override { return now_; }
  Monotonic now() const { return now_; }
  void Charge(Life& life, io::Executor executor, Duration work);
  bool in_foreign_frame() const { return InForeignFrame(); }

  WorldOptions options;
  base::Random root;      // forks only
  base::Random schedule;  // who runs next
  base::Random hands;     // World::random
  std::vector<std::unique_ptr<HostState>> hosts;
  std::vector<std::unique_ptr<Place>> places;  // by id; null: forgotten
  std::map<std::string, const io::Program*> installed;
  std::unique_ptr<SimNetwork> network;
  WorldCounts counts;
  std::array<uint64_t, static_cast<size_t>(base::Probe::kCount)> hits{};
  base::RollingHash hash_;
  std::function<void(base::Probe, ProcessId)> on_probe;
  std::function<void(ProcessId)> on_exit;
  std::vector<uint64_t> bites;  // by tag

 private:
  io::Task* PickNext() override;
  void Ready(io::Task* task) override;
  void OnTaskFailed(io::Task* task, std::string reason) override;
  void SettleCharges();
  void Finalize(io::ProcessId id);
  // Runs tasks and light events up to `limit`, then the one heavy event that stopped them, if any.
  // False: nothing is left to happen by then.
  bool Turn(Monotonic limit);
  Monotonic NextEvent() const;

  std::vector<const io::Program*> programs_;
  EventQueue queue_;
  std::map<uint64_t, std::function<void()>> hands_;  // heavy events by number
  Monotonic now_{};
  Monotonic limit_ = base::kForever;
  std::vector<io::Task*> ready_;
  std::vector<std::pair<Life*, size_t>> charged_;
  std::map<uint64_t, Life*> lives_;
  uint64_t last_life_ = 0;
  size_t essential_running_ = 0;
  bool stop_ = false;
  absl::Status failure_;
};

}  // namespace weir::sim
