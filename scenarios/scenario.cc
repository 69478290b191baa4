#include "scenarios/scenario.h"

#include <algorithm>

namespace weir::scenarios {

using namespace std::chrono_literals;
using base::Duration;

int64_t Knobs::Get(std::string_view name, int64_t low, int64_t high) const {
  const auto it = fixed_.find(std::string(name));
  base::Random random = random_.Fork(name);
  const int64_t value =
      it == fixed_.end() ? random.Between(low, high) : std::clamp(it->second, low, high);
  used_[std::string(name)] = value;
  return value;
}

const Bug* FindBug(const Scenario& scenario, std::string_view name) {
  const auto it = std::find_if(scenario.bugs.begin(), scenario.bugs.end(),
                               [&](const Bug& bug) { return bug.name == name; });
  return it == scenario.bugs.end() ? nullptr : &*it;
}

sim::WorldOptions AnyWorld(uint64_t seed) {
  base::Random random = base::Random(seed).Fork("model");
  sim::WorldOptions options;
  options.seed = seed;
  options.network.latency_low = random.Chance({1, 2}) ? 0us : 50us;
  // One world in four is as slow as an ocean, where protocols overlap that a fast one runs one
  // after the other. The programs' timeouts allow for that much and no more.
  const bool ocean = random.Chance({1, 4});
  const Duration spread =
      ocean ? random.Between(Duration(10ms), Duration(40ms)) : random.LogNormal(200us);
  options.network.latency_high = options.network.latency_low + std::min<Duration>(spread, 40ms);
  if (random.Chance({1, 4})) options.network.latency_high = options.network.latency_low;
  options.network.loopback_high = random.Chance({1, 2}) ? 0us : 20us;
  options.network.slow_message = {random.Between(uint64_t{0}, uint64_t{20}), 1000};
  options.network.short_read = {random.Between(uint64_t{0}, uint64_t{4}), 4};
  options.network.window_bytes = uint64_t{1} << random.Between(uint64_t{10}, uint64_t{18});
  options.disk.sync_high = options.disk.sync_low + random.LogNormal(1ms);
  return options;
}

}  // namespace weir::scenarios
