// The chapter of host, signals, log and console (engine/io/host.h, log.h), in both worlds.

#include "engine/io/host.h"

#include <chrono>
#include <string>

#include "engine/base/status_macros.h"
#include "engine/io/log.h"
#include "engine/io/scope.h"
#include "tests/conformance/worlds.h"

namespace weir::tests {
namespace {

using namespace std::chrono_literals;
using io::LogLevel;
using io::Wake;

WEIR_CONFORMANCE(Host);

TEST_P(Host, HasANameAnAddressAndLimits) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    found.True(!env.host.name().empty(), "it has a name");
    found.True(!env.host.address().empty(), "it has an address");
    const io::HostLimits limits = env.host.limits();
    found.True(limits.cores >= 1 && limits.cores < 100'000, "cores are plausible");
    found.True(limits.memory_bytes >= 64 << 20, "memory is plausible");
    const io::MemoryPressure pressure = env.host.memory_pressure();
    found.True(pressure.stalled_per_mille <= 1000, "at most all of the time");
    found.True(pressure.free_bytes > 0, "some memory is free");
    return absl::OkStatus();
  });
}

TEST_P(Host, NobodyAskedUsToEnd) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    found.True(!env.signals.termination_requested(), "not requested");
    found.Equal(env.signals.WaitForTermination(env.Deadline(5ms)), Wake::kTimeout);
    return absl::OkStatus();
  });
}

TEST_P(Host, LogLevelsFilter) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    for (const LogLevel level : {LogLevel::kDebug, LogLevel::kWarn, LogLevel::kOff}) {
      env.log.set_level(level);
      found.Equal(env.log.Enabled(LogLevel::kDebug), level == LogLevel::kDebug);
      found.Equal(env.log.Enabled(LogLevel::kInfo), level == LogLevel::kDebug);
      found.Equal(env.log.Enabled(LogLevel::kWarn), level != LogLevel::kOff);
      found.Equal(env.log.Enabled(LogLevel::kError), level != LogLevel::kOff);
    }
    env.log.Error("host", "off, and so not to be seen");
    return absl::OkStatus();
  });
}

TEST_P(Host, ProbesCanBeHitFromAnyTask) {
  Conform(GetParam(), [](io::Env& env, Found&) {
    env.trace.Hit(base::Probe::kPingServerUp, {1});
    return io::WithScope(env, "tracers", [&](io::Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("tracer", [&] {
        env.trace.Hit(base::Probe::kPingRoundTrip, {1, 2});
      }));
      scope.Join();
      return absl::OkStatus();
    });
  });
}

TEST_P(Host, AnErrorOfTheProgramIsTheEndOfTheProcess) {
  ConformError(GetParam(), absl::StatusCode::kDataLoss, "by design",
               [](io::Env&, Found&) { return absl::DataLossError("by design"); });
}

TEST_P(Host, ForksOfTheProcessesStreamAreApart) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    base::Random one = env.random.Fork("one");
    base::Random again = env.random.Fork("one");
    base::Random two = env.random.Fork("two");
    const uint64_t first = one.Next();
    const uint64_t same = again.Next();
    const uint64_t other = two.Next();
    found.Equal(first, same);
    found.True(first != other, "names make the difference");
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace weir::tests
