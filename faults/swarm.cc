#include "faults/swarm.h"

#include <algorithm>
#include <bit>
#include <chrono>

namespace weir::faults {
namespace {

using namespace std::chrono_literals;
using base::Duration;
using base::Random;

template <typename T>
const T& Pick(Random& random, const std::vector<T>& from) {
  return from[random.Between(uint64_t{0}, from.size() - 1)];
}

// From `low` to `high`, every power of two equally likely.
uint64_t Scaled(Random& random, uint64_t low, uint64_t high) {
  const int bits = random.Between(0, static_cast<int>(std::bit_width(high - low)));
  const uint64_t top = bits == 64 ? UINT64_MAX : (uint64_t{1} << bits) - 1;
  return low + random.Between(uint64_t{0}, std::min(top, high - low));
}

// What people will read has no use for nanoseconds.
Duration Rounded(Duration time) { return time - time % Duration(1us); }

class Expansion {
 public:
  Expansion(uint64_t seed, const Shape& shape)
      : shape_(shape), random_(Random(seed).Fork("swarm")) {
    plan_.scenario = shape.scenario;
    plan_.seed = seed;
  }

  Plan Run(const std::vector<Kind>& allowed) {
    if (shape_.names.processes.empty()) return std::move(plan_);
    const std::vector<Kind> on = DrawKinds(allowed);
    if (on.empty()) return std::move(plan_);
    const uint64_t most = uint64_t{1} << random_.Between(0, 4);
    const uint64_t events = random_.Between(uint64_t{1}, most);
    const bool long_ones = random_.Chance({1, 4});
    median_ = long_ones ? Duration(2s) : Duration(150ms);
    for (uint64_t i = 0; i < events; ++i) AddEvent(Pick(random_, on));
    Clamp(plan_, shape_.names);
    return std::move(plan_);
  }

 private:
  bool Possible(Kind kind) const {
    switch (kind) {
      case Kind::kKill:
      case Kind::kCrashLoop:
      case Kind::kKillInRecovery:
        return !shape_.killable.empty();
      case Kind::kCancel:
        return shape_.scopes && !shape_.killable.empty();
      case Kind::kPower:
        return !shape_.power_hosts.empty();
      case Kind::kSwapDisks:
        return shape_.power_hosts.size() > 1 && shape_.disks_may_be_lost;
      case Kind::kDiskFlip:
      case Kind::kDiskFlipRead:
      case Kind::kDiskMisdirect:
        return shape_.disks_may_be_lost;
      default:
        return InfoOf(kind).target != Target::kHostPair || shape_.names.hosts.size() > 1;
    }
  }

  std::vector<Kind> DrawKinds(const std::vector<Kind>& allowed) {
    constexpr size_t kFew = 3;  // who asks for so few wants them all
    std::vector<Kind> possible;
    for (const Kind kind : allowed) {
      if (Possible(kind)) possible.push_back(kind);
    }
    if (possible.size() <= kFew) return possible;
    std::vector<bool> family(kFamilies);
    for (size_t i = 0; i < kFamilies; ++i) family[i] = random_.Chance({1, 2});
    family[random_.Between(uint64_t{0}, kFamilies - 1)] = false;
    std::vector<Kind> on;
    for (const Kind kind : possible) {
      const bool chosen = random_.Chance({1, 3});
      if (chosen && family[static_cast<size_t>(InfoOf(kind).family)]) on.push_back(kind);
    }
    // A run without faults is worth having, but not often.
    if (on.empty() && random_.Chance({7, 8})) on.push_back(Pick(random_, possible));
    return on;
  }

  void AddEvent(Kind kind) {
    Event event;
    event.kind = kind;
    const Info& info = InfoOf(kind);
    const Reach* const moment = DrawMoment(event.when);
    switch (info.target) {
      case Target::kNone:
        break;
      case Target::kProcess:
        event.target = DrawProcess(kind, moment);
        break;
      case Target::kHost:
      case Target::kHostPair: {
        const auto hosts = static_cast<uint32_t>(shape_.names.hosts.size());
        event.target = kind == Kind::kPower || kind == Kind::kSwapDisks
                           ? Pick(random_, shape_.power_hosts)
                           : static_cast<uint32_t>(random_.Between(uint64_t{0}, hosts - 1));
        if (info.target == Target::kHost) break;
        event.other = static_cast<uint32_t>(random_.Between(uint64_t{0}, hosts - 1));
        break;
      }
    }
    event.lasts = Rounded(std::min<Duration>(random_.LogNormal(median_), shape_.horizon));
    for (size_t i = 0; i < info.parameter_count(); ++i)
      event.parameters.push_back(DrawParameter(info.parameters[i]));
    if (kind == Kind::kPower && !shape_.disks_may_be_lost) event.parameters[0] = 0;
    plan_.events.push_back(std::move(event));
  }

  const Reach* DrawMoment(When& when) {
    if (shape_.reach.empty() || random_.Chance({1, 2})) {
      // Most of what happens happens while a run without faults would last.
      const bool early = random_.Chance({3, 4});
      const Duration end =
          early ? std::min(shape_.length + shape_.length / 2, shape_.horizon) : shape_.horizon;
      when.offset = Rounded(random_.Between(Duration::zero(), end));
      return nullptr;
    }
    const Reach& reach = Pick(random_, shape_.reach);
    when.probe = reach.probe;
    when.place = reach.place;
    when.hit = Scaled(random_, 1, reach.hits);
    switch (random_.Between(0, 3)) {
      case 0:
      case 1:
        when.form = When::Form::kBefore;
        break;
      case 2:
        when.form = When::Form::kAfter;
        break;
      default:
        when.form = When::Form::kWhile;
        when.offset = Rounded(random_.LogNormal(1ms));
        break;
    }
    return &reach;
  }

  uint32_t DrawProcess(Kind kind, const Reach* moment) {
    const bool kills = kind == Kind::kKill || kind == Kind::kCrashLoop ||
                       kind == Kind::kKillInRecovery || kind == Kind::kCancel;
    const bool same = random_.Chance({1, 2});
    if (same && moment != nullptr && moment->place != When::kAnywhere) return moment->place;
    if (kills) return Pick(random_, shape_.killable);
    return static_cast<uint32_t>(random_.Between(uint64_t{0}, shape_.names.processes.size() - 1));
  }

  // Around the default more often than not, to the ends of the range now and then.
  int64_t DrawParameter(const Parameter& parameter) {
    if (random_.Chance({1, 4})) return parameter.fallback;
    const bool down = parameter.low < 0 && random_.Chance({1, 2});
    if (down)
      return -static_cast<int64_t>(Scaled(random_, 0, static_cast<uint64_t>(-parameter.low)));
    const int64_t from = std::max<int64_t>(parameter.low, 0);
    return static_cast<int64_t>(
        Scaled(random_, static_cast<uint64_t>(from), static_cast<uint64_t>(parameter.high)));
  }

  const Shape& shape_;
  Random random_;
  Plan plan_;
  Duration median_{};
};

}  // namespace

Plan Expand(uint64_t seed, const Shape& shape, const std::vector<Kind>& kinds) {
  return Expansion(seed, shape).Run(kinds);
}

}  // namespace weir::faults
