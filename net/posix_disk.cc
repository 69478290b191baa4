#include "net/posix_disk.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"

namespace weir::net {
namespace {

// Copying more than this is worth the way to a helper: about 60 us in which no other task runs.
constexpr size_t kInlineBytes = 256 << 10;

std::string Say(std::string_view path, std::string_view why) {
  return absl::StrFormat("file \"%s\": %s", base::Abseil(path), base::Abseil(why));
}

// `room` tells how much of the disk is free, if that could matter.
absl::Status FromErrno(int error, std::string_view path, const std::string& room) {
  switch (error) {
    case ENOENT:
      return absl::NotFoundError(Say(path, "no such file"));
    case EEXIST:
      return absl::AlreadyExistsError(Say(path, "exists already"));
    case ENOTEMPTY:
      return absl::FailedPreconditionError(Say(path, "the directory is not empty"));
    case EISDIR:
      return absl::InvalidArgumentError(Say(path, "is a directory, not a file"));
    case ENOTDIR:
      return absl::InvalidArgumentError(Say(path, "is a file, not a directory, or below one"));
    case ENOSPC:
      return absl::ResourceExhaustedError(
          Say(path, "no space left on the disk" + room + "; free some, or use another disk"));
    case EDQUOT:
      return absl::ResourceExhaustedError(
          Say(path, "the quota of this user is used up; free some space, or raise it"));
    case EFBIG:
      return absl::ResourceExhaustedError(
          Say(path, "larger than this disk or `ulimit -f` allows; raise the limit"));
    case EMFILE:
    case ENFILE:
      return absl::ResourceExhaustedError(Say(path, DescriptorsUsedUp(error)));
    case ENOMEM:
      return absl::ResourceExhaustedError(Say(path, "the kernel has no memory for it"));
    case EACCES:
    case EPERM:
      return absl::PermissionDeniedError(
          Say(path, "not allowed; change the owner or the mode of the file, or run as its owner"));
    case EROFS:
      return absl::PermissionDeniedError(Say(path, "the disk is read-only; mount it writable"));
    case EIO:
      return absl::DataLossError(Say(path, "the disk reports an I/O error; replace it"));
    default:
      return absl::UnavailableError(Say(path, ErrorWords(error)));
  }
}

std::string Room(int fd) {
  struct statvfs info;
  if (fstatvfs(fd, &info) != 0) return "";
  return absl::StrFormat(" (%d of %d bytes free)", info.f_bavail * info.f_frsize,
                         info.f_blocks * info.f_frsize);
}

class PosixFile final : public io::File {
 public:
  // The paces are the disk's, which outlives its files.
  PosixFile(RealTasks& tasks, Pace& reads, Pace& syncs, Fd fd, std::string path, bool writable)
      : tasks_(tasks),
        reads_(reads),
        syncs_(syncs),
        fd_(std::move(fd)),
        path_(std::move(path)),
        writable_(writable) {}

  absl::StatusOr<size_t> Read(uint64_t offset, absl::Span<char> into) override {
    size_t done = 0;
    int error = 0;
    if (into.size() <= kInlineBytes) error = ReadSome(offset, into, done, RWF_NOWAIT);
    // Not cached, or the file system cannot tell.
    if (done < into.size() && (error != 0 || into.size() > kInlineBytes)) {
      CallDevice(tasks_, reads_, "read", [&] { error = ReadSome(offset, into, done, 0); });
    }
    if (error != 0) return Error(error);
    return done;
  }

  absl::Status Write(uint64_t offset, std::string_view bytes) override {
    return Put(static_cast<off_t>(offset), bytes, 0);
  }
  absl::Status Append(std::string_view bytes) override { return Put(0, bytes, RWF_APPEND); }

  absl::Status Truncate(uint64_t size) override {
    RETURN_IF_ERROR(Writable());
    int error = 0;
    tasks_.Offload("truncate", [&] {
      if (ftruncate(fd_.get(), static_cast<off_t>(size)) != 0) error = errno;
    });
    return error == 0 ? absl::OkStatus() : Error(error);
  }

  absl::StatusOr<uint64_t> Size() override {
    struct stat info;
    if (fstat(fd_.get(), &info) != 0) return Error(errno);
    return static_cast<uint64_t>(info.st_size);
  }

  absl::Status Sync() override {
    if (broken_) {
      return absl::DataLossError(
          Say(path_, "an earlier sync failed; write the file afresh under another name"));
    }
    int error = 0;
    CallDevice(tasks_, syncs_, "sync", [&] {
      // Writes the size, too, if it changed: all that is needed to read the bytes back.
      if (fdatasync(fd_.get()) != 0) error = errno;
    });
    if (error == 0) return absl::OkStatus();
    // The kernel forgets the failed pages: a later sync would succeed without them.
    broken_ = true;
    const absl::Status status = Error(error);
    if (absl::IsResourceExhausted(status)) return status;
    return absl::DataLossError(status.message());
  }

 private:
  absl::Status Writable() const {
    if (writable_) return absl::OkStatus();
    return absl::PermissionDeniedError(Say(path_, "opened for reading only"));
  }

  absl::Status Error(int error) const { return FromErrno(error, path_, Room(fd_.get())); }

  // Adds to `done` until `into` is full or the file ends; returns errno.
  int ReadSome(uint64_t offset, absl::Span<char> into, size_t& done, int flags) const {
    while (done < into.size()) {
      const iovec part = {into.data() + done, into.size() - done};
      const ssize_t got = preadv2(fd_.get(), &part, 1, static_cast<off_t>(offset + done), flags);
      if (got == 0) return 0;
      if (got > 0) done += static_cast<size_t>(got);
      if (got < 0 && errno != EINTR) return errno;
    }
    return 0;
  }

  absl::Status Put(off_t offset, std::string_view bytes, int flags) {
    RETURN_IF_ERROR(Writable());
    if (bytes.size() <= kInlineBytes) return PutNow(offset, bytes, flags);
    absl::Status status;
    tasks_.Offload("write", [&] { status = PutNow(offset, bytes, flags); });
    return status;
  }

  absl::Status PutNow(off_t offset, std::string_view bytes, int flags) const {
    while (!bytes.empty()) {
      const iovec part = {const_cast<char*>(bytes.data()), bytes.size()};
      const ssize_t done = pwritev2(fd_.get(), &part, 1, offset, flags);
      if (done < 0 && errno == EINTR) continue;
      if (done < 0) return Error(errno);
      bytes.remove_prefix(static_cast<size_t>(done));
      offset += done;
    }
    return absl::OkStatus();
  }

  RealTasks& tasks_;
  Pace& reads_;
  Pace& syncs_;
  const Fd fd_;
  const std::string path_;
  const bool writable_;
  bool broken_ = false;
};

// The lock belongs to the open file, which nobody else has, and goes with it.
class PosixFileLock final : public io::FileLock {
 public:
  explicit PosixFileLock(Fd fd) : fd_(std::move(fd)) {}

 private:
  const Fd fd_;
};

absl::Status BadDirectory(const std::string& directory, const char* what, int error) {
  const std::string message = absl::StrFormat(
      "data directory \"%s\": cannot %s: %s; give a directory on a disk with "
      "space that this user may write",
      directory, what, ErrorWords(error));
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
      return absl::ResourceExhaustedError(message);
    case EACCES:
    case EPERM:
    case EROFS:
      return absl::PermissionDeniedError(message);
    case ENOTDIR:
    case EEXIST:
    case ENAMETOOLONG:
      return absl::InvalidArgumentError(message);
    default:
      return absl::UnavailableError(message);
  }
}

}  // namespace

void CallDevice(RealTasks& tasks, Pace& pace, std::string_view what,
                absl::FunctionRef<void()> call) {
  const auto timed = [&] {
    const base::Monotonic start = MonotonicNow();
    call();
    pace.Took(MonotonicNow() - start);
  };
  const Loop* const loop = Loop::This();
  if (loop != nullptr && pace.fast() && loop->nothing_ready()) {
    timed();
  } else {
    tasks.Offload(what, timed);
  }
}

// ------------------------------------------------------------------------------------- opening

absl::StatusOr<std::unique_ptr<PosixDisk>> PosixDisk::Open(RealTasks& tasks,
                                                           const std::string& directory) {
  if (directory.empty()) return std::unique_ptr<PosixDisk>(new PosixDisk(tasks, "", Fd()));
  for (size_t slash = directory.find('/', 1);; slash = directory.find('/', slash + 1)) {
    const std::string part = directory.substr(0, slash);
    if (mkdir(part.c_str(), 0777) != 0 && errno != EEXIST) {
      // A directory above may be unwritable and yet hold the next one.
      const int error = errno;
      if (access(part.c_str(), F_OK) != 0) return BadDirectory(directory, "make it", error);
    }
    if (slash == std::string::npos) break;
  }
  char resolved[PATH_MAX];
  if (realpath(directory.c_str(), resolved) == nullptr) {
    return BadDirectory(directory, "find it", errno);
  }
  Fd root(open(resolved, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root) return BadDirectory(directory, "open it", errno);
  // Permissions and file systems lie in many ways; a block written does not.
  const std::string probe = ".probe-" + std::to_string(getpid());
  Fd file(openat(root.get(), probe.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  int error = file ? 0 : errno;
  if (file) {
    const std::string block(4096, 'w');
    if (write(file.get(), block.data(), block.size()) != static_cast<ssize_t>(block.size())) {
      error = errno == 0 ? ENOSPC : errno;
    }
    unlinkat(root.get(), probe.c_str(), 0);
  }
  if (error != 0) return BadDirectory(directory, "write to it", error);
  return std::unique_ptr<PosixDisk>(new PosixDisk(tasks, resolved, std::move(root)));
}

absl::StatusOr<std::string> PosixDisk::Check(std::string_view path) const {
  RETURN_IF_ERROR(io::CheckPath(path));
  if (!root_) {
    return absl::FailedPreconditionError(
        Say(path, "this process was given no data directory; start it with one"));
  }
  return path.empty() ? std::string(".") : std::string(path);
}

absl::Status PosixDisk::Error(int error, std::string_view path) const {
  return FromErrno(error, path, Room(root_.get()));
}

absl::StatusOr<std::unique_ptr<io::File>> PosixDisk::Open(std::string_view path,
                                                          io::OpenMode mode) {
  ASSIGN_OR_RETURN(const std::string name, Check(path));
  int flags = O_CLOEXEC;
  switch (mode) {
    case io::OpenMode::kRead:
      flags |= O_RDONLY;
      break;
    case io::OpenMode::kReadWrite:
      flags |= O_RDWR;
      break;
    case io::OpenMode::kCreate:
      flags |= O_RDWR | O_CREAT | O_EXCL;
      break;
    case io::OpenMode::kOverwrite:
      flags |= O_RDWR | O_CREAT | O_TRUNC;
      break;
  }
  Fd fd;
  int error = 0;
  CallDevice(tasks_, changes_, "open", [&] {
    fd = Fd(openat(root_.get(), name.c_str(), flags, 0666));
    struct stat info;
    if (!fd || fstat(fd.get(), &info) != 0) {
      error = errno;
    } else if (S_ISDIR(info.st_mode)) {
      error = EISDIR;  // which the kernel opens for reading
    }
  });
  if (error != 0) return Error(error, path);
  return std::make_unique<PosixFile>(tasks_, reads_, syncs_, std::move(fd), name,
                                     mode != io::OpenMode::kRead);
}

// --------------------------------------------------------------------------------- directories

absl::Status PosixDisk::ChangeDirectory(std::string_view what, std::string_view path,
                                        absl::FunctionRef<int(const char*)> change) {
  ASSIGN_OR_RETURN(const std::string name, Check(path));
  if (name == ".") {
    return absl::InvalidArgumentError(Say(path, "names the data directory itself"));
  }
  int error = 0;
  CallDevice(tasks_, changes_, what, [&] {
    if (change(name.c_str()) != 0) error = errno;
  });
  return error == 0 ? absl::OkStatus() : Error(error, path);
}

absl::Status PosixDisk::Rename(std::string_view from, std::string_view to) {
  ASSIGN_OR_RETURN(const std::string target, Check(to));
  bool from_found = false;
  bool replaces_directory = false;
  const absl::Status status = ChangeDirectory("rename", from, [&](const char* source) {
    struct stat old_info, new_info;
    from_found = fstatat(root_.get(), source, &old_info, AT_SYMLINK_NOFOLLOW) == 0;
    if (from_found && fstatat(root_.get(), target.c_str(), &new_info, AT_SYMLINK_NOFOLLOW) == 0 &&
        old_info.st_ino != new_info.st_ino &&
        (S_ISDIR(old_info.st_mode) || S_ISDIR(new_info.st_mode))) {
      replaces_directory = true;
      return 0;
    }
    return renameat(root_.get(), source, root_.get(), target.c_str());
  });
  if (replaces_directory) {
    return absl::AlreadyExistsError(Say(to, "exists; only a file replaces a file"));
  }
  // It is the directory of the new name that is missing.
  if (from_found && absl::IsNotFound(status)) return Error(ENOENT, to);
  return status;
}

absl::Status PosixDisk::Link(std::string_view from, std::string_view to) {
  ASSIGN_OR_RETURN(const std::string source, Check(from));
  bool from_missing = false;
  bool is_directory = false;
  const absl::Status status = ChangeDirectory("link", to, [&](const char* target) {
    struct stat info;
    from_missing = fstatat(root_.get(), source.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0;
    is_directory = !from_missing && S_ISDIR(info.st_mode);
    return linkat(root_.get(), source.c_str(), root_.get(), target, 0);
  });
  if (status.ok()) return status;
  if (from_missing) return absl::NotFoundError(Say(from, "no such file"));
  if (is_directory) return absl::InvalidArgumentError(Say(from, "is a directory, not a file"));
  return status;
}

absl::Status PosixDisk::Remove(std::string_view path) {
  return ChangeDirectory("remove", path, [&](const char* name) {
    return unlinkat(root_.get(), name, 0) == 0 || errno == ENOENT ? 0 : -1;
  });
}

absl::Status PosixDisk::RemoveDirectory(std::string_view path) {
  return ChangeDirectory("remove directory", path, [&](const char* name) {
    return unlinkat(root_.get(), name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -1;
  });
}

absl::Status PosixDisk::MakeDirectory(std::string_view path) {
  ASSIGN_OR_RETURN(const std::string name, Check(path));
  if (name == ".") return absl::OkStatus();
  const absl::Status status = ChangeDirectory("make directory", path, [&](const char* made) {
    struct stat info;
    if (mkdirat(root_.get(), made, 0777) == 0) return 0;
    if (errno != EEXIST) return -1;
    if (fstatat(root_.get(), made, &info, 0) == 0 && S_ISDIR(info.st_mode)) return 0;
    errno = EEXIST;
    return -1;
  });
  if (!absl::IsAlreadyExists(status)) return status;
  return absl::AlreadyExistsError(Say(path, "is a file, not a directory"));
}

absl::Status PosixDisk::MakeDirectories(std::string_view path) {
  for (size_t slash = path.find('/');; slash = path.find('/', slash + 1)) {
    RETURN_IF_ERROR(MakeDirectory(path.substr(0, slash)));
    if (slash == std::string_view::npos) return absl::OkStatus();
  }
}

absl::Status PosixDisk::SyncDirectory(std::string_view path) {
  ASSIGN_OR_RETURN(const std::string name, Check(path));
  int error = 0;
  CallDevice(tasks_, syncs_, "sync directory", [&] {
    const Fd fd(openat(root_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fd || fsync(fd.get()) != 0) error = errno;
  });
  if (error == 0) return absl::OkStatus();
  const absl::Status status = Error(error, path);
  return error == EIO ? absl::DataLossError(status.message()) : status;
}

absl::StatusOr<std::vector<std::string>> PosixDisk::List(std::string_view path) {
  ASSIGN_OR_RETURN(const std::string name, Check(path));
  std::vector<std::string> names;
  int error = 0;
  CallDevice(tasks_, changes_, "list", [&] {
    const int fd = openat(root_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR* const directory = fd < 0 ? nullptr : fdopendir(fd);
    if (directory == nullptr) {
      error = errno;
      if (fd >= 0) close(fd);
      return;
    }
    errno = 0;
    while (const dirent* const entry = readdir(directory)) {
      const std::string_view found = entry->d_name;
      if (found != "." && found != "..") names.emplace_back(found);
    }
    error = errno;
    closedir(directory);
  });
  if (error != 0) return Error(error, path);
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<io::FileInfo> PosixDisk::Stat(std::string_view path) {
  ASSIGN_OR_RETURN(const std::string name, Check(path));
  struct stat info;
  if (fstatat(root_.get(), name.c_str(), &info, 0) != 0) return Error(errno, path);
  const bool is_directory = S_ISDIR(info.st_mode);
  return io::FileInfo{.is_directory = is_directory,
                      .size = is_directory ? 0 : static_cast<uint64_t>(info.st_size)};
}

absl::StatusOr<std::unique_ptr<io::FileLock>> PosixDisk::Lock(std::string_view path) {
  ASSIGN_OR_RETURN(const std::string name, Check(path));
  Fd fd;
  int error = 0;
  CallDevice(tasks_, changes_, "lock", [&] {
    fd = Fd(openat(root_.get(), name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666));
    if (!fd || flock(fd.get(), LOCK_EX | LOCK_NB) != 0) error = errno;
  });
  if (error == EWOULDBLOCK) {
    return absl::FailedPreconditionError(
        Say(path, "locked by another process; stop that one, or use another directory"));
  }
  if (error != 0) return Error(error, path);
  return std::make_unique<PosixFileLock>(std::move(fd));
}

absl::StatusOr<io::DiskSpace> PosixDisk::Space() {
  RETURN_IF_ERROR(Check("").status());
  struct statvfs info;
  int error = 0;
  tasks_.Offload("space", [&] {
    if (fstatvfs(root_.get(), &info) != 0) error = errno;
  });
  if (error != 0) return Error(error, "");
  return io::DiskSpace{.total_bytes = info.f_blocks * info.f_frsize,
                       .free_bytes = info.f_bavail * info.f_frsize};
}

}  // namespace weir::net
