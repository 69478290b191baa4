// REACHED("name") marks a path that is rarely taken and matters: it counts, so that a campaign can
// tell which of them no seed has ever reached. A mark is a row of the table below; one that is not
// does not compile.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir::base {

inline constexpr std::array kReached = std::to_array<std::string_view>({
    "frame.corrupt",
    "log.torn_tail",
});

// Marks are of the process, not of a world: a worker sums over its runs.
inline std::array<std::atomic<uint64_t>, kReached.size()> reached_counts{};

consteval size_t ReachedIndex(std::string_view name) {
  for (size_t i = 0; i < kReached.size(); ++i) {
    if (kReached[i] == name) return i;
  }
  throw "REACHED: not a name of the table";
}

inline uint64_t ReachedCount(size_t index) {
  return reached_counts[index].load(std::memory_order_relaxed);
}

}  // namespace weir::base

#define REACHED(name)                                                       \
  ::weir::base::reached_counts[::weir::base::ReachedIndex(name)].fetch_add( \
      1, std::memory_order_relaxed)
