#include "scenarios/trouble.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"

namespace weir::scenarios {
namespace {

using namespace std::chrono_literals;
using base::Duration;

constexpr int kStrikesMax = 6;  // of each kind

}  // namespace

Trouble::Trouble(sim::World& world, std::vector<sim::ProcessId> victims, Duration until,
                 Facts& facts)
    : world_(world),
      random_(world.random().Fork("trouble")),
      victims_(std::move(victims)),
      facts_(facts) {
  for (const Kind kind :
       {Kind::kKill, Kind::kPowerCut, Kind::kPause, Kind::kCutLink, Kind::kReset}) {
    const int strikes = random_.Between(-2, kStrikesMax);
    for (int i = 0; i < strikes; ++i) Plan(kind, until);
  }
  world_.At(until, [this] { Heal(); });
}

void Trouble::Plan(Kind kind, Duration until) {
  const Duration at = random_.Between(world_.now(), until);
  // From a blink to longer than every timeout.
  const Duration lasts = random_.LogNormal(150ms);
  world_.At(at, [this, kind, lasts] { Strike(kind, lasts); });
}

sim::HostId Trouble::AnyHost() {
  const std::vector<sim::HostId> hosts = world_.hosts();
  return hosts[random_.Between(uint64_t{0}, hosts.size() - 1)];
}

void Trouble::Strike(Kind kind, Duration lasts) {
  const sim::ProcessId victim = victims_[random_.Between(uint64_t{0}, victims_.size() - 1)];
  const Duration end = world_.now() + lasts;
  switch (kind) {
    case Kind::kKill:
      if (!world_.running(victim)) return;
      world_.Kill(victim);
      world_.At(end, [this, victim] { Restart(victim); });
      break;
    case Kind::kPowerCut: {
      const sim::HostId host = world_.host_of(victim);
      if (!world_.powered(host)) return;
      world_.PowerOff(host);
      world_.At(end, [this, host] { PowerOn(host); });
      break;
    }
    case Kind::kPause: {
      const std::vector<sim::ProcessId> all = world_.processes();
      const sim::ProcessId paused = all[random_.Between(uint64_t{0}, all.size() - 1)];
      if (!world_.running(paused) || world_.paused(paused)) return;
      world_.Pause(paused);
      world_.At(end, [this, paused] { world_.Resume(paused); });
      break;
    }
    case Kind::kCutLink: {
      const sim::HostId from = AnyHost();
      const sim::HostId to = AnyHost();
      if (from == to) return;
      world_.Cut(from, to);
      world_.At(end, [this, from, to] { world_.Heal(from, to); });
      break;
    }
    case Kind::kReset: {
      const sim::HostId a = AnyHost();
      const sim::HostId b = AnyHost();
      if (a == b) return;
      world_.ResetConnections(a, b);
      break;
    }
  }
  ++facts_.faults;
}

void Trouble::Restart(sim::ProcessId process) {
  if (world_.running(process) || !world_.powered(world_.host_of(process))) return;
  if (const auto exit = world_.exit_status(process);
      exit.has_value() && !exit->by_signal && complaint_.ok()) {
    const absl::Status& said = world_.exit_message(process);
    complaint_ =
        absl::Status(said.ok() ? absl::StatusCode::kInternal : said.code(),
                     absl::StrCat(world_.name_of(process), " ended by itself: ", said.message()));
  }
  world_.Restart(process);
  ++facts_.recoveries;
}

void Trouble::PowerOn(sim::HostId host) {
  if (!world_.powered(host)) world_.PowerOn(host, sim::DiskFate::kKept);
  for (const sim::ProcessId process : victims_) {
    if (world_.host_of(process) == host) Restart(process);
  }
}

void Trouble::Heal() {
  const std::vector<sim::HostId> hosts = world_.hosts();
  for (const sim::HostId from : hosts) {
    for (const sim::HostId to : hosts) {
      if (from != to) world_.Heal(from, to);
    }
  }
  for (const sim::ProcessId process : world_.processes()) {
    if (world_.paused(process)) world_.Resume(process);
  }
  for (const sim::ProcessId process : victims_) PowerOn(world_.host_of(process));
}

void Trouble::CutAllPower() {
  for (const sim::ProcessId process : victims_) world_.PowerOff(world_.host_of(process));
  ++facts_.faults;
  world_.RunFor(1ms);
  for (const sim::ProcessId process : victims_) PowerOn(world_.host_of(process));
}

sim::WorldOptions AnyWorld(uint64_t seed) {
  base::Random random = base::Random(seed).Fork("model");
  sim::WorldOptions options;
  options.seed = seed;
  options.time_limit = 10min;
  options.network.latency_low = random.Chance({1, 2}) ? 0us : 50us;
  // One world in four is as slow as an ocean, where protocols overlap that a fast one runs one
  // after the other. The programs' timeouts allow for that much and no more.
  const bool ocean = random.Chance({1, 4});
  const Duration spread =
      ocean ? random.Between(Duration(10ms), Duration(40ms)) : random.LogNormal(200us);
  options.network.latency_high = options.network.latency_low + std::min<Duration>(spread, 40ms);
  if (random.Chance({1, 4})) options.network.latency_high = options.network.latency_low;
  options.network.loopback_high = random.Chance({1, 2}) ? 0us : 20us;
  options.network.slow_message = {random.Between(uint64_t{0}, uint64_t{20}), 1000};
  options.network.short_read = {random.Between(uint64_t{0}, uint64_t{4}), 4};
  options.network.window_bytes = uint64_t{1} << random.Between(uint64_t{10}, uint64_t{18});
  options.disk.sync_high = options.disk.sync_low + random.LogNormal(1ms);
  return options;
}

}  // namespace weir::scenarios
