#include "sim/sim_network.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_format.h"
#include "engine/base/check.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"
#include "sim/life_env.h"

namespace weir::sim {
namespace {

constexpr uint64_t kNoteSend = 0x73656e64;
constexpr uint64_t kNoteRead = 0x72656164;
constexpr size_t kCompactBytes = 64 << 10;

bool IsLoopback(std::string_view host) {
  return host == "::1" || host == "localhost" || host.substr(0, 4) == "127.";
}
bool IsAny(std::string_view host) { return host == "0.0.0.0" || host == "::"; }
bool LooksLiteral(std::string_view host) {
  return host.find(':') != std::string_view::npos ||
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

absl::Status Gone() { return absl::CancelledError("this process is gone"); }
absl::Status Ending() { return absl::CancelledError("the waiting task is ending"); }

class SimStream final : public io::Stream {
 public:
  SimStream(Life& life, uint64_t id, int side)
      : life_(life), network_(*life.core.network), id_(id), side_(side) {
    Connection* const connection = network_.Find(id);
    CHECK(connection != nullptr);
    local_ = connection->side[side].address;
    peer_ = connection->side[1 - side].address;
  }
  ~SimStream() override {
    if (!life_.dead()) {
      if (Connection* const connection = network_.Find(id_); connection != nullptr)
        network_.Close(*connection, side_);
    } else {
      ++life_.core.counts.muted_effects;
    }
  }

  absl::StatusOr<size_t> Read(absl::Span<char> into, Monotonic deadline) override {
    CHECK(!into.empty()) << "read of no bytes";
    for (;;) {
      if (!life_.Alive()) return Gone();
      Connection* const connection = network_.Find(id_);
      if (connection == nullptr) return Broken("closed");
      Side& mine = connection->side[side_];
      if (const size_t there = mine.arrived - mine.begin; there > 0) {
        size_t got = std::min(into.size(), there);
        if (got > 1 && network_.random().Chance(life_.core.options.network.short_read)) {
          got = static_cast<size_t>(network_.random().Between(uint64_t{1}, got));
        }
        std::memcpy(into.data(), mine.pipe.data() + mine.begin, got);
        mine.begin += got;
        mine.read_total += got;
        life_.core.Note(kNoteRead, got);
        network_.AfterRead(*connection, side_);
        return got;
      }
      if (mine.broken) return Broken(mine.why);
      if (mine.saw_fin) return size_t{0};
      CHECK(!mine.reader || mine.reader == life_.core.current()->ref())
          << "two tasks read from one stream";
      mine.reader = life_.core.current()->ref();
      const io::Wake wake = life_.env->tasks().Park(deadline, {"bytes from", peer_.host});
      if (Connection* const now = network_.Find(id_); now != nullptr) now->side[side_].reader = {};
      if (wake == io::Wake::kCancelled) return Ending();
      if (wake == io::Wake::kTimeout) return Timeout("read from");
    }
  }

  absl::Status Write(std::string_view bytes, Monotonic deadline) override {
    while (!bytes.empty()) {
      if (!life_.Alive()) return Gone();
      Connection* const connection = network_.Find(id_);
      if (connection == nullptr) return Broken("closed");
      Side& mine = connection->side[side_];
      if (mine.broken) return Broken(mine.why);
      CHECK(!mine.sent_fin) << "write after CloseWrite";
      if (const uint64_t window = network_.Window(*connection, 1 - side_); window > 0) {
        const std::string_view segment = bytes.substr(0, window);
        network_.SendBytes(*connection, 1 - side_, segment);
        bytes.remove_prefix(segment.size());
        continue;
      }
      CHECK(!mine.writer || mine.writer == life_.core.current()->ref())
          << "two tasks write to one stream";
      mine.writer = life_.core.current()->ref();
      const io::Wake wake = life_.env->tasks().Park(deadline, {"window of", peer_.host});
      if (Connection* const now = network_.Find(id_); now != nullptr) now->side[side_].writer = {};
      if (wake == io::Wake::kCancelled) return Ending();
      if (wake == io::Wake::kTimeout) {
        if (Connection* const now = network_.Find(id_); now != nullptr)
          network_.Abort(*now, side_, "a write timed out");
        return Timeout("write to");
      }
    }
    return absl::OkStatus();
  }

  absl::Status CloseWrite() override {
    if (!life_.Alive()) return Gone();
    Connection* const connection = network_.Find(id_);
    if (connection == nullptr) return Broken("closed");
    Side& mine = connection->side[side_];
    if (mine.broken) return Broken(mine.why);
    if (!mine.sent_fin) network_.SendFin(*connection, 1 - side_);
    return absl::OkStatus();
  }

  void Abort() override {
    if (!life_.Alive()) return;
    if (Connection* const connection = network_.Find(id_); connection != nullptr) {
      network_.Abort(*connection, side_, "aborted");
    }
  }

  const io::Address& peer() const override { return peer_; }
  const io::Address& local() const override { return local_; }

 private:
  absl::Status Broken(const char* why) const {
    return absl::UnavailableError(absl::StrFormat("connection to %s: %s", peer_.ToString(), why));
  }
  absl::Status Timeout(const char* what) const {
    return absl::DeadlineExceededError(
        absl::StrFormat("%s %s: deadline passed", what, peer_.ToString()));
  }

  Life& life_;
  SimNetwork& network_;
  const uint64_t id_;
  const int side_;
  io::Address local_;
  io::Address peer_;
};

class SimListener final : public io::Listener {
 public:
  SimListener(Life& life, ListenerState* state)
      : life_(life), state_(state), address_(state->address) {}
  ~SimListener() override {
    if (!life_.dead()) life_.core.network->CloseListener(state_);
  }
  absl::StatusOr<std::unique_ptr<io::Stream>> Accept(Monotonic deadline) override {
    SimNetwork& network = *life_.core.network;
    for (;;) {
      if (!life_.Alive()) return Gone();
      while (!state_->waiting.empty()) {
        Connection* const connection = network.Find(state_->waiting.front());
        state_->waiting.pop_front();
        if (connection == nullptr) continue;
        connection->side[1].life = &life_;
        return std::make_unique<SimStream>(life_, connection->id, 1);
      }
      state_->accepter = life_.core.current()->ref();
      const io::Wake wake = life_.env->tasks().Park(deadline, {"a connection at port", port_});
      if (wake == io::Wake::kCancelled) return Ending();
      if (wake == io::Wake::kTimeout) {
        return absl::DeadlineExceededError(
            absl::StrFormat("accept at %s: deadline passed", address_.ToString()));
      }
    }
  }
  const io::Address& address() const override { return address_; }

 private:
  Life& life_;
  ListenerState* const state_;
  const io::Address address_;
  const std::string port_ = std::to_string(address_.port);
};

class NetworkView final : public io::Network {
 public:
  explicit NetworkView(Life& life) : life_(life) {}
  absl::StatusOr<std::unique_ptr<io::Listener>> Listen(const io::Address& at,
                                                       const io::ListenOptions& options) override {
    if (!life_.Alive()) return Gone();
    ASSIGN_OR_RETURN(ListenerState * state, life_.core.network->Listen(life_, at, options));
    return std::make_unique<SimListener>(life_, state);
  }
  absl::StatusOr<std::unique_ptr<io::Stream>> Connect(const io::Address& to, Monotonic deadline,
                                                      const io::StreamOptions& options) override {
    if (!life_.Alive()) return Gone();
    ASSIGN_OR_RETURN(const uint64_t id, life_.core.network->Connect(life_, to, deadline, options));
    return std::make_unique<SimStream>(life_, id, 0);
  }
  absl::StatusOr<std::vector<std::string>> Resolve(std::string_view name, Monotonic) override {
    if (!life_.Alive()) return Gone();
    return life_.core.network->Resolve(life_, name);
  }

 private:
  Life& life_;
};

}  // namespace

std::unique_ptr<io::Network> MakeNetworkView(Life& life) {
  return std::make_unique<NetworkView>(life);
}

SimNetwork::SimNetwork(Core& core) : core_(core), random_(core.root.Fork("network")) {}

Connection* SimNetwork::Find(uint64_t id) {
  const size_t slot = id & 0xffffffff;
  if (slot >= slots_.size()) return nullptr;
  Connection* const connection = slots_[slot].get();
  return connection->id == id ? connection : nullptr;
}

Connection& SimNetwork::NewConnection() {
  uint32_t slot;
  if (free_slots_.empty()) {
    slot = static_cast<uint32_t>(slots_.size());
    slots_.push_back(std::make_unique<Connection>());
  } else {
    slot = free_slots_.back();
    free_slots_.pop_back();
  }
  Connection& connection = *slots_[slot];
  connection.id = ++last_generation_ << 32 | slot;
  return connection;
}

void SimNetwork::Free(Connection& connection) {
  free_slots_.push_back(static_cast<uint32_t>(connection.id & 0xffffffff));
  Wake(connection.connecter);
  // Pipes keep their room for the next connection unless they grew large.
  std::string pipes[2] = {std::move(connection.side[0].pipe), std::move(connection.side[1].pipe)};
  connection = Connection{};
  for (int i = 0; i < 2; ++i) {
    if (pipes[i].capacity() > kCompactBytes) continue;
    pipes[i].clear();
    connection.side[i].pipe = std::move(pipes[i]);
  }
}

void SimNetwork::FreeIfClosed(Connection& connection) {
  if (!connection.side[0].open && !connection.side[1].open) Free(connection);
}

template <typename F>
void SimNetwork::ForEach(F visit) {
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (slots_[i]->id != 0) visit(*slots_[i]);
  }
}

void SimNetwork::Wake(io::TaskRef& task) {
  if (task) core_.Unpark(std::exchange(task, io::TaskRef{}));
}

// --------------------------------------------------------------------------------------- names

absl::StatusOr<std::vector<std::string>> SimNetwork::Resolve(Life& life, std::string_view name) {
  if (LooksLiteral(name)) return std::vector<std::string>{std::string(name)};
  if (name == "localhost") return std::vector<std::string>{"127.0.0.1"};
  for (const auto& host : core_.hosts) {
    if (host->name != name) continue;
    if (host->stale_name && host.get() != &life.host) {
      // An address of a host of the past.
      core_.Bite(host->stale_name_by);
      return std::vector<std::string>{"10.255.255." + std::to_string(host->id.value() & 255)};
    }
    return std::vector<std::string>{host->address};
  }
  return absl::NotFoundError(absl::StrFormat(
      "host name \"%s\": unknown; check the spelling, or give an address", base::Abseil(name)));
}

absl::StatusOr<ListenerState*> SimNetwork::Listen(Life& life, const io::Address& at,
                                                  const io::ListenOptions& options) {
  ASSIGN_OR_RETURN(const std::vector<std::string> literals, Resolve(life, at.host));
  const std::string& literal = literals.front();
  if (!IsLoopback(literal) && !IsAny(literal) && literal != life.host.address) {
    return absl::InvalidArgumentError(
        absl::StrFormat("listen at %s: not an address of this host; use %s or 127.0.0.1",
                        at.ToString(), life.host.address));
  }
  uint16_t port = at.port;
  const auto taken = [&](uint16_t candidate) {
    const auto it = listeners_.find({life.host.id.value(), candidate});
    if (it == listeners_.end()) return false;
    for (const auto& other : it->second) {
      if (other->address.host == literal || IsAny(other->address.host) || IsAny(literal))
        return true;
    }
    return false;
  };
  if (port == 0) {
    for (int tries = 0; tries < 28'000; ++tries) {
      last_port_ = last_port_ >= 60'999 ? uint16_t{32'768} : static_cast<uint16_t>(last_port_ + 1);
      if (!taken(last_port_)) break;
    }
    port = last_port_;
  }
  if (taken(port)) {
    return absl::AlreadyExistsError(absl::StrFormat(
        "listen at %s: the port is in use; stop who uses it, or choose another port (0 for any)",
        at.ToString()));
  }
  auto state = std::make_unique<ListenerState>();
  state->id = ++last_listener_;
  state->life = &life;
  state->host = &life.host;
  state->address = {literal, port};
  state->options = options;
  ListenerState* const result = state.get();
  listeners_[{life.host.id.value(), port}].push_back(std::move(state));
  return result;
}

void SimNetwork::CloseListener(ListenerState* listener) {
  for (const uint64_t id : std::exchange(listener->waiting, {})) {
    Connection* const connection = Find(id);
    if (connection == nullptr) continue;
    if (connection->side[0].open) Send(*connection, 0, kReset, 0);
    connection->side[1].open = false;
    connection->side[1].life = nullptr;
    FreeIfClosed(*connection);
  }
  const auto it = listeners_.find({listener->host->id.value(), listener->address.port});
  CHECK(it != listeners_.end());
  std::erase_if(it->second, [listener](const auto& owned) { return owned.get() == listener; });
  if (it->second.empty()) listeners_.erase(it);
}

// ------------------------------------------------------------------------------------- connect

absl::StatusOr<uint64_t> SimNetwork::Connect(Life& life, const io::Address& to, Monotonic deadline,
                                             const io::StreamOptions& options) {
  absl::StatusOr<std::vector<std::string>> literals = Resolve(life, to.host);
  if (!literals.ok()) return literals.status();
  const std::string& literal = literals->front();
  HostState* target = nullptr;
  if (IsLoopback(literal) || IsAny(literal)) {
    target = &life.host;
  } else {
    for (const auto& host : core_.hosts) {
      if (host->address == literal) target = host.get();
    }
  }
  Connection& connection = NewConnection();
  const uint64_t id = connection.id;
  connection.target_port = to.port;
  connection.target_address = literal;
  Side& mine = connection.side[0];
  mine.host = &life.host;
  mine.life = &life;
  mine.open = true;
  mine.peer_timeout = options.peer_timeout;
  last_port_ = last_port_ >= 60'999 ? uint16_t{32'768} : static_cast<uint16_t>(last_port_ + 1);
  mine.address = {IsLoopback(literal) ? literal : life.host.address, last_port_};
  Side& theirs = connection.side[1];
  theirs.host = target;
  theirs.address = {literal, to.port};
  // An address that nobody has swallows what is sent to it.
  if (target != nullptr) Send(connection, 1, kSyn, 0);
  for (;;) {
    connection.connecter = core_.current()->ref();
    io::Wake wake;
    try {
      wake = life.env->tasks().Park(deadline, {"connect to", to.host});
    } catch (...) {
      if (Connection* const now = Find(id); now != nullptr && !life.dead())
        Leave(*now, 0, "cancelled");
      throw;
    }
    Connection* const now = Find(id);
    if (wake == io::Wake::kCancelled) {
      if (now != nullptr && !life.dead()) Leave(*now, 0, "cancelled");
      return Ending();
    }
    if (now != nullptr && now->established && !now->side[0].broken) return id;
    if (now == nullptr || now->side[0].broken) {
      const bool refused = now != nullptr && now->refused;
      if (now != nullptr) Close(*now, 0);
      return absl::UnavailableError(
          absl::StrFormat("connect to %s: %s", to.ToString(),
                          refused ? "refused; is anything listening there?" : "reset by peer"));
    }
    if (wake == io::Wake::kTimeout) {
      Abort(*now, 0, "connect timed out");
      return absl::DeadlineExceededError(
          absl::StrFormat("connect to %s: no answer until the deadline", to.ToString()));
    }
  }
}

void SimNetwork::OnSyn(Connection& connection) {
  Side& theirs = connection.side[1];
  const auto it = listeners_.find({theirs.host->id.value(), connection.target_port});
  ListenerState* listener = nullptr;
  if (it != listeners_.end()) {
    for (const auto& candidate : it->second) {
      const std::string& at = candidate->address.host;
      if (at == connection.target_address || IsAny(at) ||
          (IsLoopback(at) && IsLoopback(connection.target_address))) {
        listener = candidate.get();
      }
    }
  }
  const bool struck = theirs.host->refuses.numerator > 0 && random_.Chance(theirs.host->refuses);
  if (struck && listener != nullptr) core_.Bite(theirs.host->refuses_by);
  if (listener == nullptr || listener->life->ending_ || struck) {
    connection.refused = true;
    Send(connection, 0, kReset, 0);
    return;
  }
  if (listener->waiting.size() >= static_cast<size_t>(listener->options.backlog)) {
    // Dropped; the connecting kernel asks again.
    core_.PushLight(core_.now() + core_.options.network.syn_retry, this, connection.id,
                    Pack(kSyn, 1, 0));
    return;
  }
  theirs.open = true;
  theirs.life = listener->life;
  theirs.peer_timeout = listener->options.stream.peer_timeout;
  listener->waiting.push_back(connection.id);
  Wake(listener->accepter);
  Send(connection, 0, kSynAck, 0);
}

// ------------------------------------------------------------------------------------ segments

bool SimNetwork::Reachable(const HostState& from, const HostState& to) const {
  if (!from.powered || !to.powered) return false;
  const LinkTrouble* const link = from.LinkTo(to);
  return link == nullptr || (!link->cut && !link->clogged);
}

bool SimNetwork::AcksReach(const HostState& from, const HostState& to) {
  if (!Reachable(from, to)) return false;
  const LinkTrouble* const link = to.LinkTo(from);
  if (link == nullptr || !link->acks_lost) [[likely]]
    return true;
  core_.Bite(link->acks_lost_by);
  return false;
}

Duration SimNetwork::Latency(const HostState& from, const HostState& to) {
  const NetworkModel& model = core_.options.network;
  const uint64_t draw =
      random_
          .Next();  // one draw decides both: the high half the place in the range, the low the rest
  const auto within = [draw](Duration low, Duration high) {
    const auto span = static_cast<unsigned __int128>((high - low).count() + 1);
    return low + Duration(static_cast<int64_t>((span * (draw >> 32)) >> 32));
  };
  if (&from == &to) return within(Duration::zero(), model.loopback_high);
  if (latency_.has_value()) {
    const Duration took = within(latency_->first, latency_->second);
    if (took > model.latency_high) core_.Bite(latency_by_);
    return took;
  }
  const bool slow =
      model.slow_message.numerator > 0 &&
      (draw & 0xffffffff) % model.slow_message.denominator < model.slow_message.numerator;
  return slow ? within(model.latency_high, std::max(model.latency_high, model.latency_slow))
              : within(model.latency_low, model.latency_high);
}

void SimNetwork::Send(Connection& connection, int to, Kind kind, uint64_t value) {
  HostState& from_host = *connection.side[1 - to].host;
  Side& receiver = connection.side[to];
  const uint64_t packed = Pack(kind, to, value);
  if (!Reachable(from_host, *receiver.host) || !receiver.stuck.empty()) {
    if (const LinkTrouble* const link = from_host.LinkTo(*receiver.host); link != nullptr) {
      if (link->cut) core_.Bite(link->cut_by);
      if (link->clogged) core_.Bite(link->clogged_by);
    }
    receiver.stuck.push_back(
        packed);  // the sender's kernel sends it again until it is heard or gives up
    return;
  }
  Monotonic at = core_.now();
  if (kind == kData && &from_host != receiver.host) {
    const uint64_t rate = from_host.bandwidth.value_or(core_.options.network.bytes_per_second);
    from_host.link_free_at = std::max(from_host.link_free_at, at) +
                             Duration(static_cast<int64_t>(value * 1'000'000'000 / rate));
    at = from_host.link_free_at;
    if (from_host.bandwidth.has_value() && at > core_.now() + std::chrono::microseconds(100))
      core_.Bite(from_host.bandwidth_by);
  }
  if (kind == kSyn && receiver.host->connect_delay > Duration::zero()) {
    core_.Bite(receiver.host->connect_delay_by);
    at += receiver.host->connect_delay;
  }
  at = std::max(at + Latency(from_host, *receiver.host), receiver.last_arrival);
  receiver.last_arrival = at;
  core_.PushLight(at, this, connection.id, packed);
}

void SimNetwork::SendBytes(Connection& connection, int to, std::string_view bytes) {
  Side& receiver = connection.side[to];
  HostState& from_host = *connection.side[1 - to].host;
  LinkTrouble* link = nullptr;
  if (!from_host.links.empty()) [[unlikely]] {
    const auto it = from_host.links.find(receiver.host->id.value());
    if (it != from_host.links.end()) link = &it->second;
  }
  bool reset = false;
  if (link != nullptr && link->reset_after.has_value()) {
    reset = *link->reset_after <= bytes.size();
    if (reset) bytes = bytes.substr(0, *link->reset_after);
    *link->reset_after -= bytes.size();
  }
  receiver.pipe.append(bytes);
  if (link != nullptr && link->flip_bits > 0 && !bytes.empty() &&
      random_.Chance({1, link->flip_one_in})) {
    core_.Bite(link->flip_by);
    for (uint64_t i = 0; i < link->flip_bits; ++i) {
      const uint64_t bit = random_.Between(uint64_t{0}, bytes.size() * 8 - 1);
      char& byte = receiver.pipe[receiver.pipe.size() - bytes.size() + bit / 8];
      byte = static_cast<char>(byte ^ (1 << bit % 8));
    }
  }
  receiver.sent_total += bytes.size();
  ++core_.counts.messages;
  core_.counts.message_bytes += bytes.size();
  core_.Note(kNoteSend, base::Hash64(bytes));
  if (core_.tracing()) {
    core_.TraceLine(
        absl::StrFormat("send %s -> %s %d bytes %016x", connection.side[1 - to].address.ToString(),
                        receiver.address.ToString(), bytes.size(), base::Hash64(bytes)));
  }
  if (!bytes.empty()) Send(connection, to, kData, bytes.size());
  if (reset) {
    link->reset_after.reset();
    core_.Bite(link->reset_by);
    Send(connection, to, kReset, 0);
    Break(connection, 1 - to, "reset by peer");
  }
}

void SimNetwork::SendFin(Connection& connection, int to) {
  connection.side[1 - to].sent_fin = true;
  Send(connection, to, kFin, 0);
}

uint64_t SimNetwork::Window(const Connection& connection, int to) const {
  const Side& receiver = connection.side[to];
  const uint64_t outstanding = receiver.sent_total - receiver.acknowledged;
  const uint64_t window = core_.options.network.window_bytes;
  return outstanding >= window ? 0 : window - outstanding;
}

void SimNetwork::AfterRead(Connection& connection, int side) {
  Side& mine = connection.side[side];
  Side& peer = connection.side[1 - side];
  if (mine.begin == mine.pipe.size()) {
    mine.pipe.clear();
    mine.begin = mine.arrived = 0;
  } else if (mine.begin > kCompactBytes) {
    mine.pipe.erase(0, mine.begin);
    mine.arrived -= mine.begin;
    mine.begin = 0;
  }
  if (!AcksReach(*mine.host, *peer.host)) return;  // the window opens when the path heals
  // A writer that waits hears of the room after a latency; one that does not wait has nothing to
  // hear.
  if (peer.writer) {
    core_.PushLight(core_.now() + Latency(*mine.host, *peer.host), this, connection.id,
                    Pack(kWindow, 1 - side, mine.read_total));
  } else {
    mine.acknowledged = mine.read_total;
  }
}

void SimNetwork::Close(Connection& connection, int side) {
  Side& mine = connection.side[side];
  if (!mine.open) return;
  const bool unread = mine.arrived > mine.begin;
  mine.open = false;
  mine.life = nullptr;
  mine.reader = mine.writer = {};
  if (connection.side[1 - side].open && !mine.broken) {
    // As in TCP: bytes that nobody will read are answered with a reset.
    if (unread) {
      Send(connection, 1 - side, kReset, 0);
    } else if (!mine.sent_fin) {
      SendFin(connection, 1 - side);
    }
  }
  FreeIfClosed(connection);
}

void SimNetwork::Abort(Connection& connection, int side, const char* why) {
  Side& mine = connection.side[side];
  if (connection.side[1 - side].open && !mine.broken) Send(connection, 1 - side, kReset, 0);
  Break(connection, side, why);
  if (side == 0 && !connection.established) {
    connection.side[0].open = false;  // nobody holds it yet
    connection.side[0].life = nullptr;
    FreeIfClosed(connection);
  }
}

void SimNetwork::Leave(Connection& connection, int side, const char* why) {
  const uint64_t id = connection.id;
  Abort(connection, side, why);
  if (Connection* const left = Find(id); left != nullptr) Close(*left, side);
}

void SimNetwork::Break(Connection& connection, int side, const char* why) {
  Side& mine = connection.side[side];
  if (mine.broken) return;
  mine.broken = true;
  mine.why = why;
  Wake(mine.reader);
  Wake(mine.writer);
  if (side == 0) Wake(connection.connecter);
}

void SimNetwork::OnEvent(uint64_t a, uint64_t b) {
  Connection* const connection = Find(a);
  if (connection == nullptr) return;
  Arrive(*connection, static_cast<int>(b & 1), static_cast<Kind>(b >> 1 & 7), b >> 4);
}

void SimNetwork::Arrive(Connection& connection, int to, Kind kind, uint64_t value) {
  Side& mine = connection.side[to];
  if (kind == kSilence) {
    if (mine.silence == value && mine.open) {
      Break(connection, to, "no sign of life from the peer within its timeout");
    }
    return;
  }
  if (!mine.host->powered) {
    mine.stuck.push_back(Pack(kind, to, value));  // it went out before the power did
    return;
  }
  switch (kind) {
    case kData:
      if (!mine.open) {
        // The kernel knows no such connection, or nobody will read: a reset, and the bytes are
        // gone.
        if (connection.side[1 - to].open) Send(connection, 1 - to, kReset, 0);
        return;
      }
      mine.arrived += value;
      CHECK_LE(mine.arrived, mine.pipe.size());
      Wake(mine.reader);
      return;
    case kFin:
      mine.saw_fin = true;
      Wake(mine.reader);
      return;
    case kReset:
      Break(connection, to, "reset by peer");
      return;
    case kSyn:
      if (connection.side[0].open) OnSyn(connection);
      return;
    case kSynAck:
      connection.established = true;
      Wake(connection.connecter);
      return;
    case kWindow: {
      Side& receiver = connection.side[1 - to];
      receiver.acknowledged = std::max(receiver.acknowledged, value);
      Wake(mine.writer);
      return;
    }
    case kSilence:
      return;
  }
}

// ------------------------------------------------------------------------------------- outages

void SimNetwork::WatchSilence(Connection& connection) {
  for (int side = 0; side < 2; ++side) {
    Side& mine = connection.side[side];
    if (!mine.open || !mine.host->powered || mine.broken) continue;
    core_.PushLight(core_.now() + mine.peer_timeout, this, connection.id,
                    Pack(kSilence, side, ++mine.silence));
  }
}

// The path is whole again: what was held back is sent again, not all at once but when its
// retransmission timer says so.
void SimNetwork::Unstick(Connection& connection, bool at_once) {
  const uint64_t id = connection.id;
  for (int to = 0; to < 2; ++to) {
    Side& receiver = connection.side[to];
    if (receiver.host == nullptr || connection.side[1 - to].host == nullptr) continue;
    if (!Reachable(*connection.side[1 - to].host, *receiver.host)) continue;
    ++receiver.silence;
    ++connection.side[1 - to].silence;
    if (!receiver.stuck.empty()) {
      Monotonic at = core_.now();
      if (!at_once) at += random_.Between(Duration::zero(), Duration(std::chrono::seconds(1)));
      at = std::max(at, receiver.last_arrival);
      for (const uint64_t packed : std::exchange(receiver.stuck, {}))
        core_.PushLight(at, this, id, packed);
      receiver.last_arrival = at;
    }
    // Reads that the peer could not hear of.
    if (Side& peer = connection.side[1 - to];
        receiver.acknowledged < receiver.read_total && AcksReach(*receiver.host, *peer.host)) {
      core_.PushLight(core_.now() + Latency(*receiver.host, *peer.host), this, id,
                      Pack(kWindow, 1 - to, receiver.read_total));
    }
  }
  // A host that lost its power in between knows nothing of the connection: whatever the peer sends
  // next, data or a keep-alive, is answered with a reset.
  for (int side = 0; side < 2; ++side) {
    const Side& mine = connection.side[side];
    Side& peer = connection.side[1 - side];
    if (!mine.vanished || !peer.open || !Reachable(*mine.host, *peer.host)) continue;
    ++peer.silence;
    core_.PushLight(core_.now() + random_.Between(Duration::zero(), peer.peer_timeout), this, id,
                    Pack(kReset, 1 - side, 0));
  }
  // Still silent the other way round.
  const Side& a = connection.side[0];
  const Side& b = connection.side[1];
  if (a.host != nullptr && b.host != nullptr &&
      (!Reachable(*a.host, *b.host) || !Reachable(*b.host, *a.host))) {
    WatchSilence(connection);
  }
}

template <typename F>
void SimNetwork::ForEachBetween(const HostState& a, const HostState& b, F visit) {
  ForEach([&](Connection& connection) {
    const HostState* const x = connection.side[0].host;
    const HostState* const y = connection.side[1].host;
    if ((x == &a && y == &b) || (x == &b && y == &a)) visit(connection);
  });
}

void SimNetwork::Cut(HostState& from, HostState& to, FaultTag tag) {
  CHECK(&from != &to) << "host " << from.name << " is cut from itself";
  LinkTrouble& link = from.links[to.id.value()];
  if (std::exchange(link.cut, true)) return;
  link.cut_by = tag;
  ForEachBetween(from, to, [&](Connection& connection) { WatchSilence(connection); });
}

void SimNetwork::Heal(HostState& from, HostState& to) {
  const auto it = from.links.find(to.id.value());
  if (it == from.links.end() || !std::exchange(it->second.cut, false)) return;
  ForEachBetween(from, to, [&](Connection& connection) { Unstick(connection); });
}

void SimNetwork::Clog(HostState& from, HostState& to, FaultTag tag) {
  CHECK(&from != &to) << "host " << from.name << " is clogged towards itself";
  LinkTrouble& link = from.links[to.id.value()];
  if (!std::exchange(link.clogged, true)) link.clogged_by = tag;
}

void SimNetwork::Unclog(HostState& from, HostState& to) {
  const auto it = from.links.find(to.id.value());
  if (it == from.links.end() || !std::exchange(it->second.clogged, false)) return;
  ForEachBetween(from, to, [&](Connection& connection) { Unstick(connection, /*at_once=*/true); });
}

void SimNetwork::LoseAcks(HostState& from, HostState& to, FaultTag tag) {
  CHECK(&from != &to) << "host " << from.name << " loses its own word";
  LinkTrouble& link = from.links[to.id.value()];
  if (std::exchange(link.acks_lost, true)) return;
  link.acks_lost_by = tag;
  // The sending kernel counts on an answer to its bytes or its keep-alives.
  ForEachBetween(from, to, [&](Connection& connection) {
    const int side = connection.side[0].host == &from ? 0 : 1;
    Side& mine = connection.side[side];
    if (!mine.open || mine.broken) return;
    core_.PushLight(core_.now() + mine.peer_timeout, this, connection.id,
                    Pack(kSilence, side, ++mine.silence));
  });
}

void SimNetwork::RestoreAcks(HostState& from, HostState& to) {
  const auto it = from.links.find(to.id.value());
  if (it == from.links.end() || !std::exchange(it->second.acks_lost, false)) return;
  ForEachBetween(from, to, [&](Connection& connection) { Unstick(connection); });
}

void SimNetwork::ResetBetween(HostState& a, HostState& b, FaultTag tag) {
  ForEachBetween(a, b, [&](Connection& connection) {
    if (connection.side[0].broken && connection.side[1].broken) return;
    core_.Bite(tag);
    Break(connection, 0, "reset by peer");
    Break(connection, 1, "reset by peer");
  });
}

void SimNetwork::CloseBetween(HostState& a, HostState& b, FaultTag tag) {
  ForEachBetween(a, b, [&](Connection& connection) {
    Side& mine = connection.side[0];
    if (!connection.established || !mine.open || mine.broken) return;
    core_.Bite(tag);
    if (connection.side[1].open && !mine.sent_fin) SendFin(connection, 1);
    Break(connection, 0, "closed");
  });
}

void SimNetwork::OnPowerOff(HostState& host) {
  std::vector<ListenerState*> gone;
  for (auto& [key, group] : listeners_) {
    for (const auto& listener : group) {
      if (listener->host == &host) gone.push_back(listener.get());
    }
  }
  ForEach([&](Connection& connection) {
    for (int side = 0; side < 2; ++side) {
      Side& mine = connection.side[side];
      if (mine.host != &host || !mine.open) continue;
      mine.open = false;
      mine.vanished = true;
      mine.life = nullptr;
      mine.reader = mine.writer = {};
    }
    const bool touched = connection.side[0].host == &host || connection.side[1].host == &host;
    if (!touched) return;
    WatchSilence(connection);
    FreeIfClosed(connection);
  });
  for (ListenerState* listener : gone) {
    listener->waiting.clear();
    CloseListener(listener);
  }
}

void SimNetwork::OnPowerOn(HostState& host) {
  ForEach([&](Connection& connection) {
    for (int side = 0; side < 2; ++side) {
      Side& mine = connection.side[side];
      if (mine.host != &host || !mine.vanished) continue;
      mine.stuck.clear();  // nobody is there to take it
    }
    if (connection.side[0].host == &host || connection.side[1].host == &host) Unstick(connection);
  });
}

void SimNetwork::OnLifeEnded(Life& life) {
  std::vector<ListenerState*> gone;
  for (auto& [key, group] : listeners_) {
    for (const auto& listener : group) {
      if (listener->life == &life) gone.push_back(listener.get());
    }
  }
  for (ListenerState* listener : gone) CloseListener(listener);
  ForEach([&](Connection& connection) {
    for (int side = 0; side < 2; ++side) {
      if (connection.id != 0 && connection.side[side].life == &life) Close(connection, side);
    }
  });
}

}  // namespace weir::sim
