// Programs that the tests of net/ start as real processes, because what they try would harm the
// process of the test: limits, signals, a death. Rows of tests/programs.cc.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "engine/io/env.h"

namespace weir::tests {

// Runs out of descriptors while it accepts, then closes some and accepts again. Prints what it saw.
absl::Status NetDescriptors(io::Env& env);
// Runs another world inside, with no descriptor to be had; prints its status.
absl::Status NetNoDescriptors(io::Env& env);
// Writes a file beyond `ulimit -f`; prints the status and what of it can be read.
absl::Status NetFileSize(io::Env& env);
// Returns while a task of it runs and never waits.
absl::Status NetNeverEnds(io::Env& env);
// Waits for ever; prints "asked" for each request to end.
absl::Status NetInterrupted(io::Env& env);
// Starts net_leased, prints its number, and waits.
absl::Status NetParent(io::Env& env);
// Waits, with only the lease to end it: without the kernel's parent-death signal.
absl::Status NetLeased(io::Env& env);
// Prints which of the descriptors that its arguments name are open here.
absl::Status NetInherited(io::Env& env);

// How a process ended, and all that it wrote, to standard error, too.
struct Ended {
  io::ExitStatus exit;
  std::string output;
};
// Runs a row of tests/programs.cc as a process and waits for its end.
absl::StatusOr<Ended> RunProgram(io::Env& env, std::string_view name,
                                 std::vector<std::string> arguments = {});

}  // namespace weir::tests
