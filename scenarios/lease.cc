#include "scenarios/lease.h"

#include <chrono>
#include <memory>

#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/io/sync.h"
#include "scenarios/calls.h"
#include "scenarios/wal_file.h"

namespace weir::scenarios {
namespace {

using namespace std::chrono_literals;

constexpr io::Duration kTerm = 120ms;
constexpr io::Duration kMargin = 30ms;  // a holder stops before its term ends
constexpr io::Duration kCallTimeout = 60ms;
constexpr io::Duration kWork = 20ms;  // between the look at the clock and the write
constexpr io::Duration kWriteEvery = 5ms;
constexpr io::Duration kAskEvery = 40ms;

enum Request : uint64_t { kAcquire = 1, kRenew, kWrite, kHistory };

int64_t Signed(uint64_t number) { return static_cast<int64_t>(number); }

// ------------------------------------------------------------------------------------------------
// grantor

absl::Status RunGrantor(io::Env& env, const Role& role) {
  const bool unsynced = role.bug == "token_not_durable";
  ASSIGN_OR_RETURN(const std::unique_ptr<WalFile> file,
                   WalFile::Open(env, "tokens", unsynced ? "ack_before_sync" : ""));
  uint64_t token = file->recovered().empty() ? 0 : file->recovered().back()[0];
  uint64_t holder = 0;
  // What was granted in an earlier life may still be held.
  io::Monotonic until = env.Deadline(kTerm);
  io::Mutex mutex(env.tasks, "grantor");
  return Serve(env, role.addresses[0], [&](const Numbers& request) -> absl::StatusOr<Numbers> {
    const io::MutexLock lock(mutex);
    if (!lock.held()) return absl::CancelledError("the grantor is ending");
    const bool free = env.clock.Now() >= until;
    if (request[0] == kRenew) {
      if (free || request[2] != token || request[1] != holder) return Numbers{0};
      until = env.Deadline(kTerm);
      return Numbers{token};
    }
    // A holder that asks again has lost what it knew of its lease.
    if (!free && request[1] != holder) return Numbers{0};
    RETURN_IF_ERROR(file->Append({token + 1}));
    ++token;
    holder = request[1];
    until = env.Deadline(kTerm);
    env.trace.Hit(base::Probe::kLeaseGranted, {Signed(holder), Signed(token)});
    return Numbers{token};
  });
}

// -------------------------------------------------------------------------------------------------
// store

class Store {
 public:
  Store(io::Env& env, const Role& role) : env_(env), role_(role), mutex_(env.tasks, "store") {}

  absl::Status Run() {
    ASSIGN_OR_RETURN(file_, WalFile::Open(env_, "writes", ""));
    for (const Numbers& write : file_->recovered()) Take(write);
    return Serve(env_, role_.addresses[1], [&](const Numbers& request) -> absl::StatusOr<Numbers> {
      const io::MutexLock lock(mutex_);
      if (!lock.held()) return absl::CancelledError("the store is ending");
      if (request[0] == kHistory) {
        Numbers all;
        for (const Numbers& write : writes_) all.insert(all.end(), write.begin(), write.end());
        return all;
      }
      const Numbers write = {request[1], request[2]};  // token, holder
      if (Stale(write[0])) {
        env_.trace.Hit(base::Probe::kLeaseRefused, {Signed(write[1]), Signed(write[0])});
        return Numbers{0};
      }
      RETURN_IF_ERROR(file_->Append(write));
      Take(write);
      env_.trace.Hit(base::Probe::kLeaseWritten, {Signed(write[1]), Signed(write[0])});
      return Numbers{1};
    });
  }

 private:
  bool Stale(uint64_t token) const {
    if (role_.bug == "no_fencing") return false;
    return token < token_;
  }

  void Take(const Numbers& write) {
    token_ = write[0];
    writes_.push_back(write);
  }

  io::Env& env_;
  const Role& role_;
  io::Mutex mutex_;
  std::unique_ptr<WalFile> file_;
  std::vector<Numbers> writes_;
  uint64_t token_ = 0;  // of the latest write
};

// --------------------------------------------------------------------------------------------------
// holder and observer

absl::Status RunHolder(io::Env& env, const Role& role) {
  const uint64_t self = role.numbers[0];
  Caller grantor(env, role.addresses[0]);
  Caller store(env, role.addresses[1]);
  for (;;) {
    io::Monotonic asked = env.clock.Now();
    const absl::StatusOr<Numbers> granted = grantor.Call({kAcquire, self}, kCallTimeout);
    if (!granted.ok() || (*granted)[0] == 0) {
      env.Sleep(kAskEvery);
      continue;
    }
    const uint64_t token = (*granted)[0];
    io::Monotonic until = asked + kTerm - kMargin;
    env.trace.Hit(base::Probe::kLeaseHeldBegin, {Signed(self), Signed(token)});
    while (env.clock.Now() < until) {
      env.trace.Hit(base::Probe::kLeaseChecked, {Signed(self), Signed(token)});
      // Whoever stands still here writes with a lease that somebody else has got.
      env.Sleep(kWork);
      const absl::StatusOr<Numbers> written = store.Call({kWrite, token, self}, kCallTimeout);
      if (written.ok() && (*written)[0] == 0) break;
      env.Sleep(kWriteEvery);
      asked = env.clock.Now();
      const absl::StatusOr<Numbers> renewed = grantor.Call({kRenew, self, token}, kCallTimeout);
      if (renewed.ok() && (*renewed)[0] != token) break;
      if (renewed.ok()) until = asked + kTerm - kMargin;
    }
    env.trace.Hit(base::Probe::kLeaseHeldEnd, {Signed(self), Signed(token)});
    env.Sleep(kAskEvery);
  }
}

absl::Status RunObserver(io::Env& env, const Role& role) {
  Caller store(env, role.addresses[1]);
  for (;;) {
    env.Sleep(kTerm);
    const absl::StatusOr<Numbers> history = store.Call({kHistory}, kCallTimeout);
    if (!history.ok() || history->size() < 2 * role.numbers[0]) continue;
    for (size_t i = 2; i + 1 < history->size(); i += 2) {
      const uint64_t before = (*history)[i - 2];
      const uint64_t token = (*history)[i];
      const bool same = token == before && (*history)[i + 1] == (*history)[i - 1];
      if (same || token > before) continue;
      return absl::DataLossError(absl::StrFormat(
          "write %d of holder %d with token %d was taken after one of holder %d with token %d",
          i / 2 + 1, (*history)[i + 1], token, (*history)[i - 1], before));
    }
    return absl::OkStatus();
  }
}

}  // namespace

absl::Status Lease(io::Env& env) {
  ASSIGN_OR_RETURN(const Role role, ParseRole(env));
  if (role.addresses.size() == 2) {
    if (role.name == "grantor") return RunGrantor(env, role);
    if (role.name == "store") return Store(env, role).Run();
    if (role.name == "holder" && role.numbers.size() == 1) return RunHolder(env, role);
    if (role.name == "observer" && role.numbers.size() == 1) return RunObserver(env, role);
  }
  return absl::InvalidArgumentError(
      "lease: usage: grantor | store | holder NUMBER | observer WRITES, each with the addresses of "
      "grantor and store");
}

}  // namespace weir::scenarios
