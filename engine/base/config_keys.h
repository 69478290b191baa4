// The one table of configuration keys. A new piece of the project adds its keys here and reads them
// by name: config.Get(kLogLevel).
#pragma once

#include <string>
#include <vector>

#include "engine/base/config.h"
#include "engine/base/limits.h"

namespace weir::base {

inline constexpr Key<std::string> kLogLevel{{"log.level", KeyType::kString, "info", 0, 0,
                                             "debug|info|warn|error|off",
                                             "The lowest level that is logged."}};
inline constexpr Key<std::string> kBindHost{
    {"rest.bind-address", KeyType::kString, "127.0.0.1", 0, 0, "",
     "The address that listeners bind to; loopback unless told otherwise."}};
inline constexpr Key<int64_t> kEngineStack{{"io.stack.engine", KeyType::kBytes, "64kb",
                                            kStackBytesMin, kStackBytesMax, "",
                                            "The stack of a task that runs engine code only."}};
inline constexpr Key<int64_t> kUserStack{{"io.stack.user", KeyType::kBytes, "256kb", kStackBytesMin,
                                          kStackBytesMax, "",
                                          "The stack of a task that runs user code."}};
inline constexpr Key<int64_t> kStacks{{"io.stack.max-count", KeyType::kInt, "30000", 16, 1'000'000,
                                       "", "How many task stacks a process may hold at once."}};
inline constexpr Key<Duration> kSpin{
    {"io.spin", KeyType::kDuration, "20us", 0, 1'000'000, "",
     "How long an idle slot thread polls before it sleeps, where spinning is granted."}};
inline constexpr Key<int64_t> kHelperThreads{
    {"io.helper-threads", KeyType::kInt, "4", 1, 256, "",
     "Threads for calls that block: fsync, RocksDB, names."}};
inline constexpr Key<Duration> kPeerTimeoutKey{
    {"io.peer-timeout", KeyType::kDuration, "30s", 1'000'000'000, 3'600'000'000'000, "",
     "A stream whose peer shows no life for so long is broken."}};

// In the order in which `weir config` prints them.
inline std::vector<const KeyInfo*> AllKeys() {
  return {&kLogLevel, &kBindHost, &kEngineStack,   &kUserStack,
          &kStacks,   &kSpin,     &kHelperThreads, &kPeerTimeoutKey};
}

}  // namespace weir::base
