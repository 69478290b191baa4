#include "sim/sim_disk.h"

#include <algorithm>
#include <cstring>

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "engine/base/check.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"
#include "sim/life_env.h"

namespace weir::sim {
namespace {

constexpr uint64_t kNoteDisk = 0x6469736b;

enum DiskOp : uint64_t {
  kOpen = 1,
  kRead,
  kWrite,
  kTruncate,
  kSync,
  kRename,
  kLink,
  kRemove,
  kMakeDirectory,
  kRemoveDirectory,
  kSyncDirectory,
  kList,
  kStat,
  kLock
};

absl::Status Gone() { return absl::UnavailableError("disk: this process is gone"); }

template <typename... Parts>
std::string Say(std::string_view path, const Parts&... parts) {
  return absl::StrCat("file \"", base::Abseil(path), "\": ", parts...);
}

std::string_view LastName(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// What every call of one process shares: counting, the hash, and the time a call takes.
class Calls {
 public:
  explicit Calls(Life& life) : life_(life) {}
  Life& life() { return life_; }
  SimDiskState& disk() { return *life_.host.disk; }

  // False: the process is dead.
  bool Begin() {
    if (!life_.Alive()) return false;
    ++life_.core.counts.disk_calls;
    return true;
  }
  // The wait for the platter. Under a library's frames, where nothing may wait, the time is charged
  // to the executor.
  void Take(Duration low, Duration high) {
    Duration time = disk().random().Between(low, high);
    io::Tasks& tasks = life_.env->tasks();
    const DiskTrouble& trouble = disk().trouble();
    if (trouble.hung) [[unlikely]] {
      life_.core.Bite(trouble.hung_by);
      if (life_.core.in_foreign_frame()) time += std::chrono::seconds(10);
      while (trouble.hung && !life_.core.in_foreign_frame()) {
        disk().hung().push_back(tasks.Current());
        if (tasks.Park(base::kForever, {"a hung disk"}) == io::Wake::kCancelled) return;
      }
    }
    if (trouble.slow_factor > 1 && time > Duration::zero()) [[unlikely]] {
      time *= static_cast<int64_t>(trouble.slow_factor);
      life_.core.Bite(trouble.slow_by);
    }
    if (time == Duration::zero()) return;
    if (life_.core.in_foreign_frame()) {
      tasks.Charge(time);
      return;
    }
    const Monotonic until = life_.host.FromWorld(life_.core.now() + time);
    while (tasks.Park(until, {"disk"}) == io::Wake::kUnparked) {
    }
  }
  absl::Status End(DiskOp op, std::string_view path, absl::Status status, uint64_t value = 0) {
    life_.core.Note(kNoteDisk ^ op,
                    base::Hash64(path, value ^ static_cast<uint64_t>(status.code())));
    if (life_.core.tracing()) {
      life_.core.TraceLine(absl::StrFormat("disk %s op %d \"%s\" value %d %s", life_.place.name,
                                           static_cast<int>(op), base::Abseil(path), value,
                                           absl::StatusCodeToString(status.code())));
    }
    return status;
  }

 private:
  Life& life_;
};

class SimFile final : public io::File {
 public:
  SimFile(Life& life, InodePtr inode, std::string path, bool writable)
      : calls_(life),
        inode_(std::move(inode)),
        path_(std::move(path)),
        writable_(writable),
        failed_syncs_(inode_->failed_syncs) {}

  absl::StatusOr<size_t> Read(uint64_t offset, absl::Span<char> into) override {
    if (!calls_.Begin()) return Gone();
    const DiskModel& model = calls_.life().core.options.disk;
    calls_.Take(model.read_low, model.read_high);
    if (!calls_.Begin()) return Gone();
    DiskTrouble& trouble = calls_.disk().trouble();
    if (calls_.disk().Strikes(trouble.read_errors)) [[unlikely]] {
      return calls_.End(kRead, path_,
                        absl::DataLossError(Say(path_, "the disk failed a read at byte ", offset)));
    }
    size_t got = 0;
    if (offset < inode_->bytes.size()) {
      got = std::min<size_t>(into.size(), inode_->bytes.size() - offset);
      std::memcpy(into.data(), inode_->bytes.data() + offset, got);
    }
    if (got > 0 && inode_->damaged_by != 0) [[unlikely]]
      calls_.life().core.Bite(inode_->damaged_by);
    if (got > 0 && trouble.flip_bits > 0 && calls_.disk().random().Chance({1, trouble.flip_one_in}))
        [[unlikely]] {
      calls_.life().core.Bite(trouble.flip_by);
      for (uint64_t i = 0; i < trouble.flip_bits; ++i) {
        const uint64_t bit = calls_.disk().random().Between(uint64_t{0}, got * 8 - 1);
        into[bit / 8] = static_cast<char>(into[bit / 8] ^ (1 << bit % 8));
      }
    }
    RETURN_IF_ERROR(calls_.End(kRead, path_, absl::OkStatus(), got));
    return got;
  }

  absl::Status Write(uint64_t offset, std::string_view bytes) override {
    if (!calls_.Begin()) return Gone();
    if (!writable_)
      return calls_.End(kWrite, path_,
                        absl::PermissionDeniedError(Say(path_, "opened for reading only")));
    DiskTrouble& trouble = calls_.disk().trouble();
    if (calls_.disk().Strikes(trouble.write_errors)) [[unlikely]] {
      // Any part of the bytes may be there.
      const uint64_t part = calls_.disk().random().Between(uint64_t{0}, uint64_t{bytes.size()});
      absl::Status partly;
      if (offset + part > inode_->bytes.size())
        partly = calls_.disk().Resize(*inode_, offset + part, path_);
      if (partly.ok()) calls_.disk().Overwrite(*inode_, offset, bytes.substr(0, part));
      return calls_.End(kWrite, path_,
                        absl::DataLossError(Say(path_, "the disk failed a write at byte ", offset)),
                        part);
    }
    absl::Status status;
    if (offset + bytes.size() > inode_->bytes.size()) {
      status = calls_.disk().Resize(*inode_, offset + bytes.size(), path_);
    }
    if (status.ok() && calls_.disk().Strikes(trouble.misdirected_writes)) [[unlikely]] {
      calls_.disk().Misdirect(*inode_, bytes, trouble.misdirected_writes.tag);
    } else if (status.ok()) {
      calls_.disk().Overwrite(*inode_, offset, bytes);
    }
    return calls_.End(kWrite, path_, std::move(status), base::Hash64(bytes, offset));
  }

  absl::Status Append(std::string_view bytes) override {
    return Write(inode_->bytes.size(), bytes);
  }

  absl::Status Truncate(uint64_t size) override {
    if (!calls_.Begin()) return Gone();
    if (!writable_) return absl::PermissionDeniedError(Say(path_, "opened for reading only"));
    return calls_.End(kTruncate, path_, calls_.disk().Resize(*inode_, size, path_), size);
  }

  absl::StatusOr<uint64_t> Size() override {
    if (!calls_.Begin()) return Gone();
    return inode_->bytes.size();
  }

  absl::Status Sync() override {
    if (!calls_.Begin()) return Gone();
    const DiskModel& model = calls_.life().core.options.disk;
    calls_.Take(model.sync_low, model.sync_high);
    if (!calls_.Begin()) return Gone();
    if (calls_.disk().Strikes(calls_.disk().trouble().sync_errors)) [[unlikely]] {
      calls_.disk().FailSync(*inode_);
      return calls_.End(kSync, path_, absl::DataLossError(Say(path_, "the disk failed a sync")));
    }
    if (inode_->failed_syncs != failed_syncs_) {
      return calls_.End(
          kSync, path_,
          absl::DataLossError(
              Say(path_, "an earlier sync failed; write the file afresh under another name")));
    }
    calls_.disk().Sync(*inode_);
    return calls_.End(kSync, path_, absl::OkStatus());
  }

 private:
  Calls calls_;
  const InodePtr inode_;
  const std::string path_;
  const bool writable_;
  const uint64_t failed_syncs_;  // of the file when it was opened
};

class SimFileLock final : public io::FileLock {
 public:
  SimFileLock(Life& life, InodePtr inode) : life_(life), inode_(std::move(inode)) {}
  ~SimFileLock() override {
    if (!life_.dead() && inode_->lock_holder == &life_) inode_->lock_holder = nullptr;
  }

 private:
  Life& life_;
  const InodePtr inode_;
};

class DiskView final : public io::Disk {
 public:
  explicit DiskView(Life& life) : calls_(life), directory_(life.place.directory) {}

  absl::StatusOr<std::unique_ptr<io::File>> Open(std::string_view path,
                                                 io::OpenMode mode) override {
    if (!calls_.Begin()) return Gone();
    absl::StatusOr<InodePtr> inode = OpenInode(path, mode);
    RETURN_IF_ERROR(calls_.End(kOpen, path, inode.status(), static_cast<uint64_t>(mode)));
    return std::make_unique<SimFile>(calls_.life(), *inode, std::string(path),
                                     mode != io::OpenMode::kRead);
  }

  absl::Status Rename(std::string_view from, std::string_view to) override {
    if (!calls_.Begin()) return Gone();
    return calls_.End(kRename, from, DoRename(from, to), base::Hash64(to));
  }
  absl::Status Link(std::string_view from, std::string_view to) override {
    if (!calls_.Begin()) return Gone();
    return calls_.End(kLink, from, DoLink(from, to), base::Hash64(to));
  }
  absl::Status Remove(std::string_view path) override {
    if (!calls_.Begin()) return Gone();
    return calls_.End(kRemove, path, DoRemove(path, /*directory=*/false));
  }
  absl::Status RemoveDirectory(std::string_view path) override {
    if (!calls_.Begin()) return Gone();
    return calls_.End(kRemoveDirectory, path, DoRemove(path, /*directory=*/true));
  }

  absl::Status MakeDirectory(std::string_view path) override {
    if (!calls_.Begin()) return Gone();
    return calls_.End(kMakeDirectory, path, [&]() -> absl::Status {
      if (path.empty() || path == ".") return absl::OkStatus();
      ASSIGN_OR_RETURN(const InodePtr parent, Parent(path));
      const auto it = parent->names.find(LastName(path));
      if (it != parent->names.end()) {
        if (it->second->is_directory) return absl::OkStatus();
        return absl::AlreadyExistsError(Say(path, "is a file, not a directory"));
      }
      calls_.disk().SetName(*parent, LastName(path), calls_.disk().NewInode(true));
      return absl::OkStatus();
    }());
  }

  absl::Status SyncDirectory(std::string_view path) override {
    if (!calls_.Begin()) return Gone();
    const DiskModel& model = calls_.life().core.options.disk;
    calls_.Take(model.sync_low, model.sync_high);
    if (!calls_.Begin()) return Gone();
    return calls_.End(kSyncDirectory, path, [&]() -> absl::Status {
      ASSIGN_OR_RETURN(const InodePtr directory, Directory(path));
      if (calls_.disk().Strikes(calls_.disk().trouble().sync_errors)) [[unlikely]]
        return absl::DataLossError(Say(path, "the disk failed a sync of the directory"));
      directory->unsynced_names.clear();
      return absl::OkStatus();
    }());
  }

  absl::StatusOr<std::vector<std::string>> List(std::string_view path) override {
    if (!calls_.Begin()) return Gone();
    absl::StatusOr<InodePtr> directory = Directory(path);
    RETURN_IF_ERROR(calls_.End(kList, path, directory.status()));
    std::vector<std::string> names;
    for (const auto& [name, inode] : (*directory)->names) names.push_back(name);
    return names;
  }

  absl::StatusOr<io::FileInfo> Stat(std::string_view path) override {
    if (!calls_.Begin()) return Gone();
    absl::StatusOr<InodePtr> inode = calls_.disk().Walk(directory_, path);
    RETURN_IF_ERROR(calls_.End(kStat, path, inode.status()));
    return io::FileInfo{.is_directory = (*inode)->is_directory, .size = (*inode)->bytes.size()};
  }

  absl::StatusOr<std::unique_ptr<io::FileLock>> Lock(std::string_view path) override {
    if (!calls_.Begin()) return Gone();
    absl::StatusOr<InodePtr> inode = calls_.disk().Walk(directory_, path);
    if (absl::IsNotFound(inode.status())) inode = OpenInode(path, io::OpenMode::kCreate);
    absl::Status status = inode.status();
    if (status.ok() && (*inode)->lock_holder != nullptr) {
      status = absl::FailedPreconditionError(
          Say(path, "locked by another process; stop that one, or use another directory"));
    }
    RETURN_IF_ERROR(calls_.End(kLock, path, status));
    (*inode)->lock_holder = &calls_.life();
    return std::make_unique<SimFileLock>(calls_.life(), *inode);
  }

  absl::StatusOr<io::DiskSpace> Space() override {
    if (!calls_.Begin()) return Gone();
    const uint64_t total = calls_.life().core.options.disk.capacity_bytes;
    return io::DiskSpace{.total_bytes = total,
                         .free_bytes = total - std::min(total, calls_.disk().used())};
  }

 private:
  absl::StatusOr<InodePtr> Directory(std::string_view path) {
    ASSIGN_OR_RETURN(InodePtr inode, calls_.disk().Walk(directory_, path));
    if (!inode->is_directory)
      return absl::InvalidArgumentError(Say(path, "is a file, not a directory"));
    return inode;
  }
  // The directory that holds the last name of `path`.
  absl::StatusOr<InodePtr> Parent(std::string_view path) {
    RETURN_IF_ERROR(io::CheckPath(path));
    if (path.empty() || path == ".")
      return absl::InvalidArgumentError(Say(path, "names the data directory itself"));
    return Directory(io::ParentOf(path));
  }

  absl::StatusOr<InodePtr> OpenInode(std::string_view path, io::OpenMode mode) {
    ASSIGN_OR_RETURN(const InodePtr parent, Parent(path));
    const auto it = parent->names.find(LastName(path));
    if (it == parent->names.end()) {
      if (mode == io::OpenMode::kRead || mode == io::OpenMode::kReadWrite) {
        return absl::NotFoundError(Say(path, "no such file"));
      }
      InodePtr made = calls_.disk().NewInode(false);
      calls_.disk().SetName(*parent, LastName(path), made);
      return made;
    }
    InodePtr inode = it->second;
    if (inode->is_directory)
      return absl::InvalidArgumentError(Say(path, "is a directory, not a file"));
    if (mode == io::OpenMode::kCreate) return absl::AlreadyExistsError(Say(path, "exists already"));
    if (mode == io::OpenMode::kOverwrite) RETURN_IF_ERROR(calls_.disk().Resize(*inode, 0, path));
    return inode;
  }

  absl::Status DoRename(std::string_view from, std::string_view to) {
    ASSIGN_OR_RETURN(const InodePtr from_parent, Parent(from));
    ASSIGN_OR_RETURN(const InodePtr to_parent, Parent(to));
    const auto source = from_parent->names.find(LastName(from));
    if (source == from_parent->names.end()) return absl::NotFoundError(Say(from, "no such file"));
    const InodePtr moved = source->second;
    const auto target = to_parent->names.find(LastName(to));
    if (target != to_parent->names.end()) {
      if (target->second == moved) return absl::OkStatus();
      if (target->second->is_directory || moved->is_directory) {
        return absl::AlreadyExistsError(Say(to, "exists; only a file replaces a file"));
      }
    }
    calls_.disk().SetName(*to_parent, LastName(to), moved);
    calls_.disk().SetName(*from_parent, LastName(from), nullptr);
    return absl::OkStatus();
  }

  absl::Status DoLink(std::string_view from, std::string_view to) {
    ASSIGN_OR_RETURN(const InodePtr inode, calls_.disk().Walk(directory_, from));
    if (inode->is_directory)
      return absl::InvalidArgumentError(Say(from, "is a directory, not a file"));
    ASSIGN_OR_RETURN(const InodePtr parent, Parent(to));
    if (parent->names.contains(LastName(to)))
      return absl::AlreadyExistsError(Say(to, "exists already"));
    calls_.disk().SetName(*parent, LastName(to), inode);
    return absl::OkStatus();
  }

  absl::Status DoRemove(std::string_view path, bool directory) {
    absl::StatusOr<InodePtr> parent = Parent(path);
    if (absl::IsNotFound(parent.status())) return absl::OkStatus();
    RETURN_IF_ERROR(parent.status());
    const auto it = (*parent)->names.find(LastName(path));
    if (it == (*parent)->names.end()) return absl::OkStatus();
    if (it->second->is_directory != directory) {
      return absl::InvalidArgumentError(
          Say(path, directory ? "is a file, not a directory" : "is a directory, not a file"));
    }
    if (directory && !it->second->names.empty()) {
      return absl::FailedPreconditionError(Say(path, "the directory is not empty"));
    }
    calls_.disk().SetName(**parent, LastName(path), nullptr);
    return absl::OkStatus();
  }

  Calls calls_;
  const std::string directory_;
};

}  // namespace

std::unique_ptr<io::Disk> MakeDiskView(Life& life) { return std::make_unique<DiskView>(life); }

SimDiskState::SimDiskState(Core& core, HostState& host)
    : core_(core), random_(core.root.Fork("disk").Fork(host.id.value())), root_(NewInode(true)) {}

void SimDiskState::MakeRoot(const std::string& directory) {
  InodePtr at = root_;
  for (const absl::string_view name : absl::StrSplit(directory, '/')) {
    InodePtr& next = at->names[std::string(name)];
    if (next == nullptr) next = NewInode(true);
    at = next;
  }
}

absl::StatusOr<InodePtr> SimDiskState::Walk(const std::string& directory, std::string_view path) {
  RETURN_IF_ERROR(io::CheckPath(path));
  InodePtr at = root_;
  const auto descend = [&at](absl::string_view names) {
    for (const absl::string_view name : absl::StrSplit(names, '/')) {
      if (!at->is_directory) return false;
      const auto it = at->names.find(base::Std(name));
      if (it == at->names.end()) return false;
      at = it->second;
    }
    return true;
  };
  if (!descend(directory)) return absl::UnavailableError(Say(path, "the data directory is gone"));
  if (!path.empty() && path != "." && !descend(base::Abseil(path))) {
    return absl::NotFoundError(Say(path, "no such file"));
  }
  return at;
}

void SimDiskState::SetName(Inode& directory, std::string_view name, InodePtr target) {
  const auto it = directory.names.find(name);
  directory.unsynced_names.push_back(
      {std::string(name), it == directory.names.end() ? nullptr : it->second});
  if (target == nullptr) {
    if (it != directory.names.end()) directory.names.erase(it);
  } else if (it != directory.names.end()) {
    it->second = std::move(target);
  } else {
    directory.names[std::string(name)] = std::move(target);
  }
}

absl::Status SimDiskState::Resize(Inode& file, uint64_t size, std::string_view path) {
  const uint64_t old = file.bytes.size();
  if (size > old && used_ + (size - old) > core_.options.disk.capacity_bytes) {
    return absl::ResourceExhaustedError(
        Say(path, "no space on the disk: ", core_.options.disk.capacity_bytes, " bytes, ", used_,
            " used; free some"));
  }
  if (size > old && trouble_.free_bytes.has_value()) [[unlikely]] {
    if (size - old > *trouble_.free_bytes) {
      core_.Bite(trouble_.full_by);
      return absl::ResourceExhaustedError(
          Say(path, "no space on the disk: ", *trouble_.free_bytes, " bytes left; free some"));
    }
    *trouble_.free_bytes -= size - old;
  }
  // What is cut away and was durable is still on the platter.
  for (uint64_t sector = size / kSectorBytes;
       sector * kSectorBytes < std::min(old, file.durable_size); ++sector) {
    const uint64_t from = sector * kSectorBytes;
    if (!file.platter.contains(sector))
      file.platter[sector] = file.bytes.substr(from, kSectorBytes);
  }
  file.bytes.resize(size);
  used_ += size - old;
  file.dirty = true;
  return absl::OkStatus();
}

void SimDiskState::Overwrite(Inode& file, uint64_t offset, std::string_view bytes) {
  if (bytes.empty()) return;
  for (uint64_t sector = offset / kSectorBytes;
       sector <= (offset + bytes.size() - 1) / kSectorBytes &&
       sector * kSectorBytes < file.durable_size;
       ++sector) {
    if (!file.platter.contains(sector)) {
      file.platter[sector] = file.bytes.substr(
          sector * kSectorBytes, std::min(kSectorBytes, file.durable_size - sector * kSectorBytes));
    }
  }
  file.bytes.replace(offset, bytes.size(), bytes);
  file.dirty = true;
}

void SimDiskState::Sync(Inode& file) {
  file.platter.clear();
  file.durable_size = file.bytes.size();
  file.dirty = false;
}

void SimDiskState::FailSync(Inode& file) {
  ++file.failed_syncs;
  CrashFile(file);
}

bool SimDiskState::Strikes(DiskTrouble::Calls& calls) {
  if (calls.calls == 0) [[likely]]
    return false;
  if (calls.skip > 0) {
    --calls.skip;
    return false;
  }
  --calls.calls;
  core_.Bite(calls.tag);
  return true;
}

void SimDiskState::WakeHung() {
  for (const io::TaskRef task : std::exchange(hung_, {})) core_.Unpark(task);
}

std::vector<Inode*> SimDiskState::Files() {
  std::vector<Inode*> files;
  const auto visit = [&](auto& self, Inode& inode) -> void {
    if (!inode.is_directory && !inode.bytes.empty() &&
        std::find(files.begin(), files.end(), &inode) == files.end())
      files.push_back(&inode);
    for (const auto& [name, child] : inode.names) self(self, *child);
  };
  visit(visit, *root_);
  return files;
}

bool SimDiskState::FlipStored(uint64_t bits, uint64_t where, FaultTag tag) {
  const std::vector<Inode*> files = Files();
  if (files.empty()) return false;
  Inode& file = *files[where % files.size()];
  for (uint64_t i = 0; i < bits; ++i) {
    const uint64_t bit = random_.Between(uint64_t{0}, file.bytes.size() * 8 - 1);
    file.bytes[bit / 8] = static_cast<char>(file.bytes[bit / 8] ^ (1 << bit % 8));
  }
  file.damaged_by = tag;
  return true;
}

void SimDiskState::Misdirect(Inode& meant, std::string_view bytes, FaultTag tag) {
  meant.damaged_by = tag;
  const std::vector<Inode*> files = Files();
  if (files.empty()) return;
  Inode& hit = *files[random_.Between(uint64_t{0}, files.size() - 1)];
  const uint64_t sector = random_.Between(uint64_t{0}, (hit.bytes.size() - 1) / kSectorBytes);
  const uint64_t offset = sector * kSectorBytes;
  Overwrite(hit, offset, bytes.substr(0, hit.bytes.size() - offset));
  hit.damaged_by = tag;
}

void SimDiskState::OnLifeEnded(Life& life) {
  const auto release = [&](auto& self, Inode& inode) -> void {
    if (inode.lock_holder == &life) inode.lock_holder = nullptr;
    for (const auto& [name, child] : inode.names) self(self, *child);
  };
  release(release, *root_);
}

void SimDiskState::CrashInode(Inode& inode) {
  inode.lock_holder = nullptr;
  if (inode.is_directory) {
    // A prefix of the unsynced changes made it to the platter.
    if (!inode.unsynced_names.empty()) {
      const auto kept =
          static_cast<size_t>(random_.Between(uint64_t{0}, inode.unsynced_names.size()));
      while (inode.unsynced_names.size() > kept) {
        NameChange& change = inode.unsynced_names.back();
        if (change.before == nullptr) {
          inode.names.erase(change.name);
        } else {
          inode.names[change.name] = std::move(change.before);
        }
        inode.unsynced_names.pop_back();
      }
      inode.unsynced_names.clear();
    }
    for (const auto& [name, child] : inode.names) CrashInode(*child);
    return;
  }
  CrashFile(inode);
}

void SimDiskState::CrashFile(Inode& inode) {
  if (!inode.dirty) return;
  const uint64_t size = inode.bytes.size();
  const uint64_t low = std::min(size, inode.durable_size);
  const uint64_t high = std::max(size, inode.durable_size);
  const uint64_t new_size = random_.Between(low, high);
  inode.bytes.resize(high);
  const uint64_t sectors = (high + kSectorBytes - 1) / kSectorBytes;
  for (uint64_t sector = 0; sector < sectors; ++sector) {
    const uint64_t from = sector * kSectorBytes;
    const uint64_t length = std::min(kSectorBytes, high - from);
    const auto it = inode.platter.find(sector);
    const bool beyond = from + length > inode.durable_size;
    if (it == inode.platter.end() && !beyond) continue;  // clean
    std::string old =
        it != inode.platter.end()
            ? it->second
            : inode.bytes.substr(from, from < inode.durable_size ? inode.durable_size - from : 0);
    old.resize(length);
    // 0: as before, 1: as written, 2: torn, the front is new, 3: torn, the back is new.
    const uint64_t fate = random_.Between(uint64_t{0}, uint64_t{3});
    const uint64_t tear = random_.Between(uint64_t{0}, length);
    const uint64_t new_from = fate == 0 ? length : fate == 3 ? tear : 0;
    const uint64_t new_to = fate == 2 ? tear : length;
    for (uint64_t i = 0; i < length; ++i) {
      if (i < new_from || i >= new_to) inode.bytes[from + i] = old[i];
    }
  }
  inode.bytes.resize(new_size);
  used_ = used_ - size + new_size;
  Sync(inode);
}

void SimDiskState::Crash() { CrashInode(*root_); }

void SimDiskState::RenameRoot(const std::string& from, const std::string& to) {
  const auto it = root_->names.find(from);
  if (it == root_->names.end() || from == to) return;
  root_->names[to] = it->second;
  root_->names.erase(from);
}

void SimDiskState::Replace() { root_ = NewInode(true); }

}  // namespace weir::sim
