// FaultyDisk: a Disk that does what the one below it does, unless a rule says otherwise. For any
// Env, so also for the real world.
//
//   faults::FaultyDisk disk(env);
//   io::Env broken = disk.Over(env);
//   disk.Add({.call = DiskCall::kSync, .path = "log*", .harm = DiskHarm::kFail, .first = 3});
//   RETURN_IF_ERROR(Program(broken));
//
// Invariants: without rules nobody can tell the two disks apart. After a failed sync the file stays
// broken, as engine/io/disk.h says. What a rule fails has not happened below, but for the part that
// a short write leaves. A call is never harmed by two rules, though several may delay it; the first
// that was added wins.
//
// Any task may call. A call on a helper thread cannot wait, so kDelay and kHang are for calls of
// tasks.
#pragma once

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

enum class DiskCall : uint8_t {
  kAny,
  kOpen,
  kRead,
  kWrite,  // Write and Append
  kTruncate,
  kSize,
  kSync,
  kRename,
  kLink,
  kRemove,
  kMakeDirectory,
  kRemoveDirectory,
  kSyncDirectory,
  kList,
  kStat,
  kLock,
  kSpace,
};

enum class DiskHarm : uint8_t {
  kFail,   // nothing happens but an error of `code`
  kShort,  // a write: the first `bytes` bytes of it happen, then an error of `code`
  kFull,   // writes: `bytes` bytes find room from now on; what goes beyond is cut and fails with
           // kResourceExhausted; only calls that find no room count as struck
  kFlip,   // a read that gave something: one bit of it is wrong, in byte `bytes`, counted round
  kDelay,  // the call waits for `delay` first
  kHang,   // the call waits until the rule is removed, then happens
};

struct DiskRule : Strikes {
  DiskCall call = DiskCall::kAny;
  std::string path{};  // of the file; of either file if there are two; '*' stands for anything
  DiskHarm harm = DiskHarm::kFail;
  absl::StatusCode code = absl::StatusCode::kDataLoss;  // as a disk that reports an I/O error
  uint64_t bytes = 0;
  io::Duration delay{0};
};

class FaultyDisk final : public io::Disk {
 public:
  // Over the disk of `env`, which must outlive this and all files opened through it.
  explicit FaultyDisk(io::Env& env) : under_(env.disk), book_(env.tasks, env.clock) {}

  // `env` with this disk in place of its own.
  io::Env Over(const io::Env& env);

  RuleId Add(const DiskRule& rule) { return book_.Add(rule); }
  void Remove(RuleId rule) { book_.Remove(rule); }
  void RemoveAll() { book_.RemoveAll(); }
  uint64_t strikes(RuleId rule) const { return book_.strikes(rule); }

  absl::StatusOr<std::unique_ptr<io::File>> Open(std::string_view path, io::OpenMode mode) override;
  absl::Status Rename(std::string_view from, std::string_view to) override;
  absl::Status Link(std::string_view from, std::string_view to) override;
  absl::Status Remove(std::string_view path) override;
  absl::Status MakeDirectory(std::string_view path) override;
  absl::Status RemoveDirectory(std::string_view path) override;
  absl::Status SyncDirectory(std::string_view path) override;
  absl::StatusOr<std::vector<std::string>> List(std::string_view path) override;
  absl::StatusOr<io::FileInfo> Stat(std::string_view path) override;
  absl::StatusOr<std::unique_ptr<io::FileLock>> Lock(std::string_view path) override;
  absl::StatusOr<io::DiskSpace> Space() override;

 private:
  friend class FaultyFile;

  // What becomes of a write.
  struct WriteFate {
    uint64_t takes;       // bytes that happen
    absl::Status status;  // of the call, once they have
  };

  // Waits where rules say so; an error if the call is to fail.
  absl::Status Before(DiskCall call, std::string_view path,
                      std::optional<std::string_view> other = std::nullopt);
  absl::StatusOr<WriteFate> BeforeWrite(std::string_view path, uint64_t bytes);
  void AfterRead(std::string_view path, absl::Span<char> got);
  absl::Status Decide(DiskCall call, std::string_view path, std::optional<std::string_view> other,
                      WriteFate* write);

  io::Disk& under_;
  RuleBook<DiskRule> book_;
};

}  // namespace weir::faults
