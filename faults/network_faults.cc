// The network family: latency, bandwidth, clogs, cuts of every shape, connections that end badly,
// connects that are refused or slow, bytes that change, names that are out of date.
//
// Fault model. TCP holds: bytes arrive in order, once, or the connection breaks. What is cut is
// sent again when the path is whole, unless a kernel gave up first (peer timeout); what is clogged
// waits in the network and nobody notices. Half-open: data arrives, the word that it did gets lost.
// Flipped bits are those that the checksum of TCP lets through. Datagram faults (loss, duplication,
// reordering) have no counterpart over TCP but latency.
#include <algorithm>
#include <chrono>

#include "engine/base/random.h"
#include "faults/driver.h"

namespace weir::faults {

using base::Duration;

// Cuts everything between the hosts of one side and the others. `ways`: 0 both, 1 towards the side,
// 2 from it.
void Driver::Partition(size_t index, const std::vector<sim::HostId>& side, int64_t ways) {
  const sim::FaultTag tag = TagOf(index);
  std::vector<std::pair<sim::HostId, sim::HostId>> cuts;
  for (const sim::HostId inside : side) {
    for (const sim::HostId outside : hosts_) {
      if (std::find(side.begin(), side.end(), outside) != side.end()) continue;
      if (ways != 1) cuts.emplace_back(inside, outside);
      if (ways != 2) cuts.emplace_back(outside, inside);
    }
  }
  for (const auto& [from, to] : cuts) world_.Cut(from, to, tag);
  Later(plan_.events[index].lasts, [this, cuts = std::move(cuts)] {
    for (const auto& [from, to] : cuts) world_.Heal(from, to);
  });
}

// Hosts are clogged one after the other and let go in another order.
void Driver::Swizzle(size_t index) {
  const Event& event = plan_.events[index];
  base::Random random(static_cast<uint64_t>(event.parameters[1]));
  std::vector<sim::HostId> order = hosts_;
  const auto shuffle = [&random, &order] {
    for (size_t i = order.size() - 1; i > 0; --i)
      std::swap(order[i], order[random.Between(uint64_t{0}, i)]);
  };
  shuffle();
  const size_t count =
      std::max<size_t>(1, order.size() * static_cast<size_t>(event.parameters[0]) / 100);
  order.resize(count);
  const auto each = [this](sim::HostId host, const auto& act) {
    for (const sim::HostId other : hosts_) {
      if (other == host) continue;
      act(host, other);
      act(other, host);
    }
  };
  const auto step = event.lasts / static_cast<int64_t>(2 * count);
  for (size_t i = 0; i < count; ++i) {
    world_.At(world_.now() + step * static_cast<int64_t>(i),
              [this, each, host = order[i], tag = TagOf(index)] {
                if (healed_) return;
                each(host, [&](sim::HostId from, sim::HostId to) { world_.Clog(from, to, tag); });
              });
  }
  shuffle();
  for (size_t i = 0; i < count; ++i) {
    Later(event.lasts / 2 + step * static_cast<int64_t>(i + 1), [this, each, host = order[i]] {
      each(host, [&](sim::HostId from, sim::HostId to) { world_.Unclog(from, to); });
    });
  }
}

bool Driver::StrikeNetwork(size_t index) {
  const Event& event = plan_.events[index];
  const sim::FaultTag tag = TagOf(index);
  const auto parameter = [&](size_t i) { return event.parameters[i]; };
  const Target target = InfoOf(event.kind).target;
  if (target == Target::kHostPair && event.target == event.other) return false;
  const sim::HostId a = target == Target::kNone ? sim::HostId() : HostOf(event.target);
  const sim::HostId b = target == Target::kHostPair ? HostOf(event.other) : sim::HostId();
  switch (event.kind) {
    case Kind::kNetLatency: {
      const Duration low = std::chrono::microseconds(parameter(0));
      const Duration high = std::chrono::microseconds(parameter(1));
      world_.SetLatency(std::pair(std::min(low, high), std::max(low, high)), tag);
      Later(event.lasts, [this] { world_.SetLatency(std::nullopt); });
      return true;
    }
    case Kind::kNetBandwidth:
      world_.SetBandwidth(a, static_cast<uint64_t>(parameter(0)), tag);
      Later(event.lasts, [this, a] { world_.SetBandwidth(a, std::nullopt); });
      return true;
    case Kind::kNetClog:
      world_.Clog(a, b, tag);
      Later(event.lasts, [this, a, b] { world_.Unclog(a, b); });
      return true;
    case Kind::kNetClogBoth:
      world_.Clog(a, b, tag);
      world_.Clog(b, a, tag);
      Later(event.lasts, [this, a, b] {
        world_.Unclog(a, b);
        world_.Unclog(b, a);
      });
      return true;
    case Kind::kNetSwizzle:
      Swizzle(index);
      return true;
    case Kind::kNetCut:
      world_.Cut(a, b, tag);
      Later(event.lasts, [this, a, b] { world_.Heal(a, b); });
      return true;
    case Kind::kNetCutBoth:
      world_.Cut(a, b, tag);
      world_.Cut(b, a, tag);
      Later(event.lasts, [this, a, b] {
        world_.Heal(a, b);
        world_.Heal(b, a);
      });
      return true;
    case Kind::kNetPartition: {
      std::vector<sim::HostId> side;
      for (size_t i = 0; i < hosts_.size() && i < 62; ++i) {
        if ((parameter(0) >> i & 1) != 0) side.push_back(hosts_[i]);
      }
      if (side.empty() || side.size() == hosts_.size()) return false;
      Partition(index, side, parameter(1));
      return true;
    }
    case Kind::kNetIsolate:
      Partition(index, {a}, parameter(0));
      return true;
    case Kind::kNetHalfOpen:
      world_.LoseAcks(a, b, tag);
      Later(event.lasts, [this, a, b] { world_.RestoreAcks(a, b); });
      return true;
    case Kind::kNetClose:
      world_.CloseConnections(a, b, tag);
      return true;
    case Kind::kNetReset:
      world_.ResetConnections(a, b, tag);
      return true;
    case Kind::kNetResetAt:
      world_.ResetAtByte(a, b, static_cast<uint64_t>(parameter(0)), tag);
      Later(event.lasts, [this, a, b] { world_.ResetAtByte(a, b, std::nullopt); });
      return true;
    case Kind::kNetRefuse:
      world_.RefuseConnects(a, {static_cast<uint64_t>(parameter(0)), 100}, tag);
      Later(event.lasts, [this, a] { world_.RefuseConnects(a, {0, 1}); });
      return true;
    case Kind::kNetSlowConnect:
      world_.DelayConnects(a, std::chrono::milliseconds(parameter(0)), tag);
      Later(event.lasts, [this, a] { world_.DelayConnects(a, Duration::zero()); });
      return true;
    case Kind::kNetFlip:
      world_.FlipBits(a, b, static_cast<uint64_t>(parameter(0)),
                      static_cast<uint64_t>(parameter(1)), tag);
      Later(event.lasts, [this, a, b] { world_.FlipBits(a, b, 0, 1); });
      return true;
    case Kind::kNetStaleName:
      world_.SetStaleName(a, true, tag);
      Later(event.lasts, [this, a] { world_.SetStaleName(a, false); });
      return true;
    default:
      return false;
  }
}

}  // namespace weir::faults
