#include "sim/world.h"

#include "absl/strings/str_format.h"
#include "engine/base/check.h"
#include "engine/base/text.h"
#include "sim/core.h"
#include "sim/sim_disk.h"
#include "sim/sim_network.h"

namespace weir::sim {

NetworkModel NetworkModel::Calm() {
  NetworkModel model;
  model.latency_low = model.latency_high = std::chrono::microseconds(50);
  model.slow_message = {0, 1};
  model.loopback_high = base::Duration::zero();
  model.short_read = {0, 1};
  return model;
}

World::World(const WorldOptions& options) : core_(std::make_unique<Core>(options)) {}
World::~World() = default;

HostId World::AddHost(std::string_view name) {
  auto host = std::make_unique<HostState>();
  host->id = HostId(static_cast<uint32_t>(core_->hosts.size() + 1));
  host->name = name;
  host->address = absl::StrFormat("10.%d.%d.%d", host->id.value() >> 16 & 255,
                                  host->id.value() >> 8 & 255, host->id.value() & 255);
  base::Random clocks = core_->root.Fork("clocks").Fork(host->id.value());
  host->monotonic_offset =
      clocks.Between(base::Duration::zero(), base::Duration(std::chrono::hours(24 * 100)));
  host->wall_offset = clocks.Between(-core_->options.wall_skew, core_->options.wall_skew);
  host->disk = std::make_unique<SimDiskState>(*core_, *host);
  core_->hosts.push_back(std::move(host));
  return core_->hosts.back()->id;
}

ProcessId World::Start(HostId host, const io::Program& program, const StartOptions& options) {
  const std::string name =
      options.name.empty() ? absl::StrFormat("process %d", core_->places.size() + 1) : options.name;
  CHECK(!Find(name)) << "two processes named \"" << name << "\"";
  Place& place = core_->MakePlace(core_->host(host), program, name, options.arguments, name,
                                  options.essential, nullptr);
  core_->Begin(place);
  return place.id;
}

void World::InstallProgram(std::string_view path, const io::Program& program) {
  core_->installed[std::string(path)] = &program;
}

absl::Status World::Run() { return core_->Run(base::Monotonic(core_->options.time_limit)); }

bool World::RunUntil(const std::function<bool()>& until, base::Duration at_most) {
  return core_->RunUntil(until, core_->now() + at_most);
}

void World::At(base::Duration when, std::function<void()> hand) {
  core_->PushHeavy(base::Monotonic(when), std::move(hand));
}

void World::Kill(ProcessId process) {
  Place& place = core_->place(process);
  if (place.life == nullptr) return;
  core_->End(*place.life, {.by_signal = true, .code = io::kKillSignal}, absl::OkStatus(),
             /*muted=*/true);
}

void World::Terminate(ProcessId process) {
  if (Life* const life = core_->place(process).life.get(); life != nullptr) core_->Terminate(*life);
}
void World::OnProbe(std::function<void(base::Probe, ProcessId)> hook) {
  core_->on_probe = std::move(hook);
}
void World::OnExit(std::function<void(ProcessId)> hook) { core_->on_exit = std::move(hook); }
void World::Pause(ProcessId process, FaultTag tag) {
  core_->SetPaused(core_->place(process), true, tag);
}
void World::Resume(ProcessId process) { core_->SetPaused(core_->place(process), false); }

void World::Restart(ProcessId process) {
  ++core_->counts.restarts;
  core_->Begin(core_->place(process));
}

void World::PowerOff(HostId host) { core_->PowerOff(core_->host(host)); }

void World::PowerOn(HostId id, DiskFate fate) {
  HostState& host = core_->host(id);
  CHECK(!host.powered) << "host " << host.name << " has power";
  host.powered = true;
  if (fate == DiskFate::kLost) host.disk->Replace();
  core_->network->OnPowerOn(host);
}

void World::SwapDisks(HostId a_id, HostId b_id) {
  HostState& a = core_->host(a_id);
  HostState& b = core_->host(b_id);
  CHECK(!a.powered && !b.powered) << "the disks of hosts with power are swapped";
  std::vector<std::string> of_a;
  std::vector<std::string> of_b;
  for (const auto& place : core_->places) {
    if (place == nullptr || place->parent != nullptr) continue;
    if (place->host == &a) of_a.push_back(place->directory);
    if (place->host == &b) of_b.push_back(place->directory);
  }
  std::swap(a.disk, b.disk);
  for (size_t i = 0; i < of_a.size() && i < of_b.size(); ++i) {
    a.disk->RenameRoot(of_b[i], of_a[i]);
    b.disk->RenameRoot(of_a[i], of_b[i]);
  }
}

size_t World::CancelScope(ProcessId process, std::string_view scope) {
  Life* const life = core_->place(process).life.get();
  return life == nullptr ? 0 : core_->CancelScope(*life, scope);
}

void World::Cut(HostId from, HostId to, FaultTag tag) {
  core_->network->Cut(core_->host(from), core_->host(to), tag);
}
void World::Heal(HostId from, HostId to) {
  core_->network->Heal(core_->host(from), core_->host(to));
}
void World::Clog(HostId from, HostId to, FaultTag tag) {
  core_->network->Clog(core_->host(from), core_->host(to), tag);
}
void World::Unclog(HostId from, HostId to) {
  core_->network->Unclog(core_->host(from), core_->host(to));
}
void World::LoseAcks(HostId from, HostId to, FaultTag tag) {
  core_->network->LoseAcks(core_->host(from), core_->host(to), tag);
}
void World::RestoreAcks(HostId from, HostId to) {
  core_->network->RestoreAcks(core_->host(from), core_->host(to));
}
void World::ResetConnections(HostId a, HostId b, FaultTag tag) {
  core_->network->ResetBetween(core_->host(a), core_->host(b), tag);
}
void World::CloseConnections(HostId a, HostId b, FaultTag tag) {
  core_->network->CloseBetween(core_->host(a), core_->host(b), tag);
}
void World::ResetAtByte(HostId from, HostId to, std::optional<uint64_t> byte, FaultTag tag) {
  LinkTrouble& link = core_->host(from).links[to.value()];
  link.reset_after = byte;
  link.reset_by = tag;
}
void World::FlipBits(HostId from, HostId to, uint64_t bits, uint64_t one_in, FaultTag tag) {
  CHECK_GT(one_in, 0u);
  LinkTrouble& link = core_->host(from).links[to.value()];
  link.flip_bits = bits;
  link.flip_one_in = one_in;
  link.flip_by = tag;
}
void World::SetLatency(std::optional<std::pair<base::Duration, base::Duration>> range,
                       FaultTag tag) {
  core_->network->SetLatency(range, tag);
}
void World::SetBandwidth(HostId id, std::optional<uint64_t> bytes_per_second, FaultTag tag) {
  CHECK(bytes_per_second != 0u) << "a link of no bandwidth is a cut";
  core_->host(id).bandwidth = bytes_per_second;
  core_->host(id).bandwidth_by = tag;
}
void World::RefuseConnects(HostId id, base::Ratio share, FaultTag tag) {
  core_->host(id).refuses = share;
  core_->host(id).refuses_by = tag;
}
void World::DelayConnects(HostId id, base::Duration delay, FaultTag tag) {
  core_->host(id).connect_delay = delay;
  core_->host(id).connect_delay_by = tag;
}
void World::SetStaleName(HostId id, bool stale, FaultTag tag) {
  core_->host(id).stale_name = stale;
  core_->host(id).stale_name_by = tag;
}
DiskTrouble& World::disk_trouble(HostId host) { return core_->host(host).disk->trouble(); }
void World::WakeDisk(HostId host) { core_->host(host).disk->WakeHung(); }
bool World::FlipStoredBits(HostId host, uint64_t bits, uint64_t where, FaultTag tag) {
  return core_->host(host).disk->FlipStored(bits, where, tag);
}
void World::SetSlowness(ProcessId process, uint64_t factor, FaultTag tag) {
  CHECK_GT(factor, 0u);
  core_->place(process).slowness = factor;
  core_->place(process).slowed_by = tag;
}
void World::StepWallClock(HostId host, base::Duration by, FaultTag tag) {
  core_->host(host).wall_offset += by;
  if (tag != 0) core_->host(host).wall_by = tag;
}
void World::SetDrift(HostId id, int64_t parts_per_million, FaultTag tag) {
  CHECK(parts_per_million >= -500 && parts_per_million <= 500)
      << "no quartz drifts by " << parts_per_million << " ppm";
  HostState& host = core_->host(id);
  const base::Duration gained = host.Gained(core_->now());
  host.monotonic_offset += gained;
  host.wall_offset += gained;
  host.drift_since = core_->now();
  host.drift_ppm = parts_per_million;
  host.drift_by = tag;
}

base::Duration World::now() const { return core_->now().time_since_epoch(); }
uint64_t World::hash() const { return core_->hash_.value(); }
WorldCounts World::counts() const {
  WorldCounts counts = core_->counts;
  counts.switches = core_->switches();
  return counts;
}
bool World::running(ProcessId process) const { return core_->place(process).life != nullptr; }
bool World::ending(ProcessId process) const {
  const Life* const life = core_->place(process).life.get();
  return life != nullptr && life->ending_;
}
bool World::paused(ProcessId process) const { return core_->place(process).paused; }
bool World::powered(HostId host) const { return core_->host(host).powered; }
std::optional<io::ExitStatus> World::exit_status(ProcessId process) const {
  return core_->place(process).exit;
}
const absl::Status& World::exit_message(ProcessId process) const {
  return core_->place(process).message;
}

ProcessId World::Find(std::string_view name) const {
  for (const auto& place : core_->places) {
    if (place != nullptr && place->name == name) return place->id;
  }
  return ProcessId();
}
std::vector<ProcessId> World::processes() const {
  std::vector<ProcessId> ids;
  for (const auto& place : core_->places) {
    if (place != nullptr) ids.push_back(place->id);
  }
  return ids;
}
std::vector<HostId> World::hosts() const {
  std::vector<HostId> ids;
  for (const auto& host : core_->hosts) ids.push_back(host->id);
  return ids;
}
HostId World::host_of(ProcessId process) const { return core_->place(process).host->id; }
const std::string& World::name_of(ProcessId process) const { return core_->place(process).name; }
const std::string& World::name_of(HostId host) const { return core_->host(host).name; }
const std::string& World::address_of(HostId host) const { return core_->host(host).address; }
uint64_t World::hits(base::Probe probe) const { return core_->hits[static_cast<size_t>(probe)]; }
uint64_t World::hits(base::Probe probe, ProcessId process) const {
  return core_->place(process).hits[static_cast<size_t>(probe)];
}
uint64_t World::bites(FaultTag tag) const {
  return tag < core_->bites.size() ? core_->bites[tag] : 0;
}
base::Random& World::random() { return core_->hands; }
std::string World::DescribeWaits() const { return core_->Waits(); }

}  // namespace weir::sim
