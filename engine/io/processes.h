// Processes: starting programs, and how they ended. A program is known by the hash of its content,
// so that what was planned is what runs; a child dies with its parent, however the parent dies.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "engine/base/hash.h"
#include "engine/base/ids.h"
#include "engine/io/tasks.h"

namespace weir::io {

using ProcessId = base::Id<struct ProcessTag>;

struct ExitStatus {
  bool by_signal = false;
  int code = 0;  // the exit code, or the number of the signal

  bool ok() const { return !by_signal && code == 0; }
  // "exit 3", "signal 9".
  std::string ToString() const;
  friend bool operator==(const ExitStatus&, const ExitStatus&) = default;
};
inline constexpr int kKillSignal = 9;
inline constexpr int kTerminateSignal = 15;

struct SpawnOptions {
  base::Hash128 program{};
  std::vector<std::string> arguments{};  // without the program's own name
  // The child's data directory, below this process's own; made if there is none.
  std::string directory{};
  bool capture_output =
      false;  // what it prints is read with Child::ReadOutput; else it goes where ours goes
};

// A process that this one started. Destroying the handle of one that runs kills it: nothing is left
// behind.
class Child {
 public:
  virtual ~Child() = default;
  virtual ProcessId id() const = 0;
  virtual absl::StatusOr<ExitStatus> Wait(Monotonic deadline) = 0;
  // At once, without a chance to clean up. OK if it has ended.
  virtual absl::Status Kill() = 0;
  // Asks it to end: a termination signal. OK if it has ended.
  virtual absl::Status Terminate() = 0;
  // Stops it where it stands, and lets it go on: what a long garbage collection looks like from
  // outside.
  virtual absl::Status Pause() = 0;
  virtual absl::Status Resume() = 0;
  // Waits for something on its standard output; 0 is the end. Only with capture_output.
  virtual absl::StatusOr<size_t> ReadOutput(absl::Span<char> into, Monotonic deadline) = 0;
};

class Processes {
 public:
  virtual ~Processes() = default;
  virtual ProcessId self() const = 0;
  // What this process was started with, without the program's name.
  virtual const std::vector<std::string>& arguments() const = 0;
  // The hash of this process's own program.
  virtual absl::StatusOr<base::Hash128> Self() = 0;
  // Reads the program at a path of this host and remembers it, so that its hash can be spawned.
  // kNotFound, kPermissionDenied: it cannot be run.
  virtual absl::StatusOr<base::Hash128> Install(std::string_view path) = 0;
  // kNotFound: no installed program has this content now (it may have been replaced).
  virtual absl::StatusOr<std::unique_ptr<Child>> Spawn(const SpawnOptions& options) = 0;
};

}  // namespace weir::io
