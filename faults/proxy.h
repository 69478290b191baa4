// Proxy: a program that stands between the users of a server and the server, and breaks what goes
// through it: over real TCP, where nobody else can, and in the simulator, where it is one more
// process.
//
//   faults::ProxyControl control;
//   scope.Spawn("proxy", [&] { faults::Proxy(env, {.target = server}, control); });
//   ASSIGN_OR_RETURN(const io::Address at, control.WaitUntilUp(env, deadline));
//   control.Set(Way::kBack, {.cut = true});
//
// What can be broken. Each way of every connection: delayed, throttled, cut (bytes and ends wait,
// nobody is told anything, new connections too), a bit wrong at byte n, reset at byte n. Whole
// connections: reset for both sides, or half-opened: one side is dropped and the other, which is
// not told, talks into the void. What is accepted while `refuse` is set is reset at once.
//
// Invariants: in calm weather every byte, every end and every break of one side reaches the other,
// in order. What waits is bounded: a cut or slow way stops its sender as a full window does.
//
// The control may be used by any task of the proxy's process and, in the simulator, by the hands of
// the world. It must outlive the proxy, and may serve one after the other.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/spinlock.h"
#include "engine/io/env.h"

namespace weir::faults {

enum class Way : uint8_t {
  kForward,  // from who connected to the target
  kBack,
};
// The two sides of a connection; the one that a way comes from has the way's number.
enum class End : uint8_t { kConnecter, kTarget };

// The state of one way.
struct Weather {
  static constexpr uint64_t kNever = UINT64_MAX;
  bool cut = false;
  io::Duration delay{0};          // of each byte; what is on its way keeps its own
  uint64_t bytes_per_second = 0;  // 0: no limit
  // Of each connection, counted from 0 at its beginning.
  uint64_t flip_at = kNever;   // this byte has a wrong bit
  uint64_t reset_at = kNever;  // after so many bytes both sides are reset
};

struct ProxyCounts {
  uint64_t connections = 0;  // made to the target
  uint64_t refused = 0;
  uint64_t resets = 0;
  uint64_t half_opens = 0;
  uint64_t flips = 0;
  uint64_t lost_bytes = 0;          // that a half-open connection took
  std::array<uint64_t, 2> bytes{};  // that went through, by way
};

struct ProxyOptions {
  io::Address listen{"127.0.0.1", 0};
  io::Address target;
};

class ProxyControl {
 public:
  ProxyControl() = default;
  ProxyControl(const ProxyControl&) = delete;
  ProxyControl& operator=(const ProxyControl&) = delete;

  // For connections that are and that come.
  void Set(Way way, const Weather& weather);
  void SetBoth(const Weather& weather);
  void Refuse(bool refuse);
  // For the connections that are.
  void Reset();
  void HalfOpen(End dropped);

  ProxyCounts counts() const;
  // The address that the proxy listens at, once it does.
  absl::StatusOr<io::Address> WaitUntilUp(io::Env& env, io::Monotonic deadline);

 private:
  friend class ProxyConnection;
  friend absl::Status Proxy(io::Env& env, const ProxyOptions& options, ProxyControl& control);
  class Waiting;
  class Listening;

  struct State {
    uint64_t changes = 0;
    std::array<Weather, 2> weather{};
    bool refuse = false;
    uint64_t resets = 0;                   // that were asked for
    std::array<uint64_t, 2> half_opens{};  // the same, by the side to drop
    std::optional<io::Address> address{};
  };

  State Look() const;
  template <typename Change>
  void Alter(Change change);
  template <typename Count>
  void Tell(Count count);
  // Waits for a change after the one that `seen` counts.
  io::Wake WaitForChange(io::Tasks& tasks, uint64_t seen, io::Monotonic deadline);

  mutable base::SpinLock lock_;
  State state_;
  ProxyCounts counts_;
  std::vector<std::pair<io::Tasks*, io::TaskRef>> waiting_;
};

// Until it is asked to terminate or cancelled.
absl::Status Proxy(io::Env& env, const ProxyOptions& options, ProxyControl& control);

}  // namespace weir::faults
