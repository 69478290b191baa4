// The real world: runs a program as a process of this host, with the kernel's clocks, threads, TCP,
// files and processes behind its Env.
//
// Run may be called for several programs of one OS process, at the same time even, each on a thread
// of its own: that is what tests do. Main is for a program that is the OS process.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "engine/base/config.h"
#include "engine/io/env.h"

namespace weir::net {

struct RealOptions {
  // Where Disk is rooted; made if there is none. Empty: the process has no disk.
  std::string data_directory;
  std::vector<std::string> arguments;  // without the program's own name
  base::Config config;
  std::string process_name;  // for the log; empty: the number of the OS process
  // The reading end of a pipe, handed over by the process that started this one: when the pipe
  // ends, so does this process, at once. -1: it may outlive its parent.
  int lease_fd = -1;
  // Takes SIGTERM and SIGINT of the OS process as requests to end.
  bool catch_signals = false;
};

// Runs `program` on the calling thread, which becomes its control executor. When it returns, what
// still runs in it is cancelled and waited for. What does not end within kExitGrace is named in one
// line, and the OS process ends with exit code 1.
//
// The program's own status, or that of a task that failed, or why it could not begin: no
// descriptors, a data directory that cannot be written.
absl::Status Run(const RealOptions& options, const io::Program& program);

// What the command line and a parent of ours say. What the parent said is taken out of the
// environment: it is not for the processes that this one may start by other means.
RealOptions OptionsOfProcess(int argc, char** argv);

// Run as the OS process: takes signals, raises the limit of descriptors as far as it may, logs an
// error. Returns the exit code: 0, or 1 after an error.
int Main(const RealOptions& options, const io::Program& program);
int Main(int argc, char** argv, const io::Program& program);

}  // namespace weir::net
