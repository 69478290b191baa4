#include "faults/faulty_network.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"

namespace weir::faults {
namespace {

absl::Status Planted(absl::StatusCode code, std::string_view address, std::string_view what) {
  return absl::Status(
      code, absl::StrCat(base::Abseil(address), ": ", base::Abseil(what), " (planted by a rule)"));
}

// What TCP would say.
absl::Status Failure(NetworkCall call, absl::StatusCode code, std::string_view address) {
  using absl::StatusCode;
  const auto or_else = [code](StatusCode usual) { return code == StatusCode::kOk ? usual : code; };
  switch (call) {
    case NetworkCall::kListen:
      return Planted(or_else(StatusCode::kAlreadyExists), address, "the port is in use");
    case NetworkCall::kConnect:
      return Planted(or_else(StatusCode::kUnavailable), address, "connection refused");
    case NetworkCall::kAccept:
      return Planted(or_else(StatusCode::kResourceExhausted), address, "out of descriptors");
    case NetworkCall::kResolve:
      return Planted(or_else(StatusCode::kNotFound), address, "nobody knows this name");
    case NetworkCall::kRead:
    case NetworkCall::kWrite:
    case NetworkCall::kAny:
      break;
  }
  return Planted(or_else(StatusCode::kUnavailable), address, "the connection is broken");
}

bool Concerns(const NetworkRule& rule, NetworkCall call, std::string_view address) {
  return (rule.call == NetworkCall::kAny || rule.call == call) && Matches(rule.address, address);
}

bool Breaks(NetworkHarm harm) { return harm == NetworkHarm::kReset || harm == NetworkHarm::kClose; }

}  // namespace

class FaultyStream final : public io::Stream {
 public:
  FaultyStream(FaultyNetwork& network, std::string address, std::unique_ptr<io::Stream> under)
      : network_(network), address_(std::move(address)), under_(std::move(under)) {}

  absl::StatusOr<size_t> Read(absl::Span<char> into, io::Monotonic deadline) override {
    if (const absl::Status status = network_.Before(NetworkCall::kRead, address_, deadline);
        !status.ok()) {
      if (!absl::IsDeadlineExceeded(status) && !absl::IsCancelled(status)) under_->Abort();
      return status;
    }
    for (;;) {
      if (read_closed_) return size_t{0};
      const uint64_t room = network_.BytesToBreak(NetworkCall::kRead, address_, in_);
      if (room > 0) {
        ASSIGN_OR_RETURN(const size_t got,
                         under_->Read(into.first(std::min<uint64_t>(room, into.size())), deadline));
        for (const uint64_t at : network_.Pass(NetworkCall::kRead, address_, in_, got))
          Flip(into[at]);
        return got;
      }
      const auto harm = network_.Break(NetworkCall::kRead, address_, in_);
      if (harm == NetworkHarm::kClose) read_closed_ = true;
      if (harm == NetworkHarm::kReset) {
        under_->Abort();
        return Planted(absl::StatusCode::kUnavailable, address_, "the connection was reset");
      }
    }
  }

  absl::Status Write(std::string_view bytes, io::Monotonic deadline) override {
    if (const absl::Status status = network_.Before(NetworkCall::kWrite, address_, deadline);
        !status.ok()) {
      under_->Abort();
      return status;
    }
    std::string changed;
    for (bool begun = false;; begun = true) {
      if (write_closed_)
        return Planted(absl::StatusCode::kUnavailable, address_, "nothing more can be written");
      const uint64_t room = network_.BytesToBreak(NetworkCall::kWrite, address_, out_);
      if (room > 0) {
        if (begun && bytes.empty()) return absl::OkStatus();
        std::string_view piece = bytes.substr(0, room);
        bytes.remove_prefix(piece.size());
        const std::vector<uint64_t> flips =
            network_.Pass(NetworkCall::kWrite, address_, out_, piece.size());
        if (!flips.empty()) {
          changed = piece;
          for (const uint64_t at : flips) Flip(changed[at]);
          piece = changed;
        }
        RETURN_IF_ERROR(under_->Write(piece, deadline));
        continue;
      }
      const auto harm = network_.Break(NetworkCall::kWrite, address_, out_);
      if (!harm) continue;
      if (harm == NetworkHarm::kReset) {
        under_->Abort();
        if (!bytes.empty())
          return Planted(absl::StatusCode::kUnavailable, address_, "the connection was reset");
      } else {
        write_closed_ = true;
        RETURN_IF_ERROR(under_->CloseWrite());
      }
      if (bytes.empty()) return absl::OkStatus();  // all was taken; nothing is said of arrival
    }
  }

  absl::Status CloseWrite() override {
    return write_closed_ ? absl::OkStatus() : under_->CloseWrite();
  }
  void Abort() override { under_->Abort(); }
  const io::Address& peer() const override { return under_->peer(); }
  const io::Address& local() const override { return under_->local(); }

 private:
  static void Flip(char& byte) { byte = static_cast<char>(byte ^ 0x10); }

  FaultyNetwork& network_;
  const std::string address_;  // of the side that listens
  const std::unique_ptr<io::Stream> under_;
  FaultyNetwork::Direction in_;
  FaultyNetwork::Direction out_;
  bool read_closed_ = false;   // by a rule
  bool write_closed_ = false;  // by a rule
};

class FaultyListener final : public io::Listener {
 public:
  FaultyListener(FaultyNetwork& network, std::unique_ptr<io::Listener> under)
      : network_(network), under_(std::move(under)), name_(under_->address().ToString()) {}

  absl::StatusOr<std::unique_ptr<io::Stream>> Accept(io::Monotonic deadline) override {
    RETURN_IF_ERROR(network_.Before(NetworkCall::kAccept, name_, deadline));
    ASSIGN_OR_RETURN(std::unique_ptr<io::Stream> stream, under_->Accept(deadline));
    return std::make_unique<FaultyStream>(network_, name_, std::move(stream));
  }
  const io::Address& address() const override { return under_->address(); }

 private:
  FaultyNetwork& network_;
  const std::unique_ptr<io::Listener> under_;
  const std::string name_;
};

io::Env FaultyNetwork::Over(const io::Env& env) {
  return {env.clock, env.tasks,   env.random, *this,     env.disk,   env.processes,
          env.host,  env.signals, env.log,    env.trace, env.console};
}

absl::Status FaultyNetwork::Before(NetworkCall call, std::string_view address,
                                   io::Monotonic deadline) {
  io::Duration delay{0};
  RuleId hang;
  absl::Status failure;
  book_.ForEach([&](RuleId id, const NetworkRule& rule, auto strike) {
    if (!Concerns(rule, call, address)) return;
    if (rule.harm == NetworkHarm::kDelay && strike()) delay += rule.delay;
    if (rule.harm == NetworkHarm::kHang && strike() && !hang) hang = id;
    if (rule.harm == NetworkHarm::kFail && strike() && failure.ok())
      failure = Failure(call, rule.code, address);
  });
  io::Wake wake = io::Wake::kUnparked;
  if (delay > io::Duration::zero()) wake = book_.Delay(delay, deadline);
  if (wake == io::Wake::kUnparked && hang) wake = book_.Hold(hang, deadline);
  if (wake == io::Wake::kTimeout)
    return Planted(absl::StatusCode::kDeadlineExceeded, address, "the deadline passed");
  if (wake == io::Wake::kCancelled)
    return Planted(absl::StatusCode::kCancelled, address, "cancelled while a rule held the call");
  return failure;
}

uint64_t FaultyNetwork::BytesToBreak(NetworkCall call, std::string_view address,
                                     Direction& direction) {
  uint64_t nearest = Direction::kPast;
  book_.ForEach([&](RuleId id, const NetworkRule& rule, auto) {
    const bool has_place = Breaks(rule.harm) || rule.harm == NetworkHarm::kFlip;
    if (!has_place || !Concerns(rule, call, address)) return;
    const uint64_t place =
        direction.places.try_emplace(id, direction.done + rule.bytes).first->second;
    if (Breaks(rule.harm) && place != Direction::kPast)
      nearest = std::min(nearest, place - direction.done);
  });
  return nearest;
}

std::optional<NetworkHarm> FaultyNetwork::Break(NetworkCall call, std::string_view address,
                                                Direction& direction) {
  std::optional<NetworkHarm> harm;
  book_.ForEach([&](RuleId id, const NetworkRule& rule, auto strike) {
    if (!Breaks(rule.harm) || !Concerns(rule, call, address)) return;
    const auto it = direction.places.find(id);
    if (harm || it == direction.places.end() || it->second != direction.done) return;
    it->second = Direction::kPast;
    if (strike()) harm = rule.harm;
  });
  return harm;
}

std::vector<uint64_t> FaultyNetwork::Pass(NetworkCall call, std::string_view address,
                                          Direction& direction, uint64_t bytes) {
  std::vector<uint64_t> flips;
  book_.ForEach([&](RuleId id, const NetworkRule& rule, auto strike) {
    if (rule.harm != NetworkHarm::kFlip || !Concerns(rule, call, address)) return;
    const auto it = direction.places.find(id);
    if (it == direction.places.end() || it->second == Direction::kPast ||
        it->second >= direction.done + bytes) {
      return;
    }
    const uint64_t at = it->second - direction.done;
    it->second = Direction::kPast;
    if (strike()) flips.push_back(at);
  });
  direction.done += bytes;
  return flips;
}

absl::StatusOr<std::unique_ptr<io::Listener>> FaultyNetwork::Listen(
    const io::Address& at, const io::ListenOptions& options) {
  RETURN_IF_ERROR(Before(NetworkCall::kListen, at.ToString(), base::kForever));
  ASSIGN_OR_RETURN(std::unique_ptr<io::Listener> listener, under_.Listen(at, options));
  return std::make_unique<FaultyListener>(*this, std::move(listener));
}

absl::StatusOr<std::unique_ptr<io::Stream>> FaultyNetwork::Connect(
    const io::Address& to, io::Monotonic deadline, const io::StreamOptions& options) {
  const std::string name = to.ToString();
  RETURN_IF_ERROR(Before(NetworkCall::kConnect, name, deadline));
  ASSIGN_OR_RETURN(std::unique_ptr<io::Stream> stream, under_.Connect(to, deadline, options));
  return std::make_unique<FaultyStream>(*this, name, std::move(stream));
}

absl::StatusOr<std::vector<std::string>> FaultyNetwork::Resolve(std::string_view name,
                                                                io::Monotonic deadline) {
  RETURN_IF_ERROR(Before(NetworkCall::kResolve, name, deadline));
  return under_.Resolve(name, deadline);
}

}  // namespace weir::faults
