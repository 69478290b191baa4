// The rules of the house, each a function from sources to what breaks it. Pure, so that every rule
// is also tested on a planted violation. Permissions are not known here; they are one table in
// allowed.cc.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/house/source.h"

namespace weir::house {

struct Violation {
  std::string path;
  int line;
  std::string rule;     // The word used in allowed.cc.
  std::string message;  // What is wrong and what to do instead.
};

// Who may include whom (rule "include"), which library may be used where ("library"), which headers
// of the system and of the standard library are for net/ only ("system-header" and the rules of
// CheckCalls).
std::vector<Violation> CheckIncludes(const Source& source);

// Across files: net/ enters scenarios/ in one file only.
std::vector<Violation> CheckNetInScenarios(const std::map<std::string, Source>& tree);

// Calls and types that belong to net/: rules "clock", "sleep", "thread", "lock", "random", "file",
// "socket", "process", "environment", "console". Boost's own fiber waits belong nowhere:
// "fiber-wait".
std::vector<Violation> CheckCalls(const Source& source);

// Orders that differ from run to run: iteration over hash tables, containers ordered by address.
// Rule "order"; waived by a comment `// order unseen: reason` at the line or just above. `tree`
// gives the headers that the source includes.
std::vector<Violation> CheckOrder(const Source& source, const std::map<std::string, Source>& tree);

// Product code that could find out which world it runs in: rule "world".
std::vector<Violation> CheckWorld(const Source& source);

// `catch (...)` must rethrow, as a kill is an exception: rule "catch-all".
std::vector<Violation> CheckCatchAll(const Source& source);

// #pragma once, namespace = folder, no notes to oneself: rule "form".
std::vector<Violation> CheckForm(const Source& source);

// One entry of the table in allowed.cc.
struct Permission {
  std::string_view path;  // A file, or a folder when it ends in '/'.
  std::string_view rule;
  std::string_view reason;
};
const std::vector<Permission>& Permissions();

// What is left of `violations` after the permissions.
std::vector<Violation> WithoutPermitted(std::vector<Violation> violations);

// "engine/io/env.h:12: clock: ..." a line each.
std::string Describe(const std::vector<Violation>& violations);

}  // namespace weir::house
