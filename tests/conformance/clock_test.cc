// The chapter of clocks (engine/io/clock.h), in both worlds.

#include <chrono>

#include "engine/base/status_macros.h"
#include "engine/io/scope.h"
#include "tests/conformance/worlds.h"

namespace weir::tests {
namespace {

using namespace std::chrono_literals;

WEIR_CONFORMANCE(Clock);

TEST_P(Clock, MonotonicNeverRunsBack) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    io::Monotonic last = env.clock.Now();
    for (int i = 0; i < 300; ++i) {
      if (i % 100 == 0) env.Sleep(1ms);
      env.tasks.Yield();
      const io::Monotonic now = env.clock.Now();
      found.True(now >= last, "now >= last");
      last = now;
    }
    return absl::OkStatus();
  });
}

TEST_P(Clock, SleepLastsAtLeastAsLongAsAsked) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    for (const io::Duration duration :
         {io::Duration(0), io::Duration(1), io::Duration(1us), io::Duration(20ms)}) {
      const io::Monotonic start = env.clock.Now();
      found.Equal(env.Sleep(duration), io::Wake::kTimeout);
      const io::Duration took = env.clock.Now() - start;
      found.True(took >= duration, "took >= duration");
      found.True(took < duration + 2s, "took < duration + 2s");
    }
    return absl::OkStatus();
  });
}

TEST_P(Clock, ParkEndsAtItsDeadlineAndNotBefore) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    const io::Monotonic deadline = env.Deadline(10ms);
    io::Wake wake = io::Wake::kUnparked;
    while (wake == io::Wake::kUnparked) wake = env.tasks.Park(deadline, {"the deadline"});
    found.Equal(wake, io::Wake::kTimeout);
    found.True(env.clock.Now() >= deadline, "now >= deadline");
    return absl::OkStatus();
  });
}

TEST_P(Clock, ADeadlineInThePastEndsAtOnce) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    env.Sleep(5ms);
    const io::Monotonic start = env.clock.Now();
    io::Wake wake = io::Wake::kUnparked;
    while (wake == io::Wake::kUnparked) wake = env.tasks.Park(start - 1ms, {"the past"});
    found.Equal(wake, io::Wake::kTimeout);
    found.True(env.clock.Now() - start < 1s, "within a second");
    return absl::OkStatus();
  });
}

TEST_P(Clock, ADeadlineBeyondTimeIsForever) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    found.True(env.Deadline(io::Duration::max()) == base::kForever, "it is forever");
    return absl::OkStatus();
  });
}

TEST_P(Clock, WallTimeIsAPlausibleDateAndMovesOn) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    const io::WallTime before = env.clock.Wall();
    env.Sleep(20ms);
    const io::WallTime after = env.clock.Wall();
    // Whoever sets the clock meanwhile may be unlucky; a step of 10 ms in 20 is not expected in
    // either world.
    found.True(after - before > 10ms, "it moved");
    found.True(after - before < 2s, "it did not jump");
    const std::string text = base::ToString(before);
    found.True(text >= "2020" && text < "2100", "the year of " + text + " is plausible");
    return absl::OkStatus();
  });
}

TEST_P(Clock, TimersFireInTheOrderOfTheirDeadlines) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    std::vector<int> order;
    const io::Monotonic start = env.Deadline(5ms);
    const absl::Status status = io::WithScope(env, "timers", [&](io::Scope& scope) -> absl::Status {
      for (const int i : {3, 0, 4, 1, 2}) {
        RETURN_IF_ERROR(scope.Spawn("timer", [&, i] {
          while (env.tasks.Park(start + i * 10ms, {"timer"}) == io::Wake::kUnparked) {
          }
          order.push_back(i);
        }));
      }
      scope.Join();
      return absl::OkStatus();
    });
    found.Equal(order, std::vector<int>({0, 1, 2, 3, 4}));
    return status;
  });
}

}  // namespace
}  // namespace weir::tests
