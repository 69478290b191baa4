// Who may break which rule, and why. A file entry that nothing needs any more fails a test; keep
// folders rare.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "tests/house/rules.h"

namespace weir::house {

const std::vector<Permission>& Permissions() {
  static const auto* permissions = new std::vector<Permission>{
      {"engine/io/fiber.cc", "system-header",
       "maps stacks and catches the fault of an overflow, for both worlds"},
      {"engine/io/fiber.cc", "process", "the handler of an overflown stack can only write and die"},
      {"engine/io/fiber.cc", "file", "the handler of an overflown stack can only write and die"},
      {"engine/io/fiber.cc", "clock",
       "Boost hands the end of a wait to its algorithm; ours ignores it"},
      {"engine/io/scheduler.cc", "catch-all",
       "the root of every task: nothing is above to rethrow to"},
      {"engine/base/check.cc", "console", "a failed CHECK has no Env"},

      {"engine/main/", "console", "the verbs print their results"},
      {"engine/main/", "process", "the exit status of a verb"},
      {"engine/main/main.cc", "file", "reads a plan wherever its user keeps it"},
      {"engine/main/", "environment",
       "the only place that looks at the command line and what surrounds it"},

      {".ci/sanitizer/", "system-header",
       "below everything of ours: it tells the sanitizers about stacks"},

      {".ci/sanitizer/", "thread", "asks the system for the stack of a thread"},

      {"tests/", "file", "temporary folders, golden files"},
      {"tests/", "console", "says what it saw"},
      {"tests/", "process", "runs the program, and waits for it"},
      {"tests/", "system-header", "for the same"},

      {"tests/house/", "environment", "gives the driver script a made-up PATH"},
      {"tests/house/", "thread", "sanitizer_test plants a race"},
      {"tests/house/", "fiber-wait", "sanitizer_test has Boost's fibers and nothing of ours"},

      {"tests/engine/base/base_test.cc", "thread", "two threads meet at a SpinLock"},

      {"tests/bench/", "clock", "measures real time"},
      {"tests/bench/", "thread", "the raw limit to compare with"},
      {"tests/bench/", "lock", "the raw limit to compare with"},
      {"tests/bench/", "socket", "the raw limit to compare with"},
      {"tests/bench/", "fiber-wait", "Boost's own round robin, to compare with"},

      {"tests/net/", "clock", "looks at the real world from outside"},
      {"tests/net/", "sleep", "looks at the real world from outside"},
      {"tests/net/", "thread", "looks at the real world from outside"},
      {"tests/net/", "lock", "looks at the real world from outside"},
      {"tests/net/", "socket", "looks at the real world from outside"},
      {"tests/net/", "environment", "looks at the real world from outside"},
  };
  return *permissions;
}

std::vector<Violation> WithoutPermitted(std::vector<Violation> violations) {
  std::erase_if(violations, [](const Violation& violation) {
    return std::any_of(Permissions().begin(), Permissions().end(),
                       [&](const Permission& permission) {
                         const bool here = permission.path.ends_with('/')
                                               ? violation.path.starts_with(permission.path)
                                               : violation.path == permission.path;
                         return here && violation.rule == permission.rule;
                       });
  });
  return violations;
}

std::string Describe(const std::vector<Violation>& violations) {
  std::string text;
  for (const Violation& violation : violations) {
    text += violation.path + ":" + std::to_string(violation.line) + ": " + violation.rule + ": " +
            violation.message + "\n";
  }
  return text;
}

}  // namespace weir::house
