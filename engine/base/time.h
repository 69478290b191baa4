// Two clocks, two types. Deadlines are Monotonic only; WallTime is for people and records and may
// jump. Neither type has a now(): time comes from io::Clock and nowhere else.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace weir::base {

using Duration = std::chrono::nanoseconds;

namespace internal {
// What std::chrono wants of a clock, less now().
struct MonotonicClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<MonotonicClock>;
  static constexpr bool is_steady = true;
};
struct WallClock {
  using duration = Duration;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<WallClock>;
  static constexpr bool is_steady = false;
};
}  // namespace internal

using Monotonic =
    internal::MonotonicClock::time_point;  // since the host started, or the simulated world began
using WallTime = internal::WallClock::time_point;  // since 1970-01-01 UTC, as this host believes

// The deadline of a wait that only an event ends.
inline constexpr Monotonic kForever = Monotonic::max();

// `start + timeout`, kForever if that is beyond what can be told.
constexpr Monotonic After(Monotonic start, Duration timeout) {
  return timeout > kForever - start ? kForever : start + timeout;
}

constexpr int64_t Nanos(Duration d) { return d.count(); }
constexpr int64_t Nanos(Monotonic t) { return t.time_since_epoch().count(); }
constexpr int64_t Nanos(WallTime t) { return t.time_since_epoch().count(); }

// "1.250000s": fixed form for logs and traces, the same for every value.
std::string ToString(Duration d);
// "2026-11-20T07:52:28.000000Z".
std::string ToString(WallTime t);

}  // namespace weir::base
