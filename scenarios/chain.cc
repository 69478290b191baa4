#include "scenarios/chain.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/io/sync.h"
#include "scenarios/calls.h"
#include "scenarios/wal_file.h"

namespace weir::scenarios {
namespace {

using namespace std::chrono_literals;

constexpr io::Duration kBeatEvery = 50ms;
constexpr io::Duration kTick = 100ms;  // of the master
constexpr int kSilentTicks = 3;
constexpr io::Duration kCallTimeout = 200ms;
constexpr io::Duration kAckTimeout = 150ms;  // how long a node waits for those behind it
constexpr io::Duration kForwardTimeout = 400ms;
constexpr io::Duration kCommitTimeout = 800ms;
constexpr io::Duration kClientTimeout = 1s;
constexpr io::Duration kRetryAfter = 20ms;
constexpr uint64_t kEntriesPerMessage = 16;

enum Request : uint64_t { kJoin = 1, kBeat, kForward, kPut, kRead };

int64_t Signed(uint64_t number) { return static_cast<int64_t>(number); }

// A place in the chain. `joined` is drawn by the node whenever it joins: a place that was given to
// an older request of its own is none.
struct Link {
  uint64_t node = 0;
  uint64_t joined = 0;
  bool synced = false;   // has all that was acknowledged
  bool dropped = false;  // was told to drop its log when it joined
};

// Who is in the chain, head first.
struct Chained {
  uint64_t epoch = 0;
  std::vector<Link> links;

  const Link* Find(uint64_t node) const {
    const auto it = std::find_if(links.begin(), links.end(),
                                 [&](const Link& link) { return link.node == node; });
    return it == links.end() ? nullptr : &*it;
  }
  Link* Find(uint64_t node) { return const_cast<Link*>(std::as_const(*this).Find(node)); }
  void Remove(uint64_t node) {
    std::erase_if(links, [&](const Link& link) { return link.node == node; });
  }
  // Whether somebody else has all that was acknowledged.
  bool SyncedBesides(uint64_t node) const {
    return std::any_of(links.begin(), links.end(),
                       [&](const Link& link) { return link.node != node && link.synced; });
  }
  void AppendTo(Numbers& numbers) const {
    numbers.push_back(epoch);
    for (const Link& link : links) {
      const uint64_t flags = (link.synced ? 1 : 0) + (link.dropped ? 2 : 0);
      numbers.insert(numbers.end(), {link.node, link.joined, flags});
    }
  }
  static Chained Decode(const Numbers& numbers, size_t from) {
    Chained chain;
    if (from < numbers.size()) chain.epoch = numbers[from];
    for (size_t i = from + 1; i + 2 < numbers.size(); i += 3) {
      chain.links.push_back({.node = numbers[i],
                             .joined = numbers[i + 1],
                             .synced = (numbers[i + 2] & 1) != 0,
                             .dropped = (numbers[i + 2] & 2) != 0});
    }
    return chain;
  }
};

// -------------------------------------------------------------------------------------------------
// master

class Master {
 public:
  Master(io::Env& env, const Role& role) : env_(env), role_(role), mutex_(env.tasks, "master") {}

  absl::Status Run() {
    ASSIGN_OR_RETURN(file_, WalFile::Open(env_, "epochs", ""));
    if (!file_->recovered().empty()) {
      chain_ = Chained::Decode(file_->recovered().back(), 0);
    }
    return Serve(env_, role_.addresses[0], [&](const Numbers& request) { return Answer(request); },
                 {[&] { return Watch(); }});
  }

 private:
  absl::Status Enter(Chained next) {
    ++next.epoch;
    Numbers record;
    next.AppendTo(record);
    RETURN_IF_ERROR(file_->Append(record));
    chain_ = std::move(next);
    env_.trace.Hit(base::Probe::kChainEpoch, {Signed(chain_.epoch), Signed(chain_.links.size())});
    return absl::OkStatus();
  }

  absl::StatusOr<Numbers> Answer(const Numbers& request) {
    const io::MutexLock lock(mutex_);
    if (!lock.held()) return absl::CancelledError("the master is ending");
    const uint64_t node = request[1];
    const uint64_t joined = request[2];
    silent_[node] = 0;
    const Link* const link = chain_.Find(node);
    const bool known = link != nullptr && link->joined == joined;
    if (request[0] == kJoin && !known) {
      if (chain_.epoch == 0) {
        RETURN_IF_ERROR(Found(node, joined));
      } else {
        RETURN_IF_ERROR(Add(node, joined));
      }
    } else if (request[0] == kBeat && known && !link->synced && request[3] == chain_.epoch &&
               request[4] == 1) {
      Chained next = chain_;
      next.Find(node)->synced = true;
      RETURN_IF_ERROR(Enter(std::move(next)));
    }
    Numbers reply;
    chain_.AppendTo(reply);
    return reply;
  }

  // The chain begins when all nodes are there: nothing is ever on fewer. They have nothing, which
  // is all that there is.
  absl::Status Found(uint64_t node, uint64_t joined) {
    founders_[node] = joined;
    if (founders_.size() + 1 < role_.addresses.size()) return absl::OkStatus();
    Chained first;
    for (const auto& [founder, number] : founders_)
      first.links.push_back({.node = founder, .joined = number, .synced = true});
    return Enter(std::move(first));
  }

  // At the end, to copy what the others have; but who alone has it all keeps its place.
  absl::Status Add(uint64_t node, uint64_t joined) {
    Chained next = chain_;
    if (next.SyncedBesides(node)) {
      next.Remove(node);
      next.links.push_back({.node = node, .joined = joined, .dropped = true});
    } else {
      Link* const link = next.Find(node);
      if (link == nullptr) return absl::DataLossError("the chain has nobody who is synced");
      link->joined = joined;
      link->dropped = false;
    }
    return Enter(std::move(next));
  }

  // Counts its own ticks, not time: a master that stood still has not listened. Takes out one node
  // at a time, and only while it hears another that is synced, so that a master whom nobody reaches
  // changes nothing.
  absl::Status Watch() {
    for (;;) {
      env_.Sleep(kTick);
      const io::MutexLock lock(mutex_);
      if (!lock.held()) return absl::OkStatus();
      uint64_t gone = 0;
      for (const Link& link : chain_.links) {
        if (++silent_[link.node] > kSilentTicks && gone == 0) gone = link.node;
      }
      const bool hears =
          std::any_of(chain_.links.begin(), chain_.links.end(), [&](const Link& link) {
            return link.node != gone && link.synced && silent_[link.node] <= 1;
          });
      if (gone == 0 || !hears) continue;
      Chained next = chain_;
      next.Remove(gone);
      RETURN_IF_ERROR(Enter(next));
      env_.trace.Hit(base::Probe::kChainRemoved, {Signed(gone), Signed(chain_.epoch)});
    }
  }

  io::Env& env_;
  const Role& role_;
  io::Mutex mutex_;
  std::unique_ptr<WalFile> file_;
  Chained chain_;
  std::map<uint64_t, uint64_t> founders_;
  std::map<uint64_t, int> silent_;  // ticks since it was heard
};

// --------------------------------------------------------------------------------------------------
// node

class Node {
 public:
  Node(io::Env& env, const Role& role)
      : env_(env),
        role_(role),
        self_(role.numbers[0]),
        random_(env.random.Fork("join")),
        master_(env, role.addresses[0]),
        mutex_(env.tasks, "node"),
        changed_(env.tasks, "node changed"),
        ask_(env.tasks, "ask the master") {}

  absl::Status Run() {
    RETURN_IF_ERROR(OpenLatest());
    RETURN_IF_ERROR(Join());
    return Serve(env_, role_.addresses[self_],
                 [&](const Numbers& request) { return Answer(request); },
                 {[&] { return Beat(); }, [&] { return Forward(); }});
  }

 private:
  // ---- The log and the chain.
  absl::Status OpenLatest() {
    ASSIGN_OR_RETURN(const std::vector<std::string> names, env_.disk.List(""));
    uint64_t latest = 0;
    for (const std::string& name : names) {
      uint64_t number = 0;
      if (name.substr(0, 4) == "log-" && absl::SimpleAtoi(name.substr(4), &number))
        latest = std::max(latest, number);
    }
    return OpenLog(latest);
  }

  absl::Status OpenLog(uint64_t number) {
    const bool unsynced = role_.bug.ends_with("_in_memory");
    ASSIGN_OR_RETURN(file_, WalFile::Open(env_, absl::StrFormat("log-%d", number),
                                          unsynced ? "ack_before_sync" : ""));
    log_ = file_->recovered();
    acked_ = 0;
    next_ = 0;
    ++generation_;
    return absl::OkStatus();
  }

  absl::Status Join() {
    joined_ = random_.Next() >> 16;
    Chained chain;
    while (chain.Find(self_) == nullptr || chain.Find(self_)->joined != joined_) {
      const absl::StatusOr<Numbers> reply = master_.Call({kJoin, self_, joined_}, kCallTimeout);
      if (reply.ok()) chain = Chained::Decode(*reply, 0);
      if (!reply.ok() || chain.epoch == 0) env_.Sleep(kRetryAfter);
    }
    if (chain.Find(self_)->dropped) RETURN_IF_ERROR(OpenLog(chain.epoch));
    synced_ = chain.Find(self_)->synced;
    chain_ = std::move(chain);
    env_.trace.Hit(base::Probe::kChainJoined, {Signed(self_), Signed(chain_.epoch)});
    changed_.NotifyAll();
    return absl::OkStatus();
  }

  absl::Status Beat() {
    for (;;) {
      (void)ask_.Wait(env_.Deadline(kBeatEvery));
      ask_.Reset();
      const absl::StatusOr<Numbers> reply = master_.Call(
          {kBeat, self_, joined_, chain_.epoch, synced_ ? uint64_t{1} : 0}, kCallTimeout);
      if (!reply.ok()) continue;
      io::MutexLock lock(mutex_);
      if (!lock.held()) return absl::OkStatus();
      Chained chain = Chained::Decode(*reply, 0);
      if (chain.epoch <= chain_.epoch) continue;
      if (chain.Find(self_) == nullptr || chain.Find(self_)->joined != joined_) {
        RETURN_IF_ERROR(Join());
        continue;
      }
      chain_ = std::move(chain);
      next_ = acked_;
      changed_.NotifyAll();
    }
  }

  // 0: nobody, self is the tail.
  uint64_t Successor() const {
    for (size_t i = 0; i + 1 < chain_.links.size(); ++i) {
      if (chain_.links[i].node == self_) return chain_.links[i + 1].node;
    }
    return 0;
  }
  uint64_t Head() const { return chain_.links.empty() ? 0 : chain_.links.front().node; }

  absl::Status Append(const Numbers& entry) {
    env_.trace.Hit(base::Probe::kChainAppendBegin, {Signed(self_), Signed(log_.size() + 1)});
    RETURN_IF_ERROR(file_->Append(entry));
    log_.push_back(entry);
    env_.trace.Hit(base::Probe::kChainAppendEnd, {Signed(self_), Signed(log_.size())});
    return absl::OkStatus();
  }

  void Acknowledge(uint64_t count) {
    if (count <= acked_) return;
    acked_ = count;
    env_.trace.Hit(base::Probe::kChainAcknowledged, {Signed(self_), Signed(acked_)});
    changed_.NotifyAll();
  }

  // Waits until what is in the log now is acknowledged from behind. False: it was not.
  bool WaitAcknowledged(io::MutexLock& lock, uint64_t count, io::Duration timeout) {
    const uint64_t generation = generation_;
    const io::Monotonic deadline = env_.Deadline(timeout);
    io::Wake wake = io::Wake::kUnparked;
    while (generation_ == generation && acked_ < count && wake == io::Wake::kUnparked) {
      if (Successor() == 0) Acknowledge(log_.size());
      if (acked_ < count) wake = changed_.Wait(lock, deadline);
    }
    return lock.held() && generation_ == generation && acked_ >= count;
  }

  // ---- To the successor.
  absl::Status Forward() {
    std::map<uint64_t, std::unique_ptr<Caller>> callers;
    io::MutexLock lock(mutex_);
    while (lock.held()) {
      const uint64_t successor = Successor();
      if (successor == 0) Acknowledge(log_.size());
      if (successor == 0 || (acked_ == log_.size() && next_ == log_.size())) {
        if (changed_.Wait(lock, env_.Deadline(kBeatEvery)) == io::Wake::kCancelled) break;
        if (successor == 0) continue;
      }
      const uint64_t epoch = chain_.epoch;
      const uint64_t generation = generation_;
      const uint64_t from = std::min<uint64_t>(next_, log_.size());
      Numbers request = {kForward, epoch, self_, synced_ ? uint64_t{1} : 0, log_.size(), from};
      for (uint64_t i = from; i < std::min<uint64_t>(log_.size(), from + kEntriesPerMessage); ++i)
        request.insert(request.end(), log_[i].begin(), log_[i].end());
      auto& caller = callers[successor];
      if (caller == nullptr) caller = std::make_unique<Caller>(env_, role_.addresses[successor]);
      lock.Unlock();
      const absl::StatusOr<Numbers> reply = caller->Call(request, kForwardTimeout);
      if (!reply.ok()) env_.Sleep(kRetryAfter);
      (void)lock.Lock();
      if (!lock.held()) break;
      if (generation_ != generation || (chain_.epoch != epoch && role_.bug != "no_epoch_check"))
        continue;
      if (!reply.ok()) {
        if (role_.bug == "resend_without_dedup") next_ = acked_;
        continue;
      }
      if ((*reply)[0] == 0) {
        ask_.Set();
        if (changed_.Wait(lock, env_.Deadline(kRetryAfter)) == io::Wake::kCancelled) break;
        continue;
      }
      next_ = std::min<uint64_t>((*reply)[1], log_.size());
      Acknowledge(std::min<uint64_t>((*reply)[2], log_.size()));
    }
    return absl::OkStatus();
  }

  // ---- From the predecessor and from clients.
  absl::StatusOr<Numbers> Answer(const Numbers& request) {
    io::MutexLock lock(mutex_);
    if (!lock.held()) return absl::CancelledError("the node is ending");
    if (request[0] == kForward) return TakeForward(request, lock);
    if (Head() != self_ || !synced_) return Numbers{0, Head()};
    // A write goes in once, however often it is asked for; a read is as fresh as a mark that is
    // acknowledged after it came.
    const Numbers entry = request[0] == kPut ? Numbers{request[1], request[2]} : Numbers{0, 0};
    const auto there = std::find(log_.begin(), log_.end(), entry);
    uint64_t index = static_cast<uint64_t>(there - log_.begin()) + 1;
    if (request[0] == kRead || there == log_.end()) {
      RETURN_IF_ERROR(Append(entry));
      index = log_.size();
      changed_.NotifyAll();
    }
    if (!WaitAcknowledged(lock, index, kCommitTimeout)) return Numbers{0, 0};
    Numbers reply = {1};
    if (request[0] == kRead) {
      for (uint64_t i = 0; i < index; ++i)
        reply.insert(reply.end(), log_[i].begin(), log_[i].end());
    }
    return reply;
  }

  absl::StatusOr<Numbers> TakeForward(const Numbers& request, io::MutexLock& lock) {
    const bool current = request[1] == chain_.epoch || role_.bug == "no_epoch_check";
    if (!current) {
      if (request[1] > chain_.epoch) ask_.Set();
      return Numbers{0};
    }
    uint64_t at = request[5];
    if (at > log_.size()) return Numbers{1, log_.size(), 0};
    for (size_t i = 6; i + 1 < request.size(); i += 2, ++at) {
      if (at < log_.size() && role_.bug != "resend_without_dedup") continue;
      RETURN_IF_ERROR(Append({request[i], request[i + 1]}));
    }
    changed_.NotifyAll();
    if (!synced_ && request[3] == 1 && log_.size() >= request[4]) {
      synced_ = true;
      env_.trace.Hit(base::Probe::kChainSynced, {Signed(self_), Signed(log_.size())});
      ask_.Set();
    }
    const bool all = WaitAcknowledged(lock, log_.size(), kAckTimeout);
    if (!lock.held()) return absl::CancelledError("the node is ending");
    (void)all;
    return Numbers{1, log_.size(), acked_};
  }

  io::Env& env_;
  const Role& role_;
  const uint64_t self_;
  base::Random random_;
  Caller master_;
  io::Mutex mutex_;
  io::CondVar changed_;
  io::Event ask_;
  std::unique_ptr<WalFile> file_;
  std::vector<Numbers> log_;  // {client, sequence}
  uint64_t acked_ = 0;        // by all behind
  uint64_t next_ = 0;         // how many the successor is known to have
  uint64_t generation_ = 0;   // of the log: a new one when it was dropped
  bool synced_ = false;
  uint64_t joined_ = 0;
  Chained chain_;  // has this node, as it joined last
};

// -------------------------------------------------------------------------------------------------------
// client

absl::Status RunClient(io::Env& env, const Role& role) {
  const uint64_t self = role.numbers[0];
  std::vector<std::unique_ptr<Caller>> nodes;
  for (size_t i = 1; i < role.addresses.size(); ++i)
    nodes.push_back(std::make_unique<Caller>(env, role.addresses[i]));
  size_t at = 0;
  const auto ask = [&](const Numbers& request) {
    for (;;) {
      absl::StatusOr<Numbers> reply = nodes[at]->Call(request, kClientTimeout);
      if (reply.ok() && (*reply)[0] == 1) return *std::move(reply);
      const uint64_t head = reply.ok() ? (*reply)[1] : 0;
      at = head >= 1 && head <= nodes.size() && head != at + 1 ? head - 1 : (at + 1) % nodes.size();
      env.Sleep(kRetryAfter);
    }
  };
  for (uint64_t sequence = 1; sequence <= role.numbers[1]; ++sequence) ask({kPut, self, sequence});
  const Numbers log = ask({kRead});
  uint64_t seen = 0;
  for (size_t i = 1; i + 1 < log.size(); i += 2) {
    if (log[i] != self) continue;
    if (log[i + 1] != ++seen) {
      return absl::DataLossError(absl::StrFormat(
          "client %d: write %d stands where write %d belongs", self, log[i + 1], seen));
    }
  }
  if (seen == role.numbers[1]) return absl::OkStatus();
  return absl::DataLossError(absl::StrFormat("client %d: %d writes are there, %d were acknowledged",
                                             self, seen, role.numbers[1]));
}

}  // namespace

absl::Status Chain(io::Env& env) {
  ASSIGN_OR_RETURN(const Role role, ParseRole(env));
  const size_t addresses = role.addresses.size();
  if (role.name == "master" && addresses >= 2) return Master(env, role).Run();
  if (role.name == "node" && role.numbers.size() == 1 && role.numbers[0] >= 1 &&
      role.numbers[0] < addresses) {
    return Node(env, role).Run();
  }
  if (role.name == "client" && role.numbers.size() == 2 && addresses >= 2)
    return RunClient(env, role);
  return absl::InvalidArgumentError(
      "chain: usage: master ADDRESSES | node NUMBER ADDRESSES | client NUMBER WRITES ADDRESSES");
}

}  // namespace weir::scenarios
