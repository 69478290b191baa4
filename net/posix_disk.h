// PosixDisk: io::Disk on the files below one directory of this host.
//
// Bytes to and from the page cache are copied on the calling thread. Whatever may wait for the
// device goes to a helper: syncs, reads of what is not cached, and all changes of directories,
// which may wait for the journal. Unless that would be the slower way: on a device that has been
// fast, by a thread that has nothing else to do.
#pragma once

#include <algorithm>
#include <atomic>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/disk.h"
#include "net/posix.h"
#include "net/real_tasks.h"

namespace weir::net {

// How long one kind of call takes on this disk, as a moving average. Any thread.
class Pace {
 public:
  // Less than ten times what the way to a helper and back costs. A slot stands still no longer
  // than for half a slice of an operator.
  bool fast() const { return nanoseconds_.load(std::memory_order_relaxed) < 500'000; }
  void Took(base::Duration duration) {
    // One call that was held up says little; two in a row say that the disk is slow.
    const int64_t counted = std::min<int64_t>(duration.count(), 2'000'000);
    const int64_t average = nanoseconds_.load(std::memory_order_relaxed);
    nanoseconds_.store(average + (counted - average) / 8, std::memory_order_relaxed);
  }

 private:
  // Fast until shown to be slow: a file whose blocks were asked for from two cores by turns lies in
  // pieces, and every later append to it costs a fifth more.
  std::atomic<int64_t> nanoseconds_{100'000};
};

// Runs a call that may wait for the device, on a helper unless the pace says otherwise.
void CallDevice(RealTasks& tasks, Pace& pace, std::string_view what,
                absl::FunctionRef<void()> call);

class PosixDisk final : public io::Disk {
 public:
  // Makes the directory if there is none, and writes to it to see that one can. With an empty
  // `directory` every call fails and says that there is none.
  static absl::StatusOr<std::unique_ptr<PosixDisk>> Open(RealTasks& tasks,
                                                         const std::string& directory);

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

  // Makes `path` and the directories above it, as far as they are missing.
  absl::Status MakeDirectories(std::string_view path);
  // The path of the data directory as the host knows it; "" if there is none.
  const std::string& root_path() const { return root_path_; }

 private:
  PosixDisk(RealTasks& tasks, std::string root_path, Fd root)
      : tasks_(tasks), root_path_(std::move(root_path)), root_(std::move(root)) {}

  // What every call asks first. Gives `path` in the kernel's form.
  absl::StatusOr<std::string> Check(std::string_view path) const;
  absl::Status Error(int error, std::string_view path) const;
  absl::Status ChangeDirectory(std::string_view what, std::string_view path,
                               absl::FunctionRef<int(const char*)> change);

  RealTasks& tasks_;
  const std::string root_path_;
  const Fd root_;
  Pace reads_;
  Pace syncs_;
  Pace changes_;  // of directories
};

}  // namespace weir::net
