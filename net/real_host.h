// The small members of a real Env: clocks, host, signals, log, trace, console.
#pragma once

#include <array>
#include <atomic>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "engine/base/probes.h"
#include "engine/io/clock.h"
#include "engine/io/host.h"
#include "engine/io/log.h"
#include "engine/io/trace.h"
#include "net/loop.h"
#include "net/posix.h"
#include "net/real_tasks.h"

namespace weir::net {

class RealClock final : public io::Clock {
 public:
  base::Monotonic Now() override { return MonotonicNow(); }
  base::WallTime Wall() override { return WallNow(); }
};

class RealHost final : public io::Host {
 public:
  RealHost();
  const std::string& name() const override { return name_; }
  const std::string& address() const override { return address_; }
  // What the hardware has, less what affinity and control groups leave of it.
  io::HostLimits limits() override;
  io::MemoryPressure memory_pressure() override;

 private:
  std::string name_;
  std::string address_;
};

// SIGTERM and SIGINT of the whole OS process, if Catch was called; else termination is never asked
// for.
class RealSignals final : public io::Signals, private Source {
 public:
  explicit RealSignals(RealTasks& tasks) : tasks_(tasks) {}
  ~RealSignals() override;

  // Takes the signals from now on, on the control thread. One object of an OS process may. A second
  // SIGINT kills, as whoever presses Ctrl-C twice means it.
  absl::Status Catch();

  bool termination_requested() override { return requested_.load(std::memory_order_acquire); }
  io::Wake WaitForTermination(base::Monotonic deadline) override;

 private:
  void OnEvents(uint32_t events) override;

  RealTasks& tasks_;
  Fd bell_;  // an eventfd, rung by the handler
  std::atomic<bool> requested_{false};
  std::mutex mutex_;
  std::vector<io::TaskRef> waiters_;
};

class RealLog final : public io::Log {
 public:
  // Lines go to standard error, each in one write.
  RealLog(std::string host, std::string process)
      : host_(std::move(host)), process_(std::move(process)) {}

 private:
  void Write(io::LogLevel level, std::string_view component, std::string_view text) override;

  const std::string host_;
  const std::string process_;
};

// Counts, for whoever looks at the process from outside.
class RealTrace final : public io::Trace {
 public:
  using io::Trace::Hit;
  void Hit(base::Probe probe, absl::Span<const int64_t> values) override;
  uint64_t hits(base::Probe probe) const {
    return hits_[static_cast<size_t>(probe)].load(std::memory_order_relaxed);
  }

 private:
  std::array<std::atomic<uint64_t>, base::kProbes.size()> hits_{};
};

class RealConsole final : public io::Console {
 public:
  void Out(std::string_view text) override;
  void Err(std::string_view text) override;
};

}  // namespace weir::net
