// A whole world: bytes are a list of faults that strikes ping-pong, each at a time or at a protocol
// moment. Under any list every message is answered, once all is healed.
//
// The fuzzer sees, beside the edges of the code, the states of the protocol: a counter for each
// combination of moment, how often it was reached, and what was broken at the time. So a list that
// only brings known code into a new situation is kept too.
#include "sim/world.h"

#include <array>
#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "engine/base/check.h"
#include "engine/base/hash.h"
#include "engine/io/env.h"
#include "fuzz/input.h"
#include "scenarios/ping_pong.h"

namespace weir::fuzz {
namespace {

using namespace std::chrono_literals;
using base::Duration;
using base::Probe;

constexpr size_t kStates = 1 << 14;
__attribute__((section("__libfuzzer_extra_counters"), used)) uint8_t states[kStates];

constexpr size_t kEventsMax = 12;
constexpr auto kHorizon = 2s;

enum class Fault : uint8_t { kKill, kPowerCut, kPause, kCutOneWay, kCutBothWays, kReset, kSlow };
constexpr uint64_t kFaults = 7;

// Counts the moments that it passes on.
class CountingTrace final : public io::Trace {
 public:
  CountingTrace(io::Trace& under, const sim::World& world, const uint64_t& broken)
      : under_(under), world_(world), broken_(broken) {}
  void Hit(base::Probe probe, absl::Span<const int64_t> values) override {
    base::RollingHash state;
    state.Add(static_cast<uint64_t>(probe));
    state.Add(static_cast<uint64_t>(std::bit_width(world_.hits(probe))));
    state.Add(broken_);
    uint8_t& count = states[state.value() % kStates];
    if (count < UINT8_MAX) ++count;
    under_.Hit(probe, values);
  }

 private:
  io::Trace& under_;
  const sim::World& world_;
  const uint64_t& broken_;
};

class Run {
 public:
  Run(Input& input, const sim::WorldOptions& options) : input_(input), world_(options) {}

  void Play() {
    program_ = [this](io::Env& env) -> absl::Status {
      CountingTrace trace(env.trace, world_, broken_);
      io::Env counted{env.clock, env.tasks,   env.random, env.network, env.disk,   env.processes,
                      env.host,  env.signals, env.log,    trace,       env.console};
      return scenarios::PingPong(counted);
    };
    const uint64_t clients = input_.Between(1, 3);
    const uint64_t rounds = input_.Between(1, 24);
    Start("server", {"--program=ping_pong", "server", "server:7000"}, /*essential=*/false);
    for (uint64_t number = 1; number <= clients; ++number) {
      Start(absl::StrFormat("client%d", number),
            {"--program=ping_pong", "client", "server:7000", std::to_string(number),
             std::to_string(rounds)},
            /*essential=*/true);
    }
    for (size_t i = 0; i < kEventsMax && !input_.empty() && world_.now() < kHorizon; ++i) {
      WaitForMoment();
      Strike();
    }
    Heal();
    CHECK_OK(world_.Run());
    for (size_t i = 1; i < processes_.size(); ++i) {
      CHECK_OK(world_.exit_message(processes_[i]));
    }
    CHECK_EQ(world_.hits(Probe::kPingRoundTrip), clients * rounds);
  }

 private:
  void Start(const std::string& name, const std::vector<std::string>& arguments, bool essential) {
    hosts_.push_back(world_.AddHost(name));
    processes_.push_back(world_.Start(
        hosts_.back(), program_, {.name = name, .arguments = arguments, .essential = essential}));
  }

  // A time, or the how-manieth hit of a probe from here on, whichever comes first.
  void WaitForMoment() {
    const uint8_t form = input_.Byte();
    const Duration wait = 100us * (1 << input_.Between(0, 12));
    if (form % 2 == 0) {
      world_.RunFor(wait);
    } else {
      const Probe probe = form % 4 == 1 ? Probe::kPingRoundTrip : Probe::kPingServerUp;
      const uint64_t hits = world_.hits(probe) + 1 + form / 4 % 8;
      world_.RunUntil([&] { return world_.hits(probe) >= hits; }, wait);
    }
  }

  void Strike() {
    const auto fault = static_cast<Fault>(input_.Between(0, kFaults - 1));
    const uint8_t who = input_.Byte();
    const Duration end = world_.now() + 1ms * (1 << input_.Between(0, 13));
    const sim::HostId server = hosts_[0];
    const sim::HostId client = hosts_[1 + who / 2 % (hosts_.size() - 1)];
    const sim::HostId from = who % 2 == 0 ? server : client;
    const sim::HostId to = who % 2 == 0 ? client : server;
    switch (fault) {
      case Fault::kKill:
        if (!world_.running(processes_[0])) return;
        world_.Kill(processes_[0]);
        Until(end, fault, [this] { Revive(); });
        return;
      case Fault::kPowerCut:
        if (!world_.powered(server)) return;
        world_.PowerOff(server);
        Until(end, fault, [this] { Revive(); });
        return;
      case Fault::kPause: {
        const sim::ProcessId paused = processes_[who % processes_.size()];
        if (!world_.running(paused) || world_.paused(paused)) return;
        world_.Pause(paused);
        Until(end, fault, [this, paused] {
          if (world_.running(paused) && world_.paused(paused)) world_.Resume(paused);
        });
        return;
      }
      case Fault::kCutBothWays:
        world_.Cut(to, from);
        Until(end, fault, [this, from, to] { world_.Heal(to, from); });
        [[fallthrough]];
      case Fault::kCutOneWay:
        world_.Cut(from, to);
        Until(end, fault, [this, from, to] { world_.Heal(from, to); });
        return;
      case Fault::kReset:
        world_.ResetConnections(from, to);
        return;
      case Fault::kSlow: {
        const sim::ProcessId slow = processes_[who % processes_.size()];
        world_.SetSlowness(slow, 1 + who % 100);
        Until(end, fault, [this, slow] { world_.SetSlowness(slow, 1); });
        return;
      }
    }
  }

  template <typename Undo>
  void Until(Duration end, Fault fault, Undo undo) {
    broken_ |= uint64_t{1} << static_cast<int>(fault);
    world_.At(end, [this, fault, undo] {
      broken_ &= ~(uint64_t{1} << static_cast<int>(fault));
      undo();
    });
  }

  void Revive() {
    if (!world_.powered(hosts_[0])) world_.PowerOn(hosts_[0], sim::DiskFate::kKept);
    if (!world_.running(processes_[0])) world_.Restart(processes_[0]);
  }

  void Heal() {
    world_.At(world_.now(), [this] {
      for (size_t i = 1; i < hosts_.size(); ++i) {
        world_.Heal(hosts_[0], hosts_[i]);
        world_.Heal(hosts_[i], hosts_[0]);
      }
      for (const sim::ProcessId process : processes_) {
        if (world_.running(process) && world_.paused(process)) world_.Resume(process);
      }
      Revive();
    });
  }

  Input& input_;
  uint64_t broken_ = 0;  // a bit for each kind of fault at work
  io::Program program_;
  sim::World world_;
  std::vector<sim::HostId> hosts_;
  std::vector<sim::ProcessId> processes_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 128) return 0;
  Input input(data, size);
  sim::WorldOptions options;
  options.seed = input.Byte();
  options.time_limit = 10min;
  options.network.latency_low = 0us;
  options.network.latency_high = 1us * (1 << input.Between(0, 15));
  options.network.window_bytes = uint64_t{1} << input.Between(10, 18);
  options.network.short_read = {input.Between(0, 4), 4};
  Run(input, options).Play();
  return 0;
}

}  // namespace weir::fuzz
