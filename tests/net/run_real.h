// Runs a program in the real world, in this process, with a data directory of its own.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "net/real_world.h"
#include "tests/temporary_directory.h"

namespace weir::tests {

inline absl::Status RunReal(const io::Program& program, net::RealOptions options = {}) {
  const TemporaryDirectory directory;
  if (options.data_directory.empty()) options.data_directory = directory.path();
  if (options.process_name.empty()) options.process_name = "test";
  return net::Run(options, program);
}

// For programs that die on the way: they would leave their data directory behind.
inline absl::Status RunWithoutDisk(const io::Program& program) {
  return net::Run({.process_name = "test"}, program);
}

}  // namespace weir::tests
