// Every bound of the project, and how they relate. A bound that a user may move is a configuration
// key (config_keys.h) and takes its default from here.
#pragma once

#include <cstddef>
#include <cstdint>

#include "engine/base/time.h"

namespace weir::base {

// A fiber's stack. RocksDB needs 32 KiB, TLS 18 KiB, engine code 6 KiB; user code is unknown.
inline constexpr size_t kEngineStackBytes = 64 << 10;
inline constexpr size_t kUserStackBytes = 256 << 10;
inline constexpr size_t kStackBytesMin = 16 << 10;
inline constexpr size_t kStackBytesMax = 16 << 20;
// Each stack with its guard page takes two mappings of the 65,530 that Linux grants a process.
inline constexpr size_t kStacksMax = 30'000;

// One message of the framing in engine/io/framing.h. What is larger is cut by its sender.
inline constexpr size_t kFrameBytesMax = 16 << 20;
inline constexpr size_t kFrameHeaderBytes = 16;

// After so many refusals to end, a cancelled task is given up and the run fails by its name.
inline constexpr int kCancelRefusalsMax = 1'000;

// The longest a wait may keep the fibers of its thread from epoll and the clock.
inline constexpr Duration kPollEvery = std::chrono::microseconds(100);

// How long a process that was asked to end waits for what still runs in it before it says so and
// leaves.
inline constexpr Duration kExitGrace = std::chrono::seconds(10);

// A stream whose peer has not acknowledged or shown life for so long is broken.
inline constexpr Duration kPeerTimeout = std::chrono::seconds(30);

static_assert(kEngineStackBytes >= kStackBytesMin && kUserStackBytes <= kStackBytesMax);
static_assert(kFrameHeaderBytes < kFrameBytesMax);
static_assert(2 * kStacksMax < 65'530,
              "two mappings a stack must fit the default vm.max_map_count");

}  // namespace weir::base
