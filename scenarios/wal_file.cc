#include "scenarios/wal_file.h"

#include <chrono>

#include "absl/strings/str_format.h"
#include "engine/base/coding.h"
#include "engine/base/hash.h"
#include "engine/base/status_macros.h"

namespace weir::scenarios {
namespace {

using namespace std::chrono_literals;

constexpr size_t kHeaderBytes = sizeof(uint32_t) + sizeof(uint64_t);
constexpr io::Duration kCallTimeout = 200ms;
constexpr io::Duration kRetryAfter = 20ms;
constexpr size_t kFillers = 40;  // numbers that make a record long enough to be torn

// -----------------------------------------------------------------------------------------------
// the server

enum Request : uint64_t { kPut = 1, kRead };

Numbers RecordOf(uint64_t sequence) {
  Numbers record = {sequence};
  for (uint64_t i = 0; i < kFillers; ++i) record.push_back(sequence * 1'000'003 + i);
  return record;
}

absl::Status RunStore(io::Env& env, const Role& role) {
  ASSIGN_OR_RETURN(const std::unique_ptr<WalFile> file, WalFile::Open(env, "wal", role.bug));
  std::vector<Numbers> records = file->recovered();
  io::Mutex mutex(env.tasks, "store");
  return Serve(env, role.addresses[0], [&](const Numbers& request) -> absl::StatusOr<Numbers> {
    const io::MutexLock lock(mutex);
    if (!lock.held()) return absl::CancelledError("the store is ending");
    if (request[0] == kRead) {
      Numbers all;
      for (const Numbers& record : records) {
        all.push_back(base::Hash64(EncodeNumbers(record)));
      }
      return all;
    }
    const uint64_t sequence = request[1];
    if (sequence > records.size() + 1) return Numbers{0, records.size()};  // something was lost
    if (sequence == records.size() + 1) {
      RETURN_IF_ERROR(file->Append(RecordOf(sequence)));
      records.push_back(RecordOf(sequence));
    }
    env.trace.Hit(base::Probe::kWalAcknowledged, {static_cast<int64_t>(sequence)});
    return Numbers{1, records.size()};
  });
}

absl::Status RunClient(io::Env& env, const Role& role) {
  Caller store(env, role.addresses[0]);
  const auto ask = [&](const Numbers& request) {
    for (;;) {
      absl::StatusOr<Numbers> reply = store.Call(request, kCallTimeout);
      if (reply.ok()) return *std::move(reply);
      env.Sleep(kRetryAfter);
    }
  };
  for (uint64_t sequence = 1; sequence <= role.numbers[0]; ++sequence) {
    const Numbers reply = ask({kPut, sequence});
    if (reply.size() == 2 && reply[0] == 1) continue;
    return absl::DataLossError(
        absl::StrFormat("write %d was refused: the store has %d writes, %d were acknowledged",
                        sequence, reply.size() == 2 ? reply[1] : 0, sequence - 1));
  }
  const Numbers held = ask({kRead});
  if (held.size() != role.numbers[0]) {
    return absl::DataLossError(absl::StrFormat("%d writes are in the file, %d were acknowledged",
                                               held.size(), role.numbers[0]));
  }
  for (uint64_t sequence = 1; sequence <= held.size(); ++sequence) {
    if (held[sequence - 1] != base::Hash64(EncodeNumbers(RecordOf(sequence))))
      return absl::DataLossError(absl::StrFormat("write %d is not what was written", sequence));
  }
  return absl::OkStatus();
}

}  // namespace

// -------------------------------------------------------------------------------------------------
// the file

absl::StatusOr<std::unique_ptr<WalFile>> WalFile::Open(io::Env& env, std::string path,
                                                       std::string bug) {
  std::unique_ptr<WalFile> file(new WalFile(env, std::move(path), std::move(bug)));
  RETURN_IF_ERROR(file->Recover());
  return file;
}

absl::Status WalFile::Recover() {
  env_.trace.Hit(base::Probe::kWalRecoverBegin, {});
  absl::StatusOr<std::string> bytes = io::ReadFile(env_.disk, path_);
  if (absl::IsNotFound(bytes.status())) {
    RETURN_IF_ERROR(io::ReplaceFile(env_.disk, path_, ""));
    bytes = std::string();
  }
  RETURN_IF_ERROR(bytes.status());
  for (;;) {
    std::string_view rest = std::string_view(*bytes).substr(end_);
    uint32_t size = 0;
    uint64_t hash = 0;
    if (!base::GetFixed(rest, size) || !base::GetFixed(rest, hash)) break;
    const std::string_view body = rest.substr(0, size);
    const bool whole = body.size() == size && base::Hash64(body, end_) == hash;
    // The mistake: takes a size that stands there for proof that the record does, too.
    if (!whole && (bug_ != "trust_torn_record" || size == 0)) break;
    absl::StatusOr<Numbers> record = DecodeNumbers(body);
    if (!whole && !record.ok()) record = Numbers{};
    RETURN_IF_ERROR(record.status());
    recovered_.push_back(*std::move(record));
    end_ += kHeaderBytes + body.size();
  }
  ASSIGN_OR_RETURN(file_, env_.disk.Open(path_, io::OpenMode::kReadWrite));
  if (end_ != bytes->size()) {
    env_.trace.Hit(base::Probe::kWalTornTail, {static_cast<int64_t>(bytes->size() - end_)});
    if (bug_ == "keep_torn_tail") {
      end_ = bytes->size();  // and writes behind it what no recovery will reach
    } else {
      RETURN_IF_ERROR(file_->Truncate(end_));
    }
  }
  // A killed process may have left bytes and names that only the kernel knows of.
  if (bug_ != "trust_page_cache") RETURN_IF_ERROR(file_->Sync());
  RETURN_IF_ERROR(env_.disk.SyncDirectory(""));
  env_.trace.Hit(base::Probe::kWalRecoverEnd, {static_cast<int64_t>(recovered_.size())});
  return absl::OkStatus();
}

absl::Status WalFile::Append(const Numbers& record) {
  const io::MutexLock lock(mutex_);
  if (!lock.held()) return absl::CancelledError("the process is ending");
  const std::string body = EncodeNumbers(record);
  std::string bytes;
  base::PutFixed(bytes, static_cast<uint32_t>(body.size()));
  base::PutFixed(bytes, base::Hash64(body, end_));
  bytes += body;
  const auto offset = static_cast<int64_t>(end_);
  env_.trace.Hit(base::Probe::kWalAppendBegin, {offset});
  RETURN_IF_ERROR(file_->Write(end_, bytes));
  end_ += bytes.size();
  if (bug_ == "ack_before_sync") {
    // Leaves it to the kernel.
  } else {
    env_.trace.Hit(base::Probe::kWalWritten, {offset});
    RETURN_IF_ERROR(file_->Sync());
  }
  env_.trace.Hit(base::Probe::kWalAppendEnd, {offset});
  return absl::OkStatus();
}

absl::Status WalStore(io::Env& env) {
  ASSIGN_OR_RETURN(const Role role, ParseRole(env));
  if (role.name == "store" && role.addresses.size() == 1) return RunStore(env, role);
  if (role.name == "client" && role.addresses.size() == 1 && role.numbers.size() == 1)
    return RunClient(env, role);
  return absl::InvalidArgumentError("wal_file: usage: store ADDRESS | client WRITES ADDRESS");
}

}  // namespace weir::scenarios
