// PosixProcesses: io::Processes on the kernel's processes.
//
// A child dies with its parent in two ways, as each has a hole: the kernel's parent-death signal
// (lost if the child was started by a thread that ends, so one thread starts all of them), and a
// lease: a pipe of which only the parent holds the other end, watched by the child.
//
// What is executed is the very file that was hashed: the descriptor that was checked is the one
// that is run, whatever happens to the path meanwhile.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "engine/io/processes.h"
#include "net/posix.h"
#include "net/posix_disk.h"
#include "net/real_tasks.h"

namespace weir::net {

// What a parent tells a child beside its arguments.
inline constexpr char kDirectoryVariable[] = "WEIR_DATA_DIRECTORY";
inline constexpr char kLeaseVariable[] = "WEIR_LEASE_FD";

class PosixProcesses final : public io::Processes {
 public:
  PosixProcesses(RealTasks& tasks, PosixDisk& disk, std::vector<std::string> arguments)
      : tasks_(tasks), disk_(disk), arguments_(std::move(arguments)), starter_("starter", 1) {}

  io::ProcessId self() const override;
  const std::vector<std::string>& arguments() const override { return arguments_; }
  absl::StatusOr<base::Hash128> Self() override;
  absl::StatusOr<base::Hash128> Install(std::string_view path) override;
  absl::StatusOr<std::unique_ptr<io::Child>> Spawn(const io::SpawnOptions& options) override;

 private:
  // A file as it was when its content was read: if all of this is equal, so is the content.
  struct Identity {
    uint64_t device = 0;
    uint64_t inode = 0;
    uint64_t size = 0;
    int64_t modified = 0;
    int64_t changed = 0;
    friend bool operator==(const Identity&, const Identity&) = default;
  };
  struct Program {
    std::string path;
    Identity identity;
  };

  static absl::StatusOr<Identity> IdentityOf(int fd, const std::string& path);
  // The hash of what is at `path` now. Blocks.
  absl::StatusOr<base::Hash128> HashFile(const std::string& path, Identity& identity);
  absl::StatusOr<base::Hash128> Remember(const std::string& path);
  // A descriptor of the program, checked. Blocks.
  absl::StatusOr<Fd> OpenProgram(const base::Hash128& hash, std::string& path);

  RealTasks& tasks_;
  PosixDisk& disk_;
  const std::vector<std::string> arguments_;
  std::mutex mutex_;  // guards what follows: tasks of any executor start processes
  std::map<base::Hash128, Program> programs_;
  std::map<std::string, base::Hash128> own_;  // "self", once it was asked for

  HelperPool starter_;  // the one thread that starts processes; lives as long as this
};

}  // namespace weir::net
