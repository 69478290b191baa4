#include "sim/life_env.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "engine/base/check.h"
#include "engine/base/limits.h"
#include "engine/base/text.h"
#include "sim/sim_disk.h"
#include "sim/sim_network.h"

namespace weir::sim {
namespace {

constexpr io::Executor kHelper{2};

// Sets a flag and wakes a task when destroyed, however the helper's task ends, even if it never
// began.
class Finish {
 public:
  Finish(Core& core, bool& done, io::TaskRef waiter)
      : core_(&core), done_(&done), waiter_(waiter) {}
  Finish(Finish&& other) noexcept
      : core_(std::exchange(other.core_, nullptr)), done_(other.done_), waiter_(other.waiter_) {}
  Finish& operator=(Finish&&) = delete;
  ~Finish() {
    if (core_ == nullptr) return;
    *done_ = true;
    core_->Unpark(waiter_);
  }

 private:
  Core* core_;
  bool* done_;
  io::TaskRef waiter_;
};

// A child as its parent holds it.
class SimChild final : public io::Child {
 public:
  SimChild(Life& parent, Place& place) : parent_(parent), place_(place), id_(place.life->id) {}
  ~SimChild() override {
    if (!parent_.dead() && place_.life != nullptr) Die();
    parent_.core.Forget(place_);
  }
  io::ProcessId id() const override { return id_; }

  absl::StatusOr<io::ExitStatus> Wait(Monotonic deadline) override {
    while (!place_.exit.has_value()) {
      place_.exit_waiters.push_back(parent_.env->env().tasks.Current());
      const io::Wake wake = parent_.env->env().tasks.Park(deadline, {"exit of", place_.name});
      if (wake == io::Wake::kCancelled) return absl::CancelledError("the waiting task is ending");
      if (wake == io::Wake::kTimeout && !place_.exit.has_value()) {
        return absl::DeadlineExceededError(
            absl::StrFormat("process %d still runs at the deadline", id_.value()));
      }
    }
    return *place_.exit;
  }
  absl::Status Kill() override {
    if (!parent_.Alive()) return absl::CancelledError("this process is gone");
    if (place_.life != nullptr) Die();
    return absl::OkStatus();
  }
  absl::Status Terminate() override {
    if (!parent_.Alive()) return absl::CancelledError("this process is gone");
    if (place_.life != nullptr) parent_.core.Terminate(*place_.life);
    return absl::OkStatus();
  }
  absl::Status Pause() override {
    if (parent_.Alive() && place_.life != nullptr) parent_.core.SetPaused(place_, true);
    return absl::OkStatus();
  }
  absl::Status Resume() override {
    if (parent_.Alive() && place_.life != nullptr) parent_.core.SetPaused(place_, false);
    return absl::OkStatus();
  }
  absl::StatusOr<size_t> ReadOutput(absl::Span<char> into, Monotonic deadline) override {
    CHECK(place_.capture_output) << "ReadOutput of a child spawned without capture_output";
    while (place_.output.empty()) {
      if (place_.output_ended) return size_t{0};
      place_.output_waiters.push_back(parent_.env->env().tasks.Current());
      const io::Wake wake = parent_.env->env().tasks.Park(deadline, {"output of", place_.name});
      if (wake == io::Wake::kCancelled) return absl::CancelledError("the waiting task is ending");
      if (wake == io::Wake::kTimeout && place_.output.empty() && !place_.output_ended) {
        return absl::DeadlineExceededError(
            absl::StrFormat("process %d printed nothing until the deadline", id_.value()));
      }
    }
    const size_t got = std::min(into.size(), place_.output.size());
    std::copy_n(place_.output.begin(), got, into.begin());
    place_.output.erase(0, got);
    return got;
  }

 private:
  void Die() {
    parent_.core.End(*place_.life, {.by_signal = true, .code = io::kKillSignal}, absl::OkStatus(),
                     true);
  }

  Life& parent_;
  Place& place_;
  const io::ProcessId id_;
};

}  // namespace

base::WallTime SimClock::Wall() {
  // 2024-01-01: a date that is nobody's today, so that nothing leans on the real one.
  constexpr base::WallTime kBegin{std::chrono::seconds(1'704'067'200)};
  const Monotonic now = life_.core.now();
  life_.core.Bite(life_.host.wall_by);
  return kBegin + now.time_since_epoch() + life_.host.wall_offset + life_.host.Gained(now);
}

absl::StatusOr<io::Executor> SimTasks::AddExecutor(const io::ExecutorOptions& options) {
  life_.executors.push_back(ExecutorState{.name = options.name});
  return io::Executor(static_cast<uint32_t>(life_.executors.size()));
}

io::TaskRef SimTasks::Current() {
  CHECK(core_.current() != nullptr) << "no task is running";
  return core_.current()->ref();
}

void SimTasks::Offload(std::string_view what, absl::FunctionRef<void()> work) {
  CHECK(core_.current() != nullptr) << "offload of " << what << " outside of a task";
  if (core_.current()->executor() == kHelper || core_.current()->cancelled()) return work();
  bool done = false;
  Finish finish(core_, done, core_.current()->ref());
  const absl::Status spawned =
      core_.Spawn(life_.helpers, "helper for " + std::string(what), base::kUserStackBytes,
                  [work, finish = std::move(finish)] { work(); });
  if (!spawned.ok() && !life_.ending_) return work();
  core_.ParkThrough([&done] { return done; }, {"helper", what});
}

io::TaskGroup* SimTasks::OpenGroup(std::string_view name, io::Executor executor) {
  CHECK(core_.current() != nullptr) << "scope \"" << name << "\" opened outside of a task";
  io::TaskGroup* const parent = core_.current()->group();
  if (executor == io::kHere) executor = parent->executor();
  CHECK_LE(executor.value(), life_.executors.size()) << "no such executor";
  io::TaskGroup* const group = core_.OpenGroup(name, executor, parent, &life_);
  life_.scopes.push_back(group);
  return group;
}

void SimTasks::CloseGroup(io::TaskGroup* group) {
  // The latest opened is the one most likely closed.
  const auto it = std::find(life_.scopes.rbegin(), life_.scopes.rend(), group);
  CHECK(it != life_.scopes.rend()) << "a scope is closed twice";
  life_.scopes.erase(std::next(it).base());
  core_.CloseGroup(group);
}

absl::StatusOr<base::Hash128> SimProcesses::Self() {
  return life_.core.ProgramHash(life_.place.program);
}

absl::StatusOr<base::Hash128> SimProcesses::Install(std::string_view path) {
  const auto it = life_.core.installed.find(std::string(path));
  if (it == life_.core.installed.end()) {
    return absl::NotFoundError(absl::StrFormat(
        "program \"%s\": no such file; give the path of an executable", base::Abseil(path)));
  }
  const base::Hash128 hash = life_.core.ProgramHash(it->second);
  installed_[hash] = it->second;
  return hash;
}

absl::StatusOr<std::unique_ptr<io::Child>> SimProcesses::Spawn(const io::SpawnOptions& options) {
  if (!life_.Alive()) return absl::CancelledError("this process is gone");
  if (absl::Status path = io::CheckPath(options.directory); !path.ok()) return path;
  const io::Program* program = nullptr;
  if (options.program == life_.core.ProgramHash(life_.place.program)) program = life_.place.program;
  if (const auto it = installed_.find(options.program); it != installed_.end())
    program = it->second;
  if (program == nullptr) {
    return absl::NotFoundError(absl::StrFormat(
        "program %s: not installed in this process, or replaced since", options.program.ToHex()));
  }
  const std::string directory = options.directory.empty() || options.directory == "."
                                    ? life_.place.directory
                                    : life_.place.directory + "/" + options.directory;
  Place& place = life_.core.MakePlace(
      life_.host, *program, absl::StrFormat("%s.%d", life_.place.name, ++life_.children),
      options.arguments, directory, /*essential=*/false, &life_.place);
  place.capture_output = options.capture_output;
  life_.core.Begin(place);
  return std::make_unique<SimChild>(life_, place);
}

io::Wake SimSignals::WaitForTermination(Monotonic deadline) {
  io::Tasks& tasks = life_.env->env().tasks;
  while (!life_.termination_requested) {
    life_.termination_waiters.push_back(tasks.Current());
    const io::Wake wake = tasks.Park(deadline, {"termination signal"});
    if (wake != io::Wake::kUnparked) return wake;
  }
  return io::Wake::kUnparked;
}

void SimLog::Write(io::LogLevel level, std::string_view component, std::string_view text) {
  if (!life_.Alive()) return;
  if (!life_.core.options.log) return;
  const io::Task* const task = life_.core.current();
  life_.core.options.log(io::LogLine(life_.core.TimeText(), level, component,
                                     absl::StrFormat("%s/%s %s", life_.host.name, life_.place.name,
                                                     task == nullptr ? "-" : task->name()),
                                     text));
}

void SimTrace::Hit(base::Probe probe, absl::Span<const int64_t> values) {
  if (!life_.Alive()) return;
  Core& core = life_.core;
  ++core.hits[static_cast<size_t>(probe)];
  ++life_.place.hits[static_cast<size_t>(probe)];
  core.Note(0x70726f62, static_cast<uint64_t>(probe));
  for (const int64_t value : values) core.Note(static_cast<uint64_t>(value));
  if (core.tracing()) {
    std::string line =
        absl::StrFormat("%s probe %s", life_.place.name, base::Abseil(base::Info(probe).name));
    for (const int64_t value : values) absl::StrAppendFormat(&line, " %d", value);
    core.TraceLine(line);
  }
  if (core.on_probe) core.on_probe(probe, life_.place.id);
  core.StopHere(life_);
  core.CheckAlive();
}

void SimConsole::Out(std::string_view text) {
  if (!life_.Alive()) return;
  life_.core.Note(base::Hash64(text));
  Place& place = life_.place;
  if (!place.capture_output) {
    if (life_.core.options.console) life_.core.options.console(text);
    return;
  }
  place.output.append(text);
  for (const io::TaskRef waiter : std::exchange(place.output_waiters, {}))
    life_.core.Unpark(waiter);
}

void SimConsole::Err(std::string_view text) {
  if (!life_.Alive()) return;
  if (life_.core.options.console) life_.core.options.console(text);
}

LifeEnv::LifeEnv(Life& life)
    : clock_(life),
      tasks_(life),
      random_(life.core.root.Fork("process").Fork(life.place.name).Fork(life.place.lives)),
      network_(MakeNetworkView(life)),
      disk_(MakeDiskView(life)),
      processes_(life),
      host_(life),
      signals_(life),
      log_(life),
      trace_(life),
      console_(life),
      env_{clock_, tasks_,   random_, *network_, *disk_,  processes_,
           host_,  signals_, log_,    trace_,    console_} {
  log_.set_level(life.core.options.log_level);
}

LifeEnv::~LifeEnv() = default;

}  // namespace weir::sim
