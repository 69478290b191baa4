// SimNetwork: TCP as its users know it, and no nicer. Bytes arrive late, in pieces, in order, or
// not at all; a full window stops the writer; a closed peer answers with a reset; a silent one is
// found out after peer_timeout only.
//
// A connection is two directions. Bytes wait in the direction's pipe: [read | arrived, unread | on
// their way]. A delivery moves a mark, so a byte is copied once in and once out.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "engine/io/network.h"
#include "sim/core.h"

namespace weir::sim {

// The Env's view for one process.
std::unique_ptr<io::Network> MakeNetworkView(Life& life);

// One side of a connection.
struct Side {
  HostState* host = nullptr;
  Life* life = nullptr;   // null: closed, or not accepted yet
  bool open = false;      // somebody holds this side or may still accept it
  bool vanished = false;  // its host lost power: the host no longer knows the connection
  bool sent_fin = false;
  bool saw_fin = false;
  bool broken = false;
  const char* why = "";  // why it is broken
  io::Address address;
  io::TaskRef reader;
  io::TaskRef writer;
  Duration peer_timeout{base::kPeerTimeout};
  uint64_t silence = 0;  // counts silences of the peer; a check of an earlier one is void

  // What arrives here.
  std::string pipe;
  size_t begin = 0;           // read up to here
  size_t arrived = 0;         // arrived up to here
  uint64_t acknowledged = 0;  // bytes that the peer knows to have been read; all in total counts
  uint64_t read_total = 0;
  uint64_t sent_total = 0;  // towards here
  Monotonic last_arrival{};
  std::deque<uint64_t> stuck;  // segments towards here that the cut holds back
};

struct Connection {
  uint64_t id = 0;  // slot in the low half, generation in the high half
  Side side[2];     // 0 connected, 1 listened
  bool established = false;
  bool refused = false;
  io::TaskRef connecter;
  uint16_t target_port = 0;
  std::string target_address;
};

struct ListenerState {
  uint64_t id = 0;
  Life* life = nullptr;
  HostState* host = nullptr;
  io::Address address;
  io::ListenOptions options;
  std::deque<uint64_t> waiting;  // connections
  io::TaskRef accepter;
};

class SimNetwork final : public EventSink {
 public:
  explicit SimNetwork(Core& core);

  // ---- For the views.
  absl::StatusOr<ListenerState*> Listen(Life& life, const io::Address& at,
                                        const io::ListenOptions& options);
  void CloseListener(ListenerState* listener);
  absl::StatusOr<uint64_t> Connect(Life& life, const io::Address& to, Monotonic deadline,
                                   const io::StreamOptions& options);
  absl::StatusOr<std::vector<std::string>> Resolve(Life& life, std::string_view name);
  // Null if the id is of a connection that is no more.
  Connection* Find(uint64_t id);
  void SendBytes(Connection& connection, int to, std::string_view bytes);
  void SendFin(Connection& connection, int to);
  void AfterRead(Connection& connection, int side);
  void Close(Connection& connection, int side);
  void Abort(Connection& connection, int side, const char* why);
  // The same, by who has not got a stream yet.
  void Leave(Connection& connection, int side, const char* why);
  uint64_t Window(const Connection& connection, int to) const;
  base::Random& random() { return random_; }

  // ---- For the core.
  void OnLifeEnded(Life& life);
  void OnPowerOff(HostState& host);
  void OnPowerOn(HostState& host);
  void Cut(HostState& from, HostState& to, FaultTag tag);
  void Heal(HostState& from, HostState& to);
  void Clog(HostState& from, HostState& to, FaultTag tag);
  void Unclog(HostState& from, HostState& to);
  void LoseAcks(HostState& from, HostState& to, FaultTag tag);
  void RestoreAcks(HostState& from, HostState& to);
  void ResetBetween(HostState& a, HostState& b, FaultTag tag);
  void CloseBetween(HostState& a, HostState& b, FaultTag tag);
  void SetLatency(std::optional<std::pair<Duration, Duration>> range, FaultTag tag) {
    latency_ = range;
    latency_by_ = tag;
  }
  void OnEvent(uint64_t a, uint64_t b) override;

  Core& core() { return core_; }

 private:
  enum Kind : uint64_t { kData, kFin, kReset, kSyn, kSynAck, kWindow, kSilence };
  static uint64_t Pack(Kind kind, int side, uint64_t value) {
    return value << 4 | static_cast<uint64_t>(kind) << 1 | static_cast<uint64_t>(side);
  }

  Connection& NewConnection();
  void Free(Connection& connection);
  void FreeIfClosed(Connection& connection);
  bool Reachable(const HostState& from, const HostState& to) const;
  // Whether `to` hears that its bytes have arrived at `from`; one that does not is a bite.
  bool AcksReach(const HostState& from, const HostState& to);
  Duration Latency(const HostState& from, const HostState& to);
  void Send(Connection& connection, int to, Kind kind, uint64_t value);
  void Arrive(Connection& connection, int to, Kind kind, uint64_t value);
  void OnSyn(Connection& connection);
  void Break(Connection& connection, int side, const char* why);
  void WatchSilence(Connection& connection);
  void Unstick(Connection& connection, bool at_once = false);
  template <typename F>
  void ForEachBetween(const HostState& a, const HostState& b, F visit);
  void Wake(io::TaskRef& task);
  template <typename F>
  void ForEach(F visit);

  Core& core_;
  base::Random random_;
  std::vector<std::unique_ptr<Connection>> slots_;
  std::vector<uint32_t> free_slots_;
  uint64_t last_generation_ = 0;
  std::map<std::pair<uint32_t, uint16_t>, std::vector<std::unique_ptr<ListenerState>>>
      listeners_;  // by host and port
  uint64_t last_listener_ = 0;
  std::map<std::string, HostState*, std::less<>> names_;
  uint16_t last_port_ = 32'767;
  std::optional<std::pair<Duration, Duration>> latency_;  // instead of the model's
  FaultTag latency_by_ = 0;
};

}  // namespace weir::sim
