// LifeEnv: what a simulated process sees as its Env. Each class is one interface over the core.
#pragma once

#include "engine/io/env.h"
#include "sim/core.h"

namespace weir::sim {

class SimClock final : public io::Clock {
 public:
  explicit SimClock(Life& life) : life_(life) {}
  Monotonic Now() override { return life_.host.FromWorld(life_.core.now()); }
  base::WallTime Wall() override;

 private:
  Life& life_;
};

class SimTasks final : public io::Tasks {
 public:
  explicit SimTasks(Life& life) : life_(life), core_(life.core) {}
  absl::StatusOr<io::Executor> AddExecutor(const io::ExecutorOptions& options) override;
  io::TaskRef Current() override;
  io::Executor CurrentExecutor() override { return core_.current()->executor(); }
  std::string_view CurrentName() override { return core_.current()->name(); }
  io::Wake Park(Monotonic deadline, io::WaitFor what) override {
    return AtDeadline(deadline, [&](Monotonic world) { return core_.Park(world, what); });
  }
  void Unpark(io::TaskRef task) override { core_.Unpark(task); }
  void Yield() override { core_.Yield(); }
  void Offload(std::string_view what, absl::FunctionRef<void()> work) override;
  void Charge(Duration work) override { core_.Charge(life_, core_.current()->executor(), work); }
  void AddNoThrow(int delta) override { core_.AddNoThrow(delta); }
  void AddForeign(int delta, const char* what) override { core_.AddForeign(delta, what); }
  io::TaskGroup* OpenGroup(std::string_view name, io::Executor executor) override;
  absl::Status Spawn(io::TaskGroup* group, const io::TaskOptions& options,
                     absl::AnyInvocable<void()> body) override {
    return core_.Spawn(group, options.name, options.stack_bytes, std::move(body));
  }
  void CancelGroup(io::TaskGroup* group) override { core_.Cancel(group); }
  io::Wake JoinGroup(io::TaskGroup* group, Monotonic deadline) override {
    return AtDeadline(deadline, [&](Monotonic world) { return core_.JoinGroup(group, world); });
  }
  void CloseGroup(io::TaskGroup* group) override;

 private:
  // A drifting clock may show less than the deadline when the world's timer fires: the wait goes
  // on.
  template <typename Wait>
  io::Wake AtDeadline(Monotonic deadline, const Wait& wait) {
    for (;;) {
      const io::Wake wake = wait(life_.host.ToWorld(deadline));
      if (wake != io::Wake::kTimeout) return wake;
      if (life_.host.drift_by != 0) core_.Bite(life_.host.drift_by);
      const Duration missing = deadline - life_.host.FromWorld(core_.now());
      if (missing <= Duration::zero()) return wake;
      // No shorter than what the rounding of the drift can hide.
      const Monotonic again = core_.now() + missing + std::chrono::microseconds(1);
      const io::Wake late = wait(again);
      if (late != io::Wake::kTimeout) return late;
    }
  }

  Life& life_;
  Core& core_;
};

class SimProcesses final : public io::Processes {
 public:
  explicit SimProcesses(Life& life) : life_(life) {}
  io::ProcessId self() const override { return life_.id; }
  const std::vector<std::string>& arguments() const override { return life_.place.arguments; }
  absl::StatusOr<base::Hash128> Self() override;
  absl::StatusOr<base::Hash128> Install(std::string_view path) override;
  absl::StatusOr<std::unique_ptr<io::Child>> Spawn(const io::SpawnOptions& options) override;

 private:
  Life& life_;
  std::map<base::Hash128, const io::Program*> installed_;
};

class SimHost final : public io::Host {
 public:
  explicit SimHost(Life& life) : life_(life) {}
  const std::string& name() const override { return life_.host.name; }
  const std::string& address() const override { return life_.host.address; }
  io::HostLimits limits() override { return {.cores = 4, .memory_bytes = uint64_t{8} << 30}; }
  io::MemoryPressure memory_pressure() override {
    return {.stalled_per_mille = 0, .free_bytes = uint64_t{4} << 30};
  }

 private:
  Life& life_;
};

class SimSignals final : public io::Signals {
 public:
  explicit SimSignals(Life& life) : life_(life) {}
  bool termination_requested() override { return life_.termination_requested; }
  io::Wake WaitForTermination(Monotonic deadline) override;

 private:
  Life& life_;
};

class SimLog final : public io::Log {
 public:
  explicit SimLog(Life& life) : life_(life) {}

 protected:
  void Write(io::LogLevel level, std::string_view component, std::string_view text) override;

 private:
  Life& life_;
};

class SimTrace final : public io::Trace {
 public:
  explicit SimTrace(Life& life) : life_(life) {}
  using io::Trace::Hit;
  void Hit(base::Probe probe, absl::Span<const int64_t> values) override;

 private:
  Life& life_;
};

class SimConsole final : public io::Console {
 public:
  explicit SimConsole(Life& life) : life_(life) {}
  void Out(std::string_view text) override;
  void Err(std::string_view text) override;

 private:
  Life& life_;
};

class LifeEnv {
 public:
  explicit LifeEnv(Life& life);
  ~LifeEnv();
  io::Env& env() { return env_; }
  SimTasks& tasks() { return tasks_; }

 private:
  SimClock clock_;
  SimTasks tasks_;
  base::Random random_;
  std::unique_ptr<io::Network> network_;
  std::unique_ptr<io::Disk> disk_;
  SimProcesses processes_;
  SimHost host_;
  SimSignals signals_;
  SimLog log_;
  SimTrace trace_;
  SimConsole console_;
  io::Env env_;
};

}  // namespace weir::sim
