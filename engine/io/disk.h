// Disk: the files of one host below one directory that belongs to this process.
//
// What is durable, and all that is: the bytes of a file after its Sync returned OK, and the names
// of a directory (created, linked, renamed, removed) after its SyncDirectory returned OK. Only
// Rename replaces a file in one step. Unsynced bytes may survive a crash whole, in part, in any
// order, or not at all.
//
// After a failed Sync the state of the unsynced bytes is unknown, and a later Sync that succeeds
// says nothing about them: the file counts as broken and is written afresh under another name.
//
// Calls take no deadline: the kernel has none for disks. A hung disk is found by whoever waits for
// the caller.
//
// Paths are relative to the process's data directory, with '/' between names; "..", absolute paths
// and empty names are kInvalidArgument. Errors: kNotFound, kAlreadyExists, kResourceExhausted (no
// space, no descriptors), kPermissionDenied, kFailedPrecondition (a directory that is not empty, a
// lock held elsewhere), kDataLoss (the disk failed a read or a sync), kUnavailable (the disk is
// gone). A message names the path.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/io/tasks.h"

namespace weir::io {

enum class OpenMode {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // must not exist; read and write
  kOverwrite,  // made, or cut to nothing; read and write
};

class File {
 public:
  virtual ~File() = default;  // Closes, syncs nothing.
  // Reads at `offset` into `into`; fewer bytes than asked for means the end of the file, 0 that
  // offset is at or past it.
  virtual absl::StatusOr<size_t> Read(uint64_t offset, absl::Span<char> into) = 0;
  // Writes all of `bytes` or fails; after a failure any part of them may be in the file.
  virtual absl::Status Write(uint64_t offset, std::string_view bytes) = 0;
  // Writes at the end.
  virtual absl::Status Append(std::string_view bytes) = 0;
  virtual absl::Status Truncate(uint64_t size) = 0;
  virtual absl::StatusOr<uint64_t> Size() = 0;
  virtual absl::Status Sync() = 0;
};

// Held by this process until destroyed, or until the process dies, however it dies.
class FileLock {
 public:
  virtual ~FileLock() = default;
};

struct FileInfo {
  bool is_directory = false;
  uint64_t size = 0;
};

struct DiskSpace {
  uint64_t total_bytes = 0;
  uint64_t free_bytes = 0;
};

class Disk {
 public:
  virtual ~Disk() = default;
  virtual absl::StatusOr<std::unique_ptr<File>> Open(std::string_view path, OpenMode mode) = 0;
  // Replaces `to` if it is a file. Durable after SyncDirectory of both directories.
  virtual absl::Status Rename(std::string_view from, std::string_view to) = 0;
  // A second name for the same file.
  virtual absl::Status Link(std::string_view from, std::string_view to) = 0;
  // OK if there is no such file.
  virtual absl::Status Remove(std::string_view path) = 0;
  // Makes one directory; OK if it is there.
  virtual absl::Status MakeDirectory(std::string_view path) = 0;
  // Must be empty; OK if there is none.
  virtual absl::Status RemoveDirectory(std::string_view path) = 0;
  virtual absl::Status SyncDirectory(std::string_view path) = 0;
  // Names without their directory, sorted.
  virtual absl::StatusOr<std::vector<std::string>> List(std::string_view path) = 0;
  virtual absl::StatusOr<FileInfo> Stat(std::string_view path) = 0;
  // Makes the file if there is none. kFailedPrecondition if another process or another lock of this
  // one holds it.
  virtual absl::StatusOr<std::unique_ptr<FileLock>> Lock(std::string_view path) = 0;
  virtual absl::StatusOr<DiskSpace> Space() = 0;
};

// The whole file. kNotFound if there is none.
absl::StatusOr<std::string> ReadFile(Disk& disk, std::string_view path);
// Replaces `path` so that after OK it holds `bytes`, and after a crash either the old content or
// the new: write beside it, sync, rename, sync the directory.
absl::Status ReplaceFile(Disk& disk, std::string_view path, std::string_view bytes);

// For implementations: refuses what is no path below the data directory. "" and "." are the
// directory itself.
absl::Status CheckPath(std::string_view path);
// "a/b/c" -> "a/b"; "a" -> "".
std::string_view ParentOf(std::string_view path);

}  // namespace weir::io
