#include "scenarios/replicated_log.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/io/framing.h"
#include "engine/io/scope.h"
#include "engine/io/sync.h"
#include "scenarios/log_format.h"

namespace weir::scenarios {
namespace {

using namespace std::chrono_literals;

constexpr io::Duration kHeartbeat = 50ms;
constexpr io::Duration kElectionLow = 300ms;
constexpr io::Duration kElectionHigh = 600ms;
constexpr io::Duration kCallTimeout = 250ms;
constexpr io::Duration kCommitTimeout = 1s;
constexpr io::Duration kRetryAfter = 20ms;
constexpr size_t kEntriesPerMessage = 64;

// Calls one replica, over one connection at a time.
class Remote {
 public:
  Remote(io::Env& env, io::Address address) : env_(env), address_(std::move(address)) {}

  absl::StatusOr<Message> Call(const Message& request, io::Duration timeout) {
    absl::StatusOr<Message> reply = TryCall(request, env_.Deadline(timeout));
    if (!reply.ok()) stream_.reset();  // it may still owe the answer
    return reply;
  }

 private:
  absl::StatusOr<Message> TryCall(const Message& request, io::Monotonic deadline) {
    if (stream_ == nullptr) {
      ASSIGN_OR_RETURN(std::unique_ptr<io::Stream> stream,
                       env_.network.Connect(address_, deadline));
      stream_ = std::make_unique<io::FramedStream>(std::move(stream));
    }
    RETURN_IF_ERROR(stream_->Write(EncodeMessage(request), deadline));
    ASSIGN_OR_RETURN(const std::string_view reply, stream_->Read(deadline));
    return DecodeMessage(reply);
  }

  io::Env& env_;
  const io::Address address_;
  std::unique_ptr<io::FramedStream> stream_;
};

// ----------------------------------------------------------------------------------------------------------
// replica

// Every change of the state below happens under `mutex_`, held until what must be durable is:
// whoever gets the mutex may take all of the log, the term and the vote as written.
class Replica {
 public:
  Replica(io::Env& env, uint64_t self, std::vector<io::Address> addresses, std::string bug)
      : env_(env),
        random_(env.random.Fork("election")),
        self_(self),
        addresses_(std::move(addresses)),
        bug_(std::move(bug)),
        mutex_(env.tasks, "replica"),
        changed_(env.tasks, "replica changed"),
        stop_(env.tasks, "stop") {
    for (uint64_t number = 1; number <= addresses_.size(); ++number) {
      if (number != self_) peers_[number] = {};
    }
  }

  absl::Status Run() {
    RETURN_IF_ERROR(Recover());
    ASSIGN_OR_RETURN(const auto listener, env_.network.Listen(addresses_[self_ - 1]));
    return io::WithScope(env_, "replica", [&](io::Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("accept", [&] { Accept(scope, *listener); }));
      RETURN_IF_ERROR(scope.Spawn("elections", [&] { HoldElections(); }));
      for (const auto& [number, peer] : peers_) {
        RETURN_IF_ERROR(scope.Spawn(absl::StrFormat("courier to %d", number),
                                    [this, number = number] { Serve(number); }));
      }
      RETURN_IF_ERROR(scope.Spawn("termination", [&] {
        if (env_.signals.WaitForTermination(base::kForever) == io::Wake::kUnparked) stop_.Set();
      }));
      (void)stop_.Wait();
      return failure_;
    });
  }

 private:
  enum class Role { kFollower, kCandidate, kLeader };

  struct Peer {
    uint64_t next = 1;      // the first entry it is not known to have
    uint64_t match = 0;     // the last entry it is known to have
    uint64_t asked_in = 0;  // the term in which its vote was asked for
    io::Monotonic due{};    // when to talk to it even if there is nothing new
  };

  uint64_t last() const { return log_.size(); }
  uint64_t TermAt(uint64_t index) const { return index == 0 ? 0 : log_[index - 1].term; }
  bool Majority(size_t count) const { return 2 * count > addresses_.size(); }

  // A disk that fails ends the replica: what it holds is unknown until it starts again.
  bool Failed(const absl::Status& status) {
    if (status.ok()) return false;
    if (failure_.ok()) failure_ = status;
    stop_.Set();
    return true;
  }

  // ---- The disk.
  absl::Status Recover() {
    absl::StatusOr<std::string> term = io::ReadFile(env_.disk, "term");
    if (term.ok()) {
      ASSIGN_OR_RETURN(term_, DecodeTerm(*term));
    } else if (term.status().code() != absl::StatusCode::kNotFound) {
      return term.status();
    }
    absl::StatusOr<std::string> bytes = io::ReadFile(env_.disk, "log");
    if (bytes.status().code() == absl::StatusCode::kNotFound) {
      RETURN_IF_ERROR(io::ReplaceFile(env_.disk, "log", kLogMagic));
      bytes = std::string(kLogMagic);
    }
    RETURN_IF_ERROR(bytes.status());
    ASSIGN_OR_RETURN(LogContent content, DecodeLog(*bytes));
    log_ = std::move(content.entries);
    ends_ = std::move(content.ends);
    Reindex();
    ASSIGN_OR_RETURN(file_, env_.disk.Open("log", io::OpenMode::kReadWrite));
    if (End() != bytes->size()) {
      env_.log.Info("log", "replica ", self_, " cuts a torn tail of ", bytes->size() - End(),
                    " bytes");
      RETURN_IF_ERROR(file_->Truncate(End()));
    }
    // What a killed process wrote and named may be in the kernel only; from here on it counts as
    // held.
    RETURN_IF_ERROR(file_->Sync());
    RETURN_IF_ERROR(env_.disk.SyncDirectory(""));
    env_.trace.Hit(base::Probe::kLogRecovered, {Signed(self_), Signed(last())});
    return absl::OkStatus();
  }

  uint64_t End() const { return ends_.empty() ? kLogMagic.size() : ends_.back(); }

  void Reindex() {
    latest_.clear();
    for (uint64_t index = 1; index <= last(); ++index) latest_[log_[index - 1].client] = index;
  }

  absl::Status SaveTerm(const TermRecord& term) {
    RETURN_IF_ERROR(io::ReplaceFile(env_.disk, "term", EncodeTerm(term)));
    term_ = term;
    return absl::OkStatus();
  }

  absl::Status Append(const std::vector<LogEntry>& entries) {
    if (entries.empty()) return absl::OkStatus();
    std::string records;
    const uint64_t begin = End();
    env_.trace.Hit(base::Probe::kLogAppendBegin, {Signed(self_), Signed(last() + 1)});
    for (const LogEntry& entry : entries) {
      AppendRecord(records, last() + 1, entry);
      log_.push_back(entry);
      ends_.push_back(begin + records.size());
      latest_[entry.client] = last();
    }
    RETURN_IF_ERROR(file_->Write(begin, records));
    RETURN_IF_ERROR(file_->Sync());
    env_.trace.Hit(base::Probe::kLogAppendEnd, {Signed(self_), Signed(last())});
    return absl::OkStatus();
  }

  absl::Status CutAfter(uint64_t index) {
    if (index < commit_) {
      return absl::DataLossError(absl::StrFormat(
          "replica %d was told to cut its log after entry %d, but entry %d is committed", self_,
          index, commit_));
    }
    log_.resize(index);
    ends_.resize(index);
    Reindex();
    return file_->Truncate(End());
  }

  // ---- Terms and roles.
  absl::Status EnterTerm(uint64_t term, Role role, uint64_t vote) {
    RETURN_IF_ERROR(SaveTerm({term, vote}));
    role_ = role;
    leader_ = 0;
    ExpectLeader();
    changed_.NotifyAll();
    return absl::OkStatus();
  }

  void ExpectLeader() {
    election_at_ = env_.Deadline(random_.Between(kElectionLow, kElectionHigh));
  }

  void HoldElections() {
    io::MutexLock lock(mutex_);
    ExpectLeader();
    while (lock.held()) {
      if (changed_.Wait(lock, role_ == Role::kLeader ? base::kForever : election_at_) ==
          io::Wake::kCancelled)
        return;
      if (role_ == Role::kLeader || env_.clock.Now() < election_at_) continue;
      votes_ = {self_};
      if (Failed(EnterTerm(term_.term + 1, Role::kCandidate, self_))) return;
      if (Majority(votes_.size()) && Failed(BecomeLeader())) return;
    }
  }

  absl::Status BecomeLeader() {
    role_ = Role::kLeader;
    leader_ = self_;
    for (auto& [number, peer] : peers_) peer = Peer{.next = last() + 1};
    env_.trace.Hit(base::Probe::kLogLeaderUp, {Signed(self_), Signed(term_.term)});
    // Entries of earlier terms are committed by an entry of this one.
    RETURN_IF_ERROR(Append({LogEntry{.term = term_.term}}));
    AdvanceCommit();
    changed_.NotifyAll();
    return absl::OkStatus();
  }

  void AdvanceCommit() {
    std::vector<uint64_t> held = {last()};
    for (const auto& [number, peer] : peers_) held.push_back(peer.match);
    std::sort(held.rbegin(), held.rend());
    const uint64_t by_majority = bug_ == "commit_alone" ? last() : held[addresses_.size() / 2];
    if (by_majority <= commit_ || TermAt(by_majority) != term_.term) return;
    commit_ = by_majority;
    env_.trace.Hit(base::Probe::kLogCommitted, {Signed(self_), Signed(commit_)});
    changed_.NotifyAll();
  }

  // ---- Talking to a peer.
  std::optional<Message> RequestFor(Peer& peer) {
    if (role_ == Role::kCandidate &&
        (peer.asked_in != term_.term || env_.clock.Now() >= peer.due)) {
      peer.asked_in = term_.term;
      return Message{.kind = MessageKind::kVote,
                     .term = term_.term,
                     .from = self_,
                     .index = last(),
                     .index_term = TermAt(last())};
    }
    if (role_ == Role::kLeader && (peer.next <= last() || env_.clock.Now() >= peer.due)) {
      Message append{.kind = MessageKind::kAppend,
                     .term = term_.term,
                     .from = self_,
                     .index = peer.next - 1,
                     .index_term = TermAt(peer.next - 1),
                     .commit = commit_};
      const uint64_t end = std::min<uint64_t>(last(), append.index + kEntriesPerMessage);
      for (uint64_t index = peer.next; index <= end; ++index)
        append.entries.push_back(log_[index - 1]);
      return append;
    }
    return std::nullopt;
  }

  absl::Status TakeReply(uint64_t number, Peer& peer, const Message& request,
                         const Message& reply) {
    if (reply.term > term_.term) return EnterTerm(reply.term, Role::kFollower, 0);
    if (request.term != term_.term) return absl::OkStatus();  // an answer to a question of the past
    if (role_ == Role::kCandidate && reply.kind == MessageKind::kVoteReply && reply.ok) {
      votes_.insert(number);
      if (Majority(votes_.size())) return BecomeLeader();
    }
    if (role_ == Role::kLeader && reply.kind == MessageKind::kAppendReply) {
      if (reply.ok) {
        peer.match = std::max(peer.match, std::min(reply.index, last()));
        peer.next = peer.match + 1;
        env_.trace.Hit(base::Probe::kLogReplicated, {Signed(number), Signed(peer.match)});
        AdvanceCommit();
      } else {
        peer.next =
            std::clamp(reply.index + 1, peer.match + 1, std::max(peer.match + 1, request.index));
      }
    }
    return absl::OkStatus();
  }

  void Serve(uint64_t number) {
    Peer& peer = peers_[number];
    Remote remote(env_, addresses_[number - 1]);
    io::MutexLock lock(mutex_);
    while (lock.held()) {
      const std::optional<Message> request = RequestFor(peer);
      if (!request.has_value()) {
        if (changed_.Wait(lock, role_ == Role::kFollower ? base::kForever : peer.due) ==
            io::Wake::kCancelled)
          return;
        continue;
      }
      lock.Unlock();
      const absl::StatusOr<Message> reply = remote.Call(*request, kCallTimeout);
      if (!reply.ok()) env_.Sleep(kRetryAfter);
      (void)lock.Lock();
      if (!lock.held()) return;
      peer.due = env_.Deadline(kHeartbeat);
      if (reply.ok() && Failed(TakeReply(number, peer, *request, *reply))) return;
    }
  }

  // ---- Answering.
  void Accept(io::Scope& scope, io::Listener& listener) {
    for (;;) {
      absl::StatusOr<std::unique_ptr<io::Stream>> stream = listener.Accept(base::kForever);
      absl::Status status = stream.status();
      if (status.ok()) {
        auto peer = std::make_unique<io::FramedStream>(*std::move(stream));
        status = scope.Spawn("answer", [this, peer = std::move(peer)] { AnswerAll(*peer); });
      }
      if (status.ok()) continue;
      env_.log.Warn("log", status.message());
      env_.Sleep(100ms);
    }
  }

  void AnswerAll(io::FramedStream& peer) {
    for (;;) {
      const absl::StatusOr<std::string_view> bytes = peer.Read(base::kForever);
      if (!bytes.ok()) return;
      const absl::StatusOr<Message> request = DecodeMessage(*bytes);
      if (!request.ok()) return;
      const absl::StatusOr<Message> reply = Answer(*request);
      if (!reply.ok()) {
        Failed(reply.status());
        return;
      }
      if (!peer.Write(EncodeMessage(*reply), env_.Deadline(kCallTimeout)).ok()) return;
    }
  }

  absl::StatusOr<Message> Answer(const Message& request) {
    io::MutexLock lock(mutex_);
    if (!lock.held()) return absl::CancelledError("the replica ends");
    switch (request.kind) {
      case MessageKind::kVote:
        return AnswerVote(request);
      case MessageKind::kAppend:
        return AnswerAppend(request);
      case MessageKind::kPut:
      case MessageKind::kRead:
        return AnswerClient(request, lock);
      default:
        return Message{.term = term_.term};
    }
  }

  absl::StatusOr<Message> AnswerVote(const Message& request) {
    if (request.term > term_.term) RETURN_IF_ERROR(EnterTerm(request.term, Role::kFollower, 0));
    Message reply{.kind = MessageKind::kVoteReply, .term = term_.term, .from = self_};
    const bool as_long =
        bug_ == "vote_for_anyone" ||
        std::pair(request.index_term, request.index) >= std::pair(TermAt(last()), last());
    if (request.term == term_.term && as_long && (term_.vote == 0 || term_.vote == request.from)) {
      if (term_.vote == 0) RETURN_IF_ERROR(SaveTerm({term_.term, request.from}));
      ExpectLeader();
      reply.ok = true;
    }
    return reply;
  }

  absl::StatusOr<Message> AnswerAppend(const Message& request) {
    Message reply{.kind = MessageKind::kAppendReply, .term = term_.term, .from = self_};
    if (request.term < term_.term) return reply;
    if (request.term > term_.term) RETURN_IF_ERROR(EnterTerm(request.term, Role::kFollower, 0));
    reply.term = term_.term;
    role_ = Role::kFollower;
    leader_ = request.from;
    ExpectLeader();
    if (request.index > last() || TermAt(request.index) != request.index_term) {
      // Never below what is committed: that much the logs have in common.
      reply.index = std::max(commit_, std::min(last(), request.index - 1));
      return reply;
    }
    size_t known = 0;
    while (known < request.entries.size() && request.index + known < last() &&
           TermAt(request.index + known + 1) == request.entries[known].term) {
      ++known;
    }
    if (known < request.entries.size()) {
      if (request.index + known < last()) RETURN_IF_ERROR(CutAfter(request.index + known));
      RETURN_IF_ERROR(
          Append({request.entries.begin() + static_cast<ptrdiff_t>(known), request.entries.end()}));
    }
    reply.ok = true;
    reply.index = request.index + request.entries.size();
    commit_ = std::max(commit_, std::min(request.commit, reply.index));
    return reply;
  }

  // A write goes in once, however often it is asked for; a read is as fresh as a mark that is
  // committed after it came.
  absl::StatusOr<Message> AnswerClient(const Message& request, io::MutexLock& lock) {
    Message reply{.kind = MessageKind::kReply, .term = term_.term, .from = leader_};
    if (role_ != Role::kLeader) return reply;
    const uint64_t term = term_.term;
    const bool write = request.kind == MessageKind::kPut && request.entries.size() == 1;
    LogEntry entry = write ? request.entries[0] : LogEntry{};
    entry.term = term;
    uint64_t index = last() + 1;
    const auto latest = latest_.find(entry.client);
    if (write && latest != latest_.end() && log_[latest->second - 1].sequence >= entry.sequence) {
      index = latest->second;
    } else {
      RETURN_IF_ERROR(Append({entry}));
      AdvanceCommit();
      changed_.NotifyAll();
    }
    const io::Monotonic deadline = env_.Deadline(kCommitTimeout);
    io::Wake wake = io::Wake::kUnparked;
    while (commit_ < index && term_.term == term && wake == io::Wake::kUnparked)
      wake = changed_.Wait(lock, deadline);
    // As long as it leads, what it appended stays where it is.
    if (wake == io::Wake::kCancelled || term_.term != term || commit_ < index) return reply;
    reply.ok = true;
    if (!write) reply.entries.assign(log_.begin(), log_.begin() + static_cast<ptrdiff_t>(index));
    return reply;
  }

  static int64_t Signed(uint64_t number) { return static_cast<int64_t>(number); }

  io::Env& env_;
  base::Random random_;
  const uint64_t self_;
  const std::vector<io::Address> addresses_;
  const std::string bug_;  // planted; "" for none
  io::Mutex mutex_;
  io::CondVar changed_;
  io::Event stop_;
  absl::Status failure_;

  std::unique_ptr<io::File> file_;
  std::vector<LogEntry> log_;            // entry 1 first
  std::vector<uint64_t> ends_;           // where each record ends in the file
  std::map<uint64_t, uint64_t> latest_;  // of each client, the index of its latest entry
  TermRecord term_;

  Role role_ = Role::kFollower;
  uint64_t leader_ = 0;  // of this term, if known
  uint64_t commit_ = 0;
  std::set<uint64_t> votes_;
  std::map<uint64_t, Peer> peers_;
  io::Monotonic election_at_{};
};

// -----------------------------------------------------------------------------------------------------------
// client

class Client {
 public:
  Client(io::Env& env, const std::vector<io::Address>& addresses) : env_(env) {
    for (const io::Address& address : addresses)
      remotes_.push_back(std::make_unique<Remote>(env, address));
  }

  // Until a leader says that it is done.
  Message Ask(const Message& request) {
    for (;;) {
      const absl::StatusOr<Message> reply = remotes_[at_]->Call(request, 2 * kCommitTimeout);
      if (reply.ok() && reply->ok) return *reply;
      const bool elsewhere =
          reply.ok() && reply->from > 0 && reply->from <= remotes_.size() && reply->from != at_ + 1;
      at_ = elsewhere ? reply->from - 1 : (at_ + 1) % remotes_.size();
      env_.Sleep(kRetryAfter);
    }
  }

  // The entries of one client must be the numbers 1, 2, 3 ... up to `writes`.
  static absl::Status CheckWrites(const std::vector<LogEntry>& log, uint64_t client,
                                  uint64_t writes) {
    uint64_t seen = 0;
    for (const LogEntry& entry : log) {
      if (entry.client != client) continue;
      if (const LogEntry expected = Write(client, ++seen);
          entry.sequence != seen || entry.key != expected.key || entry.value != expected.value) {
        return absl::DataLossError(absl::StrFormat(
            "client %d: write %d stands where write %d belongs", client, entry.sequence, seen));
      }
    }
    if (seen == writes) return absl::OkStatus();
    return absl::DataLossError(absl::StrFormat(
        "client %d: %d writes are in the log, %d were acknowledged", client, seen, writes));
  }

  static LogEntry Write(uint64_t client, uint64_t sequence) {
    return LogEntry{.client = client,
                    .sequence = sequence,
                    .key = absl::StrFormat("key %d", sequence),
                    .value = absl::StrFormat("value %d of client %d", sequence, client)};
  }

 private:
  io::Env& env_;
  std::vector<std::unique_ptr<Remote>> remotes_;
  size_t at_ = 0;
};

absl::Status RunClient(io::Env& env, uint64_t number, uint64_t writes,
                       const std::vector<io::Address>& addresses) {
  Client client(env, addresses);
  for (uint64_t sequence = 1; sequence <= writes; ++sequence) {
    client.Ask(
        {.kind = MessageKind::kPut, .from = number, .entries = {Client::Write(number, sequence)}});
  }
  const Message log = client.Ask({.kind = MessageKind::kRead, .from = number});
  RETURN_IF_ERROR(Client::CheckWrites(log.entries, number, writes));
  env.console.Out(absl::StrFormat("client %d acknowledged=%d seen=%d\n", number, writes, writes));
  return absl::OkStatus();
}

absl::Status RunReader(io::Env& env, uint64_t clients, uint64_t writes,
                       const std::vector<io::Address>& addresses) {
  const Message log = Client(env, addresses).Ask({.kind = MessageKind::kRead});
  for (uint64_t number = 1; number <= clients; ++number) {
    RETURN_IF_ERROR(Client::CheckWrites(log.entries, number, writes));
  }
  env.console.Out(absl::StrFormat("reader clients=%d writes=%d\n", clients, writes));
  return absl::OkStatus();
}

}  // namespace

absl::Status ReplicatedLog(io::Env& env) {
  const std::vector<std::string>& words = env.processes.arguments();
  const bool replica = words.size() > 3 && words[1] == "replica";
  const bool client = words.size() > 4 && words[1] == "client";
  const bool reader = words.size() > 4 && words[1] == "reader";
  uint64_t number = 0;
  uint64_t writes = 0;
  if (!(replica || client || reader) || !absl::SimpleAtoi(words[2], &number) ||
      (!replica && !absl::SimpleAtoi(words[3], &writes))) {
    return absl::InvalidArgumentError(
        "replicated_log: usage: replica NUMBER ADDRESSES | client NUMBER WRITES ADDRESSES | reader "
        "CLIENTS WRITES "
        "ADDRESSES");
  }
  std::vector<io::Address> addresses;
  std::string bug;
  for (size_t i = replica ? 3 : 4; i < words.size(); ++i) {
    constexpr std::string_view kBug = "--bug=";
    if (words[i].substr(0, kBug.size()) == kBug) {
      bug = words[i].substr(kBug.size());
      continue;
    }
    ASSIGN_OR_RETURN(io::Address address, io::Address::Parse(words[i]));
    addresses.push_back(std::move(address));
  }
  if (client) return RunClient(env, number, writes, addresses);
  if (reader) return RunReader(env, number, writes, addresses);
  if (number < 1 || number > addresses.size()) {
    return absl::InvalidArgumentError(
        absl::StrFormat("replicated_log: replica %d of %d; replicas are numbered from 1 in the "
                        "order of the addresses",
                        number, addresses.size()));
  }
  return Replica(env, number, std::move(addresses), std::move(bug)).Run();
}

}  // namespace weir::scenarios
