#include "scenarios/two_phase_commit.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <set>

#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/io/sync.h"
#include "scenarios/calls.h"
#include "scenarios/wal_file.h"

namespace weir::scenarios {
namespace {

using namespace std::chrono_literals;

constexpr io::Duration kCallTimeout = 200ms;
constexpr io::Duration kRetryAfter = 20ms;
constexpr io::Duration kAskAfter = 300ms;  // a participant in doubt

enum Request : uint64_t { kBegin = 1, kInquire, kPrepare, kCommit, kAbort, kList };
enum Outcome : uint64_t { kUnknown = 0, kPrepared, kCommitted, kAborted };
enum LogRecord : uint64_t { kLogCommit = 1, kLogEnd, kLogPrepared, kLogCommitted, kLogAborted };

int64_t Signed(uint64_t number) { return static_cast<int64_t>(number); }

// ------------------------------------------------------------------------------------------------
// coordinator

class Coordinator {
 public:
  Coordinator(io::Env& env, Role role)
      : env_(env), role_(std::move(role)), mutex_(env.tasks, "transaction") {}

  absl::Status Run() {
    ASSIGN_OR_RETURN(log_, WalFile::Open(env_, "decisions", ""));
    for (const Numbers& record : log_->recovered()) {
      if (record[0] == kLogCommit) {
        decided_[record[1]] = kCommitted;
        unfinished_.insert(record[1]);
      } else {
        unfinished_.erase(record[1]);
        ended_.insert(record[1]);
      }
    }
    env_.trace.Hit(base::Probe::kTpcRecovered, {Signed(unfinished_.size())});
    for (size_t i = 1; i < role_.addresses.size(); ++i)
      participants_.push_back(std::make_unique<Caller>(env_, role_.addresses[i]));
    return Serve(env_, role_.addresses[0], [&](const Numbers& request) { return Answer(request); },
                 {[&] { return Finish(); }});
  }

 private:
  absl::StatusOr<Numbers> Answer(const Numbers& request) {
    const uint64_t number = request[1];
    if (request[0] == kInquire) {
      if (running_ == number) return Numbers{kPrepared};
      // The mistake: nobody should have to ask about what is ended.
      const bool by_participant = request.size() > 2;
      if (role_.bug == "forget_after_first_ack" && by_participant && ended_.contains(number))
        return Numbers{kAborted};
      // Nobody may begin what somebody was told is aborted.
      const uint64_t outcome = decided_.try_emplace(number, kAborted).first->second;
      return Numbers{outcome};
    }
    const io::MutexLock lock(mutex_);
    if (!lock.held()) return absl::CancelledError("the coordinator is ending");
    if (!decided_.contains(number)) RETURN_IF_ERROR(Decide(number));
    return Numbers{decided_[number]};
  }

  absl::Status Decide(uint64_t number) {
    running_ = number;
    env_.trace.Hit(base::Probe::kTpcPrepareBegin, {Signed(number)});
    bool all = true;
    for (const auto& participant : participants_) {
      const absl::StatusOr<Numbers> vote = participant->Call({kPrepare, number}, kCallTimeout);
      all = all && vote.ok() && (*vote)[0] == kPrepared;
      if (!all) break;
    }
    env_.trace.Hit(base::Probe::kTpcPrepareEnd, {Signed(number), all ? 1 : 0});
    const bool tell_first = role_.bug == "tell_before_log";
    if (all && !tell_first) RETURN_IF_ERROR(log_->Append({kLogCommit, number}));
    if (all) env_.trace.Hit(base::Probe::kTpcDecided, {Signed(number)});
    decided_[number] = all ? kCommitted : kAborted;
    running_ = 0;
    if (all) unfinished_.insert(number);
    RETURN_IF_ERROR(Tell(number, all));
    if (all && tell_first) RETURN_IF_ERROR(log_->Append({kLogCommit, number}));
    return absl::OkStatus();
  }

  absl::Status Tell(uint64_t number, bool commit) {
    size_t acknowledged = 0;
    for (const auto& participant : participants_) {
      const absl::StatusOr<Numbers> reply =
          participant->Call({commit ? kCommit : kAbort, number}, kCallTimeout);
      if (!reply.ok()) continue;
      ++acknowledged;
      if (commit) env_.trace.Hit(base::Probe::kTpcAcknowledged, {Signed(number)});
    }
    const size_t needed = role_.bug == "forget_after_first_ack" ? 1 : participants_.size();
    if (!commit || acknowledged < needed) return absl::OkStatus();
    RETURN_IF_ERROR(log_->Append({kLogEnd, number}));
    if (acknowledged == participants_.size()) unfinished_.erase(number);
    env_.trace.Hit(base::Probe::kTpcEnded, {Signed(number)});
    return absl::OkStatus();
  }

  // Tells again what not everybody has acknowledged.
  absl::Status Finish() {
    for (;;) {
      env_.Sleep(kAskAfter);
      const io::MutexLock lock(mutex_);
      if (!lock.held()) return absl::OkStatus();
      for (const uint64_t number : std::set<uint64_t>(unfinished_))
        RETURN_IF_ERROR(Tell(number, true));
    }
  }

  io::Env& env_;
  const Role role_;
  io::Mutex mutex_;  // one transaction at a time
  std::unique_ptr<WalFile> log_;
  std::vector<std::unique_ptr<Caller>> participants_;
  std::map<uint64_t, uint64_t> decided_;
  std::set<uint64_t> ended_;       // before this life
  std::set<uint64_t> unfinished_;  // committed, and not acknowledged by all
  uint64_t running_ = 0;
};

// --------------------------------------------------------------------------------------------------
// participant

class Participant {
 public:
  Participant(io::Env& env, Role role)
      : env_(env), role_(std::move(role)), mutex_(env.tasks, "participant") {}

  absl::Status Run() {
    ASSIGN_OR_RETURN(log_, WalFile::Open(env_, "votes", ""));
    for (const Numbers& record : log_->recovered()) {
      state_[record[1]] = record[0] == kLogPrepared    ? kPrepared
                          : record[0] == kLogCommitted ? kCommitted
                                                       : kAborted;
    }
    return Serve(env_, role_.addresses[role_.numbers[0]],
                 [&](const Numbers& request) { return Answer(request); },
                 {[&] { return Inquire(); }});
  }

 private:
  absl::StatusOr<Numbers> Answer(const Numbers& request) {
    const io::MutexLock lock(mutex_);
    if (!lock.held()) return absl::CancelledError("the participant is ending");
    if (request[0] == kList) {
      Numbers all;
      for (const auto& [number, state] : state_) {
        all.push_back(number);
        all.push_back(state);
      }
      return all;
    }
    const uint64_t number = request[1];
    if (request[0] == kPrepare) {
      if (!state_.contains(number)) {
        const bool willing = (number * 7 + role_.numbers[0]) % 11 != 0;
        if (role_.bug == "vote_in_memory" && willing) {
          state_[number] = kPrepared;
        } else {
          RETURN_IF_ERROR(Enter(number, willing ? kPrepared : kAborted));
        }
      }
      env_.trace.Hit(base::Probe::kTpcVoted, {Signed(role_.numbers[0]), Signed(number)});
      return Numbers{state_[number]};
    }
    // What it voted for and no longer knows, it takes for finished and forgotten.
    const bool forgotten = request[0] == kCommit && !state_.contains(number);
    if (!forgotten) RETURN_IF_ERROR(Enter(number, request[0] == kCommit ? kCommitted : kAborted));
    return Numbers{number};
  }

  absl::Status Enter(uint64_t number, uint64_t state) {
    const auto it = state_.find(number);
    if (it != state_.end() && it->second == state) return absl::OkStatus();
    if (it != state_.end() && it->second != kPrepared) {
      return absl::DataLossError(absl::StrFormat(
          "participant %d: transaction %d is %s and was told the opposite", role_.numbers[0],
          number, it->second == kCommitted ? "committed" : "aborted"));
    }
    const uint64_t record = state == kPrepared    ? kLogPrepared
                            : state == kCommitted ? kLogCommitted
                                                  : kLogAborted;
    RETURN_IF_ERROR(log_->Append({record, number}));
    state_[number] = state;
    if (state != kPrepared) {
      env_.trace.Hit(base::Probe::kTpcApplied, {Signed(role_.numbers[0]), Signed(number)});
    }
    return absl::OkStatus();
  }

  absl::Status Inquire() {
    Caller coordinator(env_, role_.addresses[0]);
    for (;;) {
      env_.Sleep(kAskAfter);
      for (const auto& [number, state] : std::map<uint64_t, uint64_t>(state_)) {
        if (state != kPrepared) continue;
        const absl::StatusOr<Numbers> told =
            coordinator.Call({kInquire, number, role_.numbers[0]}, kCallTimeout);
        env_.trace.Hit(base::Probe::kTpcInquired, {Signed(role_.numbers[0]), Signed(number)});
        if (!told.ok() || (*told)[0] == kPrepared) continue;
        const io::MutexLock lock(mutex_);
        if (!lock.held()) return absl::OkStatus();
        RETURN_IF_ERROR(Enter(number, (*told)[0]));
      }
    }
  }

  io::Env& env_;
  const Role role_;
  io::Mutex mutex_;
  std::unique_ptr<WalFile> log_;
  std::map<uint64_t, uint64_t> state_;
};

// -------------------------------------------------------------------------------------------------------
// client

absl::Status RunClient(io::Env& env, const Role& role) {
  Caller coordinator(env, role.addresses[0]);
  std::map<uint64_t, uint64_t> told;
  for (uint64_t number = 1; number <= role.numbers[0]; ++number) {
    absl::StatusOr<Numbers> outcome = coordinator.Call({kBegin, number}, 2s);
    while (!outcome.ok() || (*outcome)[0] == kPrepared) {
      env.Sleep(kRetryAfter);
      outcome = coordinator.Call({kInquire, number}, kCallTimeout);
    }
    told[number] = (*outcome)[0];
  }
  for (size_t i = 1; i < role.addresses.size(); ++i) {
    Caller participant(env, role.addresses[i]);
    std::map<uint64_t, uint64_t> held;
    for (bool in_doubt = true; in_doubt;) {
      const absl::StatusOr<Numbers> list = participant.Call({kList}, kCallTimeout);
      in_doubt = !list.ok();
      held.clear();
      for (size_t at = 0; list.ok() && at + 1 < list->size(); at += 2) {
        held[(*list)[at]] = (*list)[at + 1];
        in_doubt = in_doubt || (*list)[at + 1] == kPrepared;
      }
      // What is committed and has not come yet is not in doubt, but must come.
      for (const auto& [number, outcome] : told)
        in_doubt = in_doubt ||
                   (outcome == kCommitted && held.contains(number) && held[number] == kPrepared);
      if (in_doubt) env.Sleep(5 * kRetryAfter);
    }
    for (const auto& [number, outcome] : told) {
      const uint64_t there = held.contains(number) ? held[number] : uint64_t{kUnknown};
      if ((outcome == kCommitted) == (there == kCommitted)) continue;
      return absl::DataLossError(
          absl::StrFormat("transaction %d: the client was told %s, participant %d has it %s",
                          number, outcome == kCommitted ? "committed" : "aborted", i,
                          there == kCommitted ? "committed"
                          : there == kAborted ? "aborted"
                                              : "not at all"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status TwoPhaseCommit(io::Env& env) {
  ASSIGN_OR_RETURN(Role role, ParseRole(env));
  const size_t addresses = role.addresses.size();
  if (role.name == "coordinator" && addresses >= 2) return Coordinator(env, std::move(role)).Run();
  if (role.name == "participant" && role.numbers.size() == 1 && role.numbers[0] >= 1 &&
      role.numbers[0] < addresses) {
    return Participant(env, std::move(role)).Run();
  }
  if (role.name == "client" && role.numbers.size() == 1 && addresses >= 2)
    return RunClient(env, role);
  return absl::InvalidArgumentError(
      "two_phase_commit: usage: coordinator ADDRESSES | participant NUMBER ADDRESSES | client "
      "TRANSACTIONS ADDRESSES");
}

}  // namespace weir::scenarios
