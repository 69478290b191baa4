#include "faults/explore.h"

#include <algorithm>
#include <chrono>
#include <set>

namespace weir::faults {
namespace {

using namespace std::chrono_literals;
using base::Duration;
using base::Random;

template <typename T>
const T& Pick(Random& random, const std::vector<T>& from) {
  return from[random.Between(uint64_t{0}, from.size() - 1)];
}

// The targets that an event of this kind can strike, as (target, other).
std::vector<std::pair<uint32_t, uint32_t>> TargetsOf(Kind kind, const Shape& shape) {
  std::vector<std::pair<uint32_t, uint32_t>> targets;
  const auto hosts = static_cast<uint32_t>(shape.names.hosts.size());
  const bool kills = kind == Kind::kKill || kind == Kind::kCrashLoop;
  switch (InfoOf(kind).target) {
    case Target::kNone:
      targets.emplace_back(0, 0);
      break;
    case Target::kProcess:
      for (uint32_t i = 0; i < shape.names.processes.size(); ++i) {
        const bool killable =
            std::find(shape.killable.begin(), shape.killable.end(), i) != shape.killable.end();
        if (killable || !kills) targets.emplace_back(i, 0);
      }
      break;
    case Target::kHost:
      if (kind == Kind::kPower) {
        for (const uint32_t host : shape.power_hosts) targets.emplace_back(host, 0);
      } else {
        for (uint32_t host = 0; host < hosts; ++host) targets.emplace_back(host, 0);
      }
      break;
    case Target::kHostPair:
      for (uint32_t from = 0; from < hosts; ++from) {
        for (uint32_t to = 0; to < hosts; ++to) {
          if (from != to) targets.emplace_back(from, to);
        }
      }
      break;
  }
  return targets;
}

}  // namespace

const std::vector<Kind>& SingleFaults() {
  static const auto* const kinds = new std::vector<Kind>{
      Kind::kKill, Kind::kPower, Kind::kPause, Kind::kNetCut, Kind::kNetCutBoth, Kind::kNetReset};
  return *kinds;
}

Plan DrawPlan(const Hunt& hunt, uint64_t seed, uint64_t run) {
  const Shape& shape = *hunt.shape;
  Random random = Random(seed).Fork("hunt").Fork(run);
  Plan plan;
  plan.scenario = shape.scenario;
  plan.seed = random.Next() >> 16;
  // A plan of few kinds goes deep where one of all kinds goes wide.
  std::vector<Kind> kinds;
  const uint64_t different = random.Between(uint64_t{1}, std::min<uint64_t>(hunt.kinds.size(), 3));
  while (kinds.size() < different) kinds.push_back(Pick(random, hunt.kinds));
  const bool long_ones = random.Chance({1, 2});
  const Duration median = long_ones ? Duration(600ms) : Duration(60ms);
  const Duration end = std::min(shape.horizon, shape.length + shape.length / 2);
  // Nor is it to strike everybody: half of the plans keep to a few places.
  std::set<uint32_t> focus;
  const bool focused = random.Chance({1, 2});
  const uint64_t places = random.Between(uint64_t{1}, uint64_t{4});
  for (uint64_t i = 0; focused && i < places; ++i) {
    focus.insert(
        static_cast<uint32_t>(random.Between(uint64_t{0}, shape.names.processes.size() - 1)));
  }
  const uint64_t events = random.Between(hunt.events_min, hunt.events_max);
  for (uint64_t i = 0; i < events; ++i) {
    Event event;
    event.kind = Pick(random, kinds);
    auto targets = TargetsOf(event.kind, shape);
    auto chosen = targets;
    std::erase_if(chosen, [&](const auto& target) { return !focus.contains(target.first); });
    if (!chosen.empty()) targets = std::move(chosen);
    if (targets.empty()) continue;
    const auto target = Pick(random, targets);
    event.target = target.first;
    event.other = target.second;
    if (hunt.moments == Moments::kTimes || shape.reach.empty()) {
      event.when.offset = random.Between(Duration::zero(), end);
    } else {
      const Reach& reach = Pick(random, shape.reach);
      event.when.probe = reach.probe;
      event.when.place = reach.place;
      // Faults bring places to probes that they never reach otherwise.
      if (random.Chance({1, 2})) {
        event.when.place =
            static_cast<uint32_t>(random.Between(uint64_t{0}, shape.names.processes.size() - 1));
      }
      const uint64_t most = random.Chance({1, 2}) ? 4 : reach.hits + reach.hits / 2;
      event.when.hit = random.Between(uint64_t{1}, most);
      event.when.form = random.Chance({1, 2}) ? When::Form::kBefore : When::Form::kAfter;
      // Who is at the moment is who it matters to, more often than not.
      const bool same = random.Chance({1, 2});
      const auto all = TargetsOf(event.kind, shape);
      const bool possible =
          std::find(all.begin(), all.end(), std::pair(event.when.place, uint32_t{0})) != all.end();
      if (same && possible && InfoOf(event.kind).target != Target::kHostPair) {
        event.target = event.when.place;
      }
    }
    event.lasts = std::min<Duration>(random.LogNormal(median), shape.horizon);
    plan.events.push_back(std::move(event));
  }
  Clamp(plan, shape.names);
  return plan;
}

uint64_t ForEachSingle(const Hunt& hunt, uint64_t seed, uint64_t hits,
                       const std::function<bool(const Plan&)>& visit) {
  const Shape& shape = *hunt.shape;
  uint64_t plans = 0;
  for (const Reach& reach : shape.reach) {
    for (uint64_t hit = 1; hit <= std::min(hits, reach.hits); ++hit) {
      for (const Kind kind : hunt.kinds) {
        for (const auto& [target, other] : TargetsOf(kind, shape)) {
          for (const When::Form form : {When::Form::kBefore, When::Form::kAfter}) {
            for (const Duration lasts : {Duration(5ms), Duration(150ms), Duration(1s)}) {
              Plan plan;
              plan.scenario = shape.scenario;
              plan.seed = seed;
              plan.events.push_back(
                  {.when = {.form = form, .probe = reach.probe, .hit = hit, .place = reach.place},
                   .kind = kind,
                   .target = target,
                   .other = other,
                   .lasts = lasts});
              Clamp(plan, shape.names);
              ++plans;
              if (!visit(plan)) return plans;
            }
          }
        }
      }
    }
  }
  return plans;
}

}  // namespace weir::faults
