#include "faults/driver.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/text.h"

namespace weir::faults {
namespace {

using namespace std::chrono_literals;
using base::Duration;

// A supervisor starts again what ended by itself after so long.
constexpr Duration kSupervisorDelay = 100ms;

bool Kills(Kind kind) {
  return kind == Kind::kKill || kind == Kind::kCrashLoop || kind == Kind::kKillInRecovery ||
         kind == Kind::kCancel;
}

}  // namespace

Driver::Driver(sim::World& world, Plan plan) : world_(world), plan_(std::move(plan)) {
  Clamp(plan_, names_);
  states_.resize(plan_.events.size());
  waiting_.resize(base::kProbes.size());
  bool probes = false;
  for (size_t i = 0; i < plan_.events.size(); ++i) {
    const When& when = plan_.events[i].when;
    if (when.form == When::Form::kAt) {
      world_.At(when.offset, [this, i] { Fire(i); });
    } else {
      waiting_[static_cast<size_t>(when.probe)].push_back(i);
      probes = true;
    }
  }
  if (probes) {
    world_.OnProbe([this](base::Probe probe, sim::ProcessId process) { OnProbe(probe, process); });
  }
  world_.OnExit([this](sim::ProcessId process) { OnExit(process); });
}

Driver::~Driver() {
  world_.OnProbe(nullptr);
  world_.OnExit(nullptr);
}

void Driver::Protect(Limits limits) {
  limits_ = std::move(limits);
  names_ = {};
  processes_ = world_.processes();
  hosts_ = world_.hosts();
  for (const sim::ProcessId process : processes_)
    names_.processes.push_back(world_.name_of(process));
  for (const sim::HostId host : hosts_) names_.hosts.push_back(world_.name_of(host));
  Clamp(plan_, names_);
  FitToLimits();
}

// Events that would hit who must live hit a neighbour instead, and the plan says so.
void Driver::FitToLimits() {
  for (Event& event : plan_.events) {
    if (Kills(event.kind)) {
      for (size_t i = 0; i < processes_.size() && !Killable(ProcessOf(event)); ++i) {
        event.target = static_cast<uint32_t>((event.target + 1) % processes_.size());
      }
    } else if (event.kind == Kind::kPower || event.kind == Kind::kSwapDisks) {
      for (size_t i = 0; i < hosts_.size() && !MayLosePower(HostOf(event.target)); ++i) {
        event.target = static_cast<uint32_t>((event.target + 1) % hosts_.size());
      }
    }
  }
}

bool Driver::Killable(sim::ProcessId process) const {
  return std::find(limits_.killable.begin(), limits_.killable.end(), process) !=
         limits_.killable.end();
}

bool Driver::MayLosePower(sim::HostId host) const {
  bool any = false;
  for (const sim::ProcessId process : processes_) {
    if (world_.host_of(process) != host) continue;
    if (!Killable(process)) return false;
    any = true;
  }
  return any;
}

bool Driver::MayDamage(sim::HostId host) {
  if (!damaged_.contains(host) && damaged_.size() >= limits_.disks_lost_max) return false;
  damaged_.insert(host);
  return true;
}

// -----------------------------------------------------------------------------------------------------------
// when

void Driver::OnProbe(base::Probe probe, sim::ProcessId process) {
  if (healed_ || processes_.empty()) return;
  for (const size_t event : waiting_[static_cast<size_t>(probe)]) {
    const When& when = plan_.events[event].when;
    State& state = states_[event];
    if (state.due) continue;
    if (when.place == When::kAnywhere) {
      if (world_.hits(probe) != when.hit) continue;
    } else if (process != processes_[when.place] || world_.hits(probe, process) != when.hit) {
      continue;
    }
    state.due = true;
    switch (when.form) {
      case When::Form::kAt:
        break;
      case When::Form::kBefore:
        Strike(event);
        break;
      case When::Form::kAfter:
        world_.At(world_.now(), [this, event] { Strike(event); });
        break;
      case When::Form::kWhile:
        BeginInterval(event, process);
        break;
    }
  }
  for (size_t i = 0; i < open_.size(); ++i) {
    if (open_[i].probe != probe || open_[i].process != process) continue;
    const size_t event = open_[i].event;
    open_.erase(open_.begin() + static_cast<ptrdiff_t>(i--));
    if (!states_[event].struck) Strike(event);
  }
}

void Driver::BeginInterval(size_t event, sim::ProcessId process) {
  const When& when = plan_.events[event].when;
  if (when.offset == Duration::zero()) {
    Strike(event);
    return;
  }
  for (const base::ProbeInfo& info : base::kProbes) {
    if (info.ends == when.probe) open_.push_back({event, info.probe, process});
  }
  world_.At(world_.now() + when.offset, [this, event] {
    const auto closed =
        std::erase_if(open_, [event](const IntervalEnd& end) { return end.event == event; });
    (void)closed;
    if (!states_[event].struck) Strike(event);
  });
}

void Driver::Fire(size_t event) {
  if (std::exchange(states_[event].due, true)) return;
  Strike(event);
}

bool Driver::Strike(size_t event) {
  if (healed_ || processes_.empty()) return false;
  bool struck = false;
  switch (InfoOf(plan_.events[event].kind).family) {
    case Family::kProcess:
      struck = StrikeProcess(event);
      break;
    case Family::kNetwork:
      struck = StrikeNetwork(event);
      break;
    case Family::kClock:
      struck = StrikeClock(event);
      break;
    case Family::kDisk:
      struck = StrikeDisk(event);
      break;
  }
  states_[event].struck = struck;
  return struck;
}

void Driver::Later(Duration after, std::function<void()> undo) {
  const uint64_t number = ++last_undo_;
  undos_[number] = std::move(undo);
  world_.At(world_.now() + after, [this, number] {
    if (const auto due = undos_.extract(number); !due.empty()) due.mapped()();
  });
}

// ---------------------------------------------------------------------------------------------------------
// healing

void Driver::HealAt(Duration horizon) {
  world_.At(horizon, [this] { Heal(); });
}

void Driver::Heal() {
  healed_ = true;
  for (auto& [number, undo] : std::exchange(undos_, {})) undo();
  for (const sim::HostId host : hosts_) {
    // Disks that were exchanged took their trouble along.
    world_.disk_trouble(host) = {};
    world_.WakeDisk(host);
    PowerOn(host, sim::DiskFate::kKept);
  }
  for (const sim::ProcessId process : limits_.killable) Restart(process);
}

void Driver::CutAllPower() {
  std::set<sim::HostId> hosts;
  for (const sim::ProcessId process : limits_.killable) hosts.insert(world_.host_of(process));
  for (const sim::HostId host : hosts) world_.PowerOff(host);
  world_.RunFor(1ms);
  for (const sim::HostId host : hosts) PowerOn(host, sim::DiskFate::kKept);
}

void Driver::PowerOn(sim::HostId host, sim::DiskFate fate) {
  if (world_.powered(host)) return;
  world_.PowerOn(host, fate);
  for (const sim::ProcessId process : limits_.killable) {
    if (world_.host_of(process) == host) Restart(process);
  }
}

void Driver::Restart(sim::ProcessId process) {
  if (world_.ending(process)) {
    // Struck at this very instant: its end is due now, and this comes after it.
    world_.At(world_.now(), [this, process] { Restart(process); });
    return;
  }
  if (world_.running(process) || !world_.powered(world_.host_of(process))) return;
  if (const auto exit = world_.exit_status(process); exit.has_value() && exit->ok())
    return;  // it had done its work
  world_.Restart(process);
  ++recoveries_;
}

void Driver::OnExit(sim::ProcessId process) {
  const auto exit = world_.exit_status(process);
  if (!Killable(process) || !exit.has_value() || exit->by_signal || exit->ok()) return;
  if (!excused_.contains(process) && complaint_.ok()) {
    const absl::Status& said = world_.exit_message(process);
    complaint_ = absl::Status(
        said.code(), absl::StrCat(world_.name_of(process), " ended by itself: ", said.message()));
  }
  world_.At(world_.now() + kSupervisorDelay, [this, process] { Restart(process); });
}

// ----------------------------------------------------------------------------------------------------------
// counts

uint64_t Driver::bites_of(size_t event) const {
  return states_[event].bites + world_.bites(TagOf(event));
}

std::vector<Bite> Driver::bites() const {
  std::vector<Bite> all(kKinds.size());
  std::vector<bool> planned(kKinds.size());
  for (size_t i = 0; i < plan_.events.size(); ++i) {
    const size_t kind = static_cast<size_t>(plan_.events[i].kind);
    planned[kind] = true;
    all[kind].kind = plan_.events[i].kind;
    if (!states_[i].struck) continue;
    const uint64_t count = bites_of(i);
    ++all[kind].struck;
    all[kind].bit += count > 0;
    all[kind].bites += count;
  }
  std::vector<Bite> result;
  for (size_t kind = 0; kind < all.size(); ++kind) {
    if (planned[kind]) result.push_back(all[kind]);
  }
  return result;
}

uint64_t Driver::strikes() const {
  return static_cast<uint64_t>(std::count_if(states_.begin(), states_.end(),
                                             [](const State& state) { return state.struck; }));
}

std::string Driver::Report() const {
  std::string text;
  for (const Bite& bite : bites()) {
    absl::StrAppendFormat(&text, "%s%s %d/%d", text.empty() ? "" : " ",
                          base::Abseil(InfoOf(bite.kind).name), bite.bit, bite.struck);
  }
  return text;
}

}  // namespace weir::faults
