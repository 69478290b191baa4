// FaultyNetwork: a Network that does what the one below it does, unless a rule says otherwise. For
// any Env, so also over real TCP.
//
//   faults::FaultyNetwork network(env);
//   io::Env broken = network.Over(env);
//   network.Add({.call = NetworkCall::kConnect, .address = "server:*", .first = 2});  // refused
//   network.Add({.call = NetworkCall::kRead, .harm = NetworkHarm::kReset, .bytes = 100});
//
// A rule's address is that of the side that listens: as the caller of Connect wrote it, or as the
// listener has it, "host:port". For Resolve it is the name.
//
// kReset, kClose and kFlip strike at a byte of a stream, not at a call: what counts as one of the
// rule's strikes is a stream that comes to that byte. The bytes of a direction are counted from
// where the stream was when it first saw the rule.
//
// Invariants: without rules nobody can tell the two networks apart. A deadline holds while a rule
// delays or hangs: it leaves a read whole and breaks a stream that was written to, as
// engine/io/network.h says. Only the decorated side is told by a rule what happened; the peer
// finds out as it would over TCP.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/io/env.h"
#include "faults/rules.h"

namespace weir::faults {

enum class NetworkCall : uint8_t { kAny, kListen, kConnect, kAccept, kResolve, kRead, kWrite };

enum class NetworkHarm : uint8_t {
  kFail,   // nothing happens but an error of `code`; a stream breaks
  kDelay,  // the call waits for `delay` first
  kHang,   // the call waits until the rule is removed, then happens; until then it does not see
           // its stream break
  kReset,  // the stream breaks for both sides after `bytes` bytes were read or written
  kClose,  // the direction ends after `bytes` bytes: reads give the end, the peer of a writer sees
           // it
  kFlip,   // byte number `bytes` of the direction, counted from 0, has a bit that is wrong
};

struct NetworkRule : Strikes {
  NetworkCall call = NetworkCall::kAny;
  std::string address{};  // '*' stands for anything
  NetworkHarm harm = NetworkHarm::kFail;
  // kOk: what TCP would say: refused, in use, unknown name, out of descriptors, broken.
  absl::StatusCode code = absl::StatusCode::kOk;
  uint64_t bytes = 0;
  io::Duration delay{0};
};

class FaultyNetwork final : public io::Network {
 public:
  // Over the network of `env`, which must outlive this and all that is made through it.
  explicit FaultyNetwork(io::Env& env) : under_(env.network), book_(env.tasks, env.clock) {}

  // `env` with this network in place of its own.
  io::Env Over(const io::Env& env);

  RuleId Add(const NetworkRule& rule) { return book_.Add(rule); }
  void Remove(RuleId rule) { book_.Remove(rule); }
  void RemoveAll() { book_.RemoveAll(); }
  uint64_t strikes(RuleId rule) const { return book_.strikes(rule); }

  using io::Network::Connect;
  using io::Network::Listen;
  absl::StatusOr<std::unique_ptr<io::Listener>> Listen(const io::Address& at,
                                                       const io::ListenOptions& options) override;
  absl::StatusOr<std::unique_ptr<io::Stream>> Connect(const io::Address& to, io::Monotonic deadline,
                                                      const io::StreamOptions& options) override;
  absl::StatusOr<std::vector<std::string>> Resolve(std::string_view name,
                                                   io::Monotonic deadline) override;

 private:
  friend class FaultyListener;
  friend class FaultyStream;

  // One direction of a stream, as the rules see it.
  struct Direction {
    uint64_t done = 0;                  // bytes that went through
    std::map<RuleId, uint64_t> places;  // where each rule strikes; kPast: was there
    static constexpr uint64_t kPast = UINT64_MAX;
  };
  // Waits where rules say so; an error if the call is to fail, or the deadline came first.
  absl::Status Before(NetworkCall call, std::string_view address, io::Monotonic deadline);
  // How many bytes may go through before a rule wants to break the direction.
  uint64_t BytesToBreak(NetworkCall call, std::string_view address, Direction& direction);
  // At such a place: kReset or kClose, or nothing if no rule is due there.
  std::optional<NetworkHarm> Break(NetworkCall call, std::string_view address,
                                   Direction& direction);
  // `bytes` more go through; gives the places among them where a bit is to be wrong.
  std::vector<uint64_t> Pass(NetworkCall call, std::string_view address, Direction& direction,
                             uint64_t bytes);

  io::Network& under_;
  RuleBook<NetworkRule> book_;
};

}  // namespace weir::faults
