#include "faults/faulty_disk.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"

namespace weir::faults {
namespace {

absl::Status Planted(absl::StatusCode code, std::string_view path, std::string_view what) {
  return absl::Status(code, absl::StrCat("file \"", base::Abseil(path), "\": ", base::Abseil(what),
                                         " (planted by a rule)"));
}

bool Concerns(const DiskRule& rule, DiskCall call, std::string_view path,
              std::optional<std::string_view> other) {
  return (rule.call == DiskCall::kAny || rule.call == call) &&
         (Matches(rule.path, path) || (other && Matches(rule.path, *other)));
}

}  // namespace

class FaultyFile final : public io::File {
 public:
  FaultyFile(FaultyDisk& disk, std::string_view path, std::unique_ptr<io::File> under)
      : disk_(disk), path_(path), under_(std::move(under)) {}

  absl::StatusOr<size_t> Read(uint64_t offset, absl::Span<char> into) override {
    RETURN_IF_ERROR(disk_.Before(DiskCall::kRead, path_));
    ASSIGN_OR_RETURN(const size_t got, under_->Read(offset, into));
    disk_.AfterRead(path_, into.first(got));
    return got;
  }

  absl::Status Write(uint64_t offset, std::string_view bytes) override {
    ASSIGN_OR_RETURN(const auto fate, disk_.BeforeWrite(path_, bytes.size()));
    if (fate.takes > 0 || fate.status.ok())
      RETURN_IF_ERROR(under_->Write(offset, bytes.substr(0, fate.takes)));
    return fate.status;
  }

  absl::Status Append(std::string_view bytes) override {
    ASSIGN_OR_RETURN(const auto fate, disk_.BeforeWrite(path_, bytes.size()));
    if (fate.takes > 0 || fate.status.ok())
      RETURN_IF_ERROR(under_->Append(bytes.substr(0, fate.takes)));
    return fate.status;
  }

  absl::Status Truncate(uint64_t size) override {
    RETURN_IF_ERROR(disk_.Before(DiskCall::kTruncate, path_));
    return under_->Truncate(size);
  }

  absl::StatusOr<uint64_t> Size() override {
    RETURN_IF_ERROR(disk_.Before(DiskCall::kSize, path_));
    return under_->Size();
  }

  absl::Status Sync() override {
    if (broken_) {
      return Planted(absl::StatusCode::kDataLoss, path_,
                     "an earlier sync failed; write the file afresh under another name");
    }
    const absl::Status status = disk_.Before(DiskCall::kSync, path_);
    broken_ = !status.ok() && !absl::IsCancelled(status);
    RETURN_IF_ERROR(status);
    return under_->Sync();
  }

 private:
  FaultyDisk& disk_;
  const std::string path_;
  const std::unique_ptr<io::File> under_;
  bool broken_ = false;
};

io::Env FaultyDisk::Over(const io::Env& env) {
  return {env.clock, env.tasks,   env.random, env.network, *this,      env.processes,
          env.host,  env.signals, env.log,    env.trace,   env.console};
}

absl::Status FaultyDisk::Decide(DiskCall call, std::string_view path,
                                std::optional<std::string_view> other, WriteFate* write) {
  io::Duration delay{0};
  RuleId hang;
  std::optional<DiskRule> harm;
  book_.ForEach([&](RuleId id, DiskRule& rule, auto strike) {
    if (!Concerns(rule, call, path, other)) return;
    switch (rule.harm) {
      case DiskHarm::kDelay:
        if (strike()) delay += rule.delay;
        return;
      case DiskHarm::kHang:
        if (strike() && !hang) hang = id;
        return;
      case DiskHarm::kFail:
        if (strike() && !harm) harm = rule;
        return;
      case DiskHarm::kShort:
        if (write != nullptr && strike() && !harm) harm = rule;
        return;
      case DiskHarm::kFull:
        if (write == nullptr || harm) return;
        if (write->takes > rule.bytes && strike()) harm = rule;
        // `bytes` is the room that is left; a write that fails uses it up.
        rule.bytes -= std::min(rule.bytes, write->takes);
        return;
      case DiskHarm::kFlip:
        return;  // AfterRead
    }
  });
  if (delay > io::Duration::zero() && book_.Delay(delay, base::kForever) == io::Wake::kCancelled) {
    return Planted(absl::StatusCode::kCancelled, path, "cancelled while the disk was slow");
  }
  if (hang && book_.Hold(hang, base::kForever) == io::Wake::kCancelled) {
    return Planted(absl::StatusCode::kCancelled, path, "cancelled while the disk hung");
  }
  if (!harm) return absl::OkStatus();
  if (harm->harm == DiskHarm::kFail) return Planted(harm->code, path, "the disk fails this call");
  write->takes = std::min(write->takes, harm->bytes);
  write->status =
      harm->harm == DiskHarm::kFull
          ? Planted(absl::StatusCode::kResourceExhausted, path, "no space on the disk")
          : Planted(harm->code, path, absl::StrCat("the disk took ", write->takes, " bytes only"));
  return absl::OkStatus();
}

absl::Status FaultyDisk::Before(DiskCall call, std::string_view path,
                                std::optional<std::string_view> other) {
  return Decide(call, path, other, nullptr);
}

absl::StatusOr<FaultyDisk::WriteFate> FaultyDisk::BeforeWrite(std::string_view path,
                                                              uint64_t bytes) {
  WriteFate fate{bytes, absl::OkStatus()};
  RETURN_IF_ERROR(Decide(DiskCall::kWrite, path, std::nullopt, &fate));
  return fate;
}

void FaultyDisk::AfterRead(std::string_view path, absl::Span<char> got) {
  if (got.empty()) return;
  book_.ForEach([&](RuleId, const DiskRule& rule, auto strike) {
    if (rule.harm != DiskHarm::kFlip || !Concerns(rule, DiskCall::kRead, path, std::nullopt))
      return;
    if (strike()) got[rule.bytes % got.size()] ^= 1 << (rule.bytes % 8);
  });
}

absl::StatusOr<std::unique_ptr<io::File>> FaultyDisk::Open(std::string_view path,
                                                           io::OpenMode mode) {
  RETURN_IF_ERROR(Before(DiskCall::kOpen, path));
  ASSIGN_OR_RETURN(std::unique_ptr<io::File> file, under_.Open(path, mode));
  return std::make_unique<FaultyFile>(*this, path, std::move(file));
}

absl::Status FaultyDisk::Rename(std::string_view from, std::string_view to) {
  RETURN_IF_ERROR(Before(DiskCall::kRename, from, to));
  return under_.Rename(from, to);
}

absl::Status FaultyDisk::Link(std::string_view from, std::string_view to) {
  RETURN_IF_ERROR(Before(DiskCall::kLink, from, to));
  return under_.Link(from, to);
}

absl::Status FaultyDisk::Remove(std::string_view path) {
  RETURN_IF_ERROR(Before(DiskCall::kRemove, path));
  return under_.Remove(path);
}

absl::Status FaultyDisk::MakeDirectory(std::string_view path) {
  RETURN_IF_ERROR(Before(DiskCall::kMakeDirectory, path));
  return under_.MakeDirectory(path);
}

absl::Status FaultyDisk::RemoveDirectory(std::string_view path) {
  RETURN_IF_ERROR(Before(DiskCall::kRemoveDirectory, path));
  return under_.RemoveDirectory(path);
}

absl::Status FaultyDisk::SyncDirectory(std::string_view path) {
  RETURN_IF_ERROR(Before(DiskCall::kSyncDirectory, path));
  return under_.SyncDirectory(path);
}

absl::StatusOr<std::vector<std::string>> FaultyDisk::List(std::string_view path) {
  RETURN_IF_ERROR(Before(DiskCall::kList, path));
  return under_.List(path);
}

absl::StatusOr<io::FileInfo> FaultyDisk::Stat(std::string_view path) {
  RETURN_IF_ERROR(Before(DiskCall::kStat, path));
  return under_.Stat(path);
}

absl::StatusOr<std::unique_ptr<io::FileLock>> FaultyDisk::Lock(std::string_view path) {
  RETURN_IF_ERROR(Before(DiskCall::kLock, path));
  return under_.Lock(path);
}

absl::StatusOr<io::DiskSpace> FaultyDisk::Space() {
  RETURN_IF_ERROR(Before(DiskCall::kSpace, ""));
  ASSIGN_OR_RETURN(io::DiskSpace space, under_.Space());
  book_.ForEach([&](RuleId, const DiskRule& rule, auto) {
    if (rule.harm == DiskHarm::kFull) space.free_bytes = std::min(space.free_bytes, rule.bytes);
  });
  return space;
}

}  // namespace weir::faults
