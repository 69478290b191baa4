// Who may include whom. The two tables are ARCHITECTURE.md's, in a form that can fail.
#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

#include "tests/house/rules.h"

namespace weir::house {
namespace {

// Each folder of the engine may use those before it.
constexpr std::string_view kEngineOrder[] = {
    "engine/base",      "engine/io",         "engine/record", "engine/storage",    "engine/state",
    "engine/operators", "engine/exchange",   "engine/task",   "engine/checkpoint", "engine/graph",
    "engine/control",   "engine/connectors", "engine/api",
};

constexpr std::string_view kFolders[] = {"engine",    "net",  "sim",  "faults",
                                         "scenarios", "fuzz", "tests"};

// A library and the folders or files that may include it. Tests and fuzz targets may include any.
struct Library {
  std::string_view prefix;
  std::vector<std::string_view> users;
};

const std::vector<Library>& Libraries() {
  static const auto* libraries = new std::vector<Library>{
      {"absl/", {""}},
      {"xxhash.h", {"engine/base/"}},
      {"boost/fiber/", {"engine/io/fiber.cc"}},
      {"boost/context/", {"engine/io/fiber.cc", ".ci/sanitizer/"}},
      {"sanitizer/", {"engine/io/fiber.cc", ".ci/sanitizer/"}},
      {"CLI/", {"engine/main/"}},
      {"rocksdb/", {"engine/state/"}},
      {"google/protobuf/", {"engine/control/"}},
      {"boost/beast/", {"engine/control/", "engine/connectors/"}},
      {"boost/asio/", {"engine/control/", "engine/connectors/"}},
      {"boost/json", {"engine/control/", "engine/connectors/", "engine/main/"}},
      {"gtest/", {"scenarios/", "tests/"}},
      {"gmock/", {}},
      {"rapidcheck", {}},
  };
  return *libraries;
}

// Headers of the standard library that stand for one of the rules of CheckCalls.
struct RealHeader {
  std::string_view name;
  std::string_view rule;
};
constexpr RealHeader kRealHeaders[] = {
    {"thread", "thread"},    {"stop_token", "thread"}, {"future", "thread"},
    {"mutex", "lock"},       {"shared_mutex", "lock"}, {"condition_variable", "lock"},
    {"semaphore", "lock"},   {"latch", "lock"},        {"barrier", "lock"},
    {"random", "random"},    {"fstream", "file"},      {"filesystem", "file"},
    {"iostream", "console"},
};

// Headers of C that say nothing about the world.
constexpr std::string_view kPlainHeaders[] = {"cxxabi.h",    "stddef.h",    "stdint.h",
                                              "limits.h",    "string.h",    "immintrin.h",
                                              "xmmintrin.h", "emmintrin.h", "nmmintrin.h"};

template <typename Range>
bool Contains(const Range& range, std::string_view what) {
  return std::find(std::begin(range), std::end(range), what) != std::end(range);
}

bool IsFree(std::string_view folder) {
  return folder == "tests" || folder == "fuzz" || folder == "engine/main" || folder == "examples";
}

// What `folder` may include besides itself, in words and as a list.
std::vector<std::string> MayInclude(const std::string& folder) {
  std::vector<std::string> result;
  const auto place = std::find(std::begin(kEngineOrder), std::end(kEngineOrder), folder);
  if (place != std::end(kEngineOrder)) {
    result.assign(std::begin(kEngineOrder), place);
  } else if (folder == "net" || folder == "sim") {
    result = {"engine/base", "engine/io"};
  } else if (folder == "faults") {
    result = {"engine/base", "engine/io", "sim"};
  } else if (folder == "scenarios") {
    result.assign(std::begin(kEngineOrder), std::end(kEngineOrder));
    result.insert(result.end(), {"sim", "faults", "net"});  // net: CheckNetInScenarios
  }
  return result;
}

std::string Join(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words) joined += (joined.empty() ? "" : ", ") + word;
  return joined.empty() ? "nothing" : joined;
}

void CheckOurs(const Source& source, const Include& include, std::vector<Violation>& found) {
  const std::string from = FolderOf(source.path);
  const std::string to = FolderOf(include.path);
  if (from == to || IsFree(from)) return;
  const std::vector<std::string> allowed = MayInclude(from);
  if (Contains(allowed, to)) return;
  std::string why = from + " may include " + Join(allowed) + " and itself, not " + to;
  if (to == "engine/main") why = "nobody includes engine/main: it alone knows both worlds";
  if (to == "tests" || to == "fuzz") why = from + " is product code and includes nothing of " + to;
  found.push_back({source.path, include.line, "include", "\"" + include.path + "\": " + why});
}

void CheckTheirs(const Source& source, const Include& include, std::vector<Violation>& found) {
  const std::string_view path = include.path;
  const std::string folder = FolderOf(source.path);
  for (const Library& library : Libraries()) {
    if (!path.starts_with(library.prefix)) continue;
    if (folder == "tests" || folder == "fuzz") return;
    std::vector<std::string> users;
    for (std::string_view user : library.users) {
      if (source.path.starts_with(user)) return;
      users.emplace_back(user);
    }
    found.push_back({source.path, include.line, "library",
                     "\"" + include.path + "\" may be included by " + Join(users) +
                         " and by tests; keep the library behind that door"});
    return;
  }
  const bool plain_c =
      include.angled && path.ends_with(".h") && path.find('/') == std::string_view::npos;
  const bool system = plain_c || path.starts_with("sys/") || path.starts_with("netinet/") ||
                      path.starts_with("arpa/") || path.starts_with("linux/") ||
                      path.starts_with("net/") || path.starts_with("bits/");
  if (Contains(kPlainHeaders, path)) return;
  if (system) {
    if (folder != "net") {
      found.push_back(
          {source.path, include.line, "system-header",
           "<" + include.path + "> reaches the operating system; ask Env, or do it in net/"});
    }
    return;
  }
  if (path.find('/') != std::string_view::npos || !include.angled) {
    found.push_back({source.path, include.line, "library",
                     "\"" + include.path +
                         "\" is of no folder of ours and of no library in the table of "
                         "tests/house/include_rules.cc; write includes from the root, or add the "
                         "library there"});
    return;
  }
  for (const RealHeader& header : kRealHeaders) {
    if (path != header.name || (folder == "net" && header.rule != "random")) continue;
    found.push_back({source.path, include.line, std::string(header.rule),
                     "<" + include.path + "> is for net/ alone; ask Env (engine/io/env.h)"});
  }
}

}  // namespace

std::vector<Violation> CheckIncludes(const Source& source) {
  std::vector<Violation> found;
  for (const Include& include : source.includes) {
    if (include.path == "build_paths.h" && FolderOf(source.path) == "tests") continue;
    const std::string_view path = include.path;
    const bool ours = !include.angled && Contains(kFolders, path.substr(0, path.find('/')));
    if (ours) {
      CheckOurs(source, include, found);
    } else {
      CheckTheirs(source, include, found);
    }
  }
  return found;
}

std::vector<Violation> CheckNetInScenarios(const std::map<std::string, Source>& tree) {
  std::vector<Violation> found;
  std::string first;
  for (const auto& [path, source] : tree) {
    if (FolderOf(path) != "scenarios") continue;
    for (const Include& include : source.includes) {
      if (include.angled || FolderOf(include.path) != "net" || path == first) continue;
      if (first.empty()) {
        first = path;
      } else {
        found.push_back({path, include.line, "include",
                         "scenarios may include net in one file, and that is " + first});
      }
    }
  }
  return found;
}

}  // namespace weir::house
