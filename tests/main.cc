// The test binary: GoogleTest, or, called with "--program=NAME", a process that runs a program of
// tests/programs.cc.

#include <gtest/gtest.h>

#include <cstdio>

#include "net/real_world.h"
#include "tests/programs.h"

int main(int argc, char** argv) {
  if (argc > 1) {
    if (const std::string_view name = weir::tests::ProgramName(argv[1]); !name.empty()) {
      const weir::io::Program* const program = weir::tests::FindProgram(name);
      if (program == nullptr) {
        std::fprintf(stderr, "no test program \"%s\"; tests/programs.cc has the table\n", argv[1]);
        return 2;
      }
      return weir::net::Main(argc, argv, *program);
    }
  }
  testing::InitGoogleTest(&argc, argv);
  // A death test starts this binary afresh: a fork of a process with threads and fibers has only
  // some of them.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  return RUN_ALL_TESTS();
}
