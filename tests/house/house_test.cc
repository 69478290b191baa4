// The rules of the house over the whole tree, and each rule on what it must catch and what it must
// let pass.
#include <algorithm>
#include <filesystem>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "build_paths.h"
#include "gtest/gtest.h"
#include "tests/house/rules.h"
#include "tests/house/source.h"

namespace weir::house {
namespace {

using Check = std::function<std::vector<Violation>(const Source&)>;

const std::map<std::string, Source>& Tree() {
  static const auto* tree = new std::map<std::string, Source>(LoadTree(tests::kSourceDir));
  return *tree;
}

std::vector<Violation> OverTree(const Check& check) {
  std::vector<Violation> found;
  for (const auto& [path, source] : Tree()) {
    for (Violation& violation : check(source)) found.push_back(std::move(violation));
  }
  return found;
}

std::vector<Violation> Order(const Source& source) { return CheckOrder(source, Tree()); }

std::vector<Violation> OverTreeByEveryRule() {
  std::vector<Violation> found;
  for (const Check& check : {Check(CheckIncludes), Check(CheckCalls), Check(Order),
                             Check(CheckWorld), Check(CheckCatchAll), Check(CheckForm)}) {
    for (Violation& violation : OverTree(check)) found.push_back(std::move(violation));
  }
  return found;
}

void ExpectClean(std::vector<Violation> found) {
  found = WithoutPermitted(std::move(found));
  EXPECT_TRUE(found.empty())
      << Describe(found)
      << "Where a rule must yield, add a line with the reason to tests/house/allowed.cc.";
}

// Lines and rules of what `check` finds, as "3:clock", in order.
std::string Finds(const Check& check, const std::string& path, const std::string& text) {
  std::string result;
  for (const Violation& violation : check(Parse(path, text))) {
    result += (result.empty() ? "" : " ") + std::to_string(violation.line) + ":" + violation.rule;
  }
  return result;
}

// ------------------------------------------------------------------------------------------------------------
// the tree

TEST(House, SeesTheSources) {
  EXPECT_TRUE(Tree().contains("tests/house/house_test.cc"));
  EXPECT_GT(Tree().size(), 10u);
}

TEST(House, FoldersIncludeOnlyWhatTheyMay) { ExpectClean(OverTree(CheckIncludes)); }
TEST(House, ScenariosTouchNetInOneFile) { ExpectClean(CheckNetInScenarios(Tree())); }
TEST(House, OnlyNetTouchesTheRealWorld) { ExpectClean(OverTree(CheckCalls)); }
TEST(House, NoOrderComesFromAHashTableOrAnAddress) { ExpectClean(OverTree(Order)); }
TEST(House, NoProductCodeAsksWhichWorldItIsIn) { ExpectClean(OverTree(CheckWorld)); }
TEST(House, NothingSwallowsAKill) { ExpectClean(OverTree(CheckCatchAll)); }
TEST(House, FilesHaveTheirForm) { ExpectClean(OverTree(CheckForm)); }

TEST(House, TheTopLevelHoldsTheFoldersOfTheDesign) {
  const std::set<std::string> known = {"engine",
                                       "net",
                                       "sim",
                                       "faults",
                                       "scenarios",
                                       "fuzz",
                                       "tests",
                                       "deploy",
                                       "examples",
                                       "build",
                                       "weir",
                                       "CMakeLists.txt",
                                       "CMakePresets.json",
                                       "README.md",
                                       "ARCHITECTURE.md",
                                       "LICENSE"};
  for (const auto& entry : std::filesystem::directory_iterator(tests::kSourceDir)) {
    const std::string name = entry.path().filename();
    if (name.starts_with('.')) continue;
    EXPECT_TRUE(known.contains(name))
        << name << " at the top level: put it below one of the folders of ARCHITECTURE.md, "
        << "or give the reason here";
  }
}

TEST(House, EveryPermissionForAFileIsNeeded) {
  const std::vector<Violation> found = OverTreeByEveryRule();
  for (const Permission& permission : Permissions()) {
    if (permission.path.ends_with('/')) continue;
    const bool needed = std::any_of(found.begin(), found.end(), [&](const Violation& violation) {
      return violation.path == permission.path && violation.rule == permission.rule;
    });
    EXPECT_TRUE(needed) << permission.path << " no longer needs '" << permission.rule
                        << "'; take the line out of tests/house/allowed.cc";
  }
}

// -------------------------------------------------------------------------------------------------------
// planted: lexer

TEST(HouseRules, ReadNoCommentsAndNoLiterals) {
  EXPECT_EQ(Finds(CheckCalls, "sim/a.cc",
                  "// std::mutex\n/* steady_clock\n usleep(1) */\nauto a = \"getenv\"; char b = "
                  "'\\''; // rand()\n"
                  "auto c = R\"x(std::thread)\" )x\"; int d = 1'000;\n"),
            "");
  EXPECT_EQ(Finds(CheckCalls, "sim/a.cc", "auto c = R\"(\n\n)\"; std::mutex m;\n"), "3:lock");
  EXPECT_EQ(Finds(CheckCalls, "sim/a.cc", "#define LOCK std::mutex m\n"), "1:lock");
}

// ----------------------------------------------------------------------------------------------------
// planted: includes

TEST(HouseRules, CatchAnIncludeAgainstTheOrderOfTheEngine) {
  EXPECT_EQ(Finds(CheckIncludes, "engine/io/a.h",
                  "#include \"engine/base/check.h\"\n#include \"engine/io/b.h\"\n"),
            "");
  EXPECT_EQ(Finds(CheckIncludes, "engine/base/a.h", "#include \"engine/io/env.h\"\n"), "1:include");
  EXPECT_EQ(Finds(CheckIncludes, "engine/state/a.cc", "#include \"engine/task/task.h\"\n"),
            "1:include");
  EXPECT_EQ(Finds(CheckIncludes, "engine/task/a.cc", "#include \"engine/state/state.h\"\n"), "");
}

TEST(HouseRules, CatchAnIncludeBetweenTheWorlds) {
  EXPECT_EQ(
      Finds(CheckIncludes, "net/a.cc", "#include \"engine/io/env.h\"\n#include \"sim/world.h\"\n"),
      "2:include");
  EXPECT_EQ(Finds(CheckIncludes, "sim/a.cc",
                  "#include \"net/tcp.h\"\n#include \"engine/record/batch.h\"\n"),
            "1:include 2:include");
  EXPECT_EQ(Finds(CheckIncludes, "engine/task/a.cc",
                  "#include \"sim/world.h\"\n#include \"net/tcp.h\"\n"),
            "1:include 2:include");
  EXPECT_EQ(Finds(CheckIncludes, "faults/a.cc",
                  "#include \"sim/world.h\"\n#include \"engine/task/task.h\"\n"),
            "2:include");
  EXPECT_EQ(Finds(CheckIncludes, "scenarios/a.cc",
                  "#include \"engine/main/main.h\"\n#include \"tests/x.h\"\n"),
            "1:include 2:include");
  EXPECT_EQ(Finds(CheckIncludes, "tests/a.cc",
                  "#include \"engine/main/main.h\"\n#include \"sim/world.h\"\n"),
            "");
}

TEST(HouseRules, SayInWordsWhoMayIncludeWhat) {
  const std::vector<Violation> found =
      CheckIncludes(Parse("faults/a.cc", "#include \"net/tcp.h\"\n"));
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(Describe(found),
            "faults/a.cc:1: include: \"net/tcp.h\": faults may include engine/base, engine/io, sim "
            "and itself, not net\n");
}

TEST(HouseRules, CatchALibraryOutsideItsDoor) {
  EXPECT_EQ(Finds(CheckIncludes, "engine/task/a.cc",
                  "#include <boost/fiber/all.hpp>\n#include \"rocksdb/db.h\"\n"),
            "1:library 2:library");
  EXPECT_EQ(Finds(CheckIncludes, "engine/state/a.cc",
                  "#include \"rocksdb/db.h\"\n#include \"absl/status/status.h\"\n"),
            "");
  EXPECT_EQ(Finds(CheckIncludes, "sim/a.cc",
                  "#include \"gtest/gtest.h\"\n#include \"some/other.h\"\n#include \"near.h\"\n"),
            "1:library 2:library 3:library");
}

TEST(HouseRules, CatchHeadersOfTheSystem) {
  EXPECT_EQ(Finds(CheckIncludes, "sim/a.cc",
                  "#include <unistd.h>\n#include <sys/socket.h>\n#include <vector>\n"),
            "1:system-header 2:system-header");
  EXPECT_EQ(Finds(CheckIncludes, "engine/io/a.cc",
                  "#include <mutex>\n#include <random>\n#include <fstream>\n"),
            "1:lock 2:random 3:file");
  EXPECT_EQ(Finds(CheckIncludes, "net/a.cc",
                  "#include <mutex>\n#include <unistd.h>\n#include <random>\n"),
            "3:random");
}

TEST(HouseRules, CatchASecondDoorFromScenariosToNet) {
  std::map<std::string, Source> tree;
  const auto add = [&](const std::string& path, const std::string& text) {
    tree.emplace(path, Parse(path, text));
  };
  add("scenarios/a.cc", "#include \"net/tcp.h\"\n#include \"net/disk.h\"\n");
  EXPECT_TRUE(CheckNetInScenarios(tree).empty());
  add("scenarios/b.cc", "#include \"net/tcp.h\"\n");
  EXPECT_EQ(CheckNetInScenarios(tree).size(), 1u);
}

// -------------------------------------------------------------------------------------------------------
// planted: calls

struct Planted {
  const char* code;
  const char* rule;
};

class CallRules : public testing::TestWithParam<Planted> {};

TEST_P(CallRules, CatchEverywhereButInNet) {
  const std::string code = std::string("void F() { ") + GetParam().code + " }";
  const std::string expected = std::string("1:") + GetParam().rule;
  for (const char* path : {"engine/io/a.cc", "engine/main/a.cc", "sim/a.cc", "faults/a.cc",
                           "scenarios/a.cc", "tests/a.cc"}) {
    EXPECT_EQ(Finds(CheckCalls, path, code), expected) << path << ": " << code;
  }
  const bool nowhere =
      std::string(GetParam().rule) == "fiber-wait" || std::string(GetParam().rule) == "random";
  EXPECT_EQ(Finds(CheckCalls, "net/a.cc", code), nowhere ? expected : "") << code;
}

INSTANTIATE_TEST_SUITE_P(
    Planted, CallRules,
    testing::Values(
        Planted{"auto t = std::chrono::steady_clock::now();", "clock"},
        Planted{"auto t = std::chrono::system_clock::now();", "clock"},
        Planted{"auto t = absl::Now();", "clock"},
        Planted{"clock_gettime(CLOCK_REALTIME, &t);", "clock"},
        Planted{"auto t = std::time(nullptr);", "clock"}, Planted{"usleep(1);", "sleep"},
        Planted{"::sleep(1);", "sleep"}, Planted{"absl::SleepFor(d);", "sleep"},
        Planted{"std::thread t(f);", "thread"}, Planted{"std::jthread t(f);", "thread"},
        Planted{"auto f = std::async(g);", "thread"}, Planted{"std::mutex m;", "lock"},
        Planted{"absl::Mutex m;", "lock"}, Planted{"std::condition_variable c;", "lock"},
        Planted{"std::random_device r;", "random"}, Planted{"int i = rand();", "random"},
        Planted{"std::shuffle(a, b, c);", "random"}, Planted{"int d = open(path, 0);", "file"},
        Planted{"return ::read(d, b, n);", "file"}, Planted{"std::ofstream f(path);", "file"},
        Planted{"FILE* f = fopen(path, mode);", "file"},
        Planted{"int s = ::socket(a, b, c);", "socket"},
        Planted{"if (connect(s, a, n) < 0) return;", "socket"},
        Planted{"if (fork() == 0) return;", "process"}, Planted{"::kill(pid, 9);", "process"},
        Planted{"std::string s = getenv(name);", "environment"},
        Planted{"std::cout << 1;", "console"}, Planted{"boost::fibers::mutex m;", "fiber-wait"},
        Planted{"boost::this_fiber::yield();", "fiber-wait"},
        Planted{"namespace bf = boost::fibers; bf::condition_variable c;", "fiber-wait"}));

TEST(HouseRules, LetOursPassThatBearNamesOfC) {
  EXPECT_EQ(
      Finds(
          CheckCalls, "sim/a.cc",
          "int x = stream.read(b); disk->open(p); Disk::rename(a, b); size_t write(int x) const;\n"
          "absl::Status open(std::string_view path); if (open()) return; auto send = [&](int n) { "
          "return n; };\n"
          "send(3); std::map<int, int> rename; rename.clear(); env.clock().Now(); Kill(3);\n"),
      "");
}

// -------------------------------------------------------------------------------------------------------
// planted: order

TEST(HouseRules, CatchLoopsOverHashTables) {
  EXPECT_EQ(Finds(Order, "sim/a.cc",
                  "absl::flat_hash_map<int, std::vector<int>> table_;\n"
                  "for (const auto& [k, v] : table_) Use(k);\n"
                  "for (auto& x : this->table_) Use(x);\n"
                  "for (int x : table_[3]) Use(x);\n"
                  "auto first = table_.begin();\n"
                  "for (int x : Sorted(table_)) Use(x);\n"),
            "2:order 3:order 5:order");
  EXPECT_EQ(
      Finds(Order, "engine/task/a.cc",
            "using Table = std::unordered_map<int, int>;\nTable* t;\nfor (auto& x : *t) Use(x);\n"),
      "3:order");
  EXPECT_EQ(Finds(Order, "engine/task/a.cc",
                  "const absl::flat_hash_set<int>& all() const;\nfor (int x : all()) Use(x);\n"),
            "2:order");
}

TEST(HouseRules, CatchLoopsOverHashTablesOfTheirOwnHeader) {
  std::map<std::string, Source> tree;
  const auto add = [&](const std::string& path, const std::string& text) {
    tree.emplace(path, Parse(path, text));
  };
  add("sim/a.h", "class A { absl::flat_hash_map<int, int> table_; };\n");
  add("sim/b.h", "struct B { absl::flat_hash_map<int, int> rows; };\n");
  const std::string loops =
      "void A::F() {\n for (auto& x : table_) G(x);\n for (auto& x : b.rows) G(x);\n for (auto& x "
      ": rows) G(x);\n}\n";
  const Source source = Parse("sim/a.cc", "#include \"sim/a.h\"\n#include \"sim/b.h\"\n" + loops);
  const std::vector<Violation> found = CheckOrder(source, tree);
  EXPECT_EQ(found.size(), 2u) << Describe(found);
}

TEST(HouseRules, LetALoopPassWhoseOrderNobodySees) {
  const std::string loop = "for (auto& x : table) sum += x;\n";
  const std::string table = "absl::flat_hash_set<int> table;\n";
  EXPECT_EQ(Finds(Order, "sim/a.cc", table + "// order unseen: a sum\n" + loop), "");
  EXPECT_EQ(Finds(Order, "sim/a.cc", table + "// order unseen:\n" + loop), "3:order");
  EXPECT_EQ(Finds(Order, "sim/a.cc", table + "// order unseen: a sum\n\n\n" + loop), "5:order");
  EXPECT_EQ(Finds(Order, "tests/a.cc", table + loop), "");
}

TEST(HouseRules, CatchOrdersByAddress) {
  EXPECT_EQ(
      Finds(Order, "sim/a.cc",
            "std::map<Task*, int> a;\nabsl::btree_set<const Task*> b;\nstd::map<int, Task*> c;\n"),
      "1:order 2:order");
}

// -------------------------------------------------------------------------------------- planted:
// world, catch-all, form

TEST(HouseRules, CatchCodeThatAsksWhichWorldItIsIn) {
  EXPECT_EQ(Finds(CheckWorld, "engine/task/a.cc",
                  "if (env.is_simulated()) return;\nif (kInSimulation) return;\n"),
            "1:world 2:world");
  EXPECT_EQ(Finds(CheckWorld, "net/a.cc", "using sim::World;\n"), "1:world");
  EXPECT_EQ(Finds(CheckWorld, "engine/io/a.cc",
                  "auto* n = dynamic_cast<TcpNetwork*>(&env.network());\ntypeid(env);\n"),
            "1:world 2:world");
  EXPECT_EQ(Finds(CheckWorld, "engine/task/a.cc", "bool similar = simple; // is_simulated\n"), "");
  EXPECT_EQ(Finds(CheckWorld, "sim/a.cc", "class SimWorld {};\n"), "");
  EXPECT_EQ(Finds(CheckWorld, "engine/main/a.cc", "Report Simulate(Job job);\n"), "");
}

TEST(HouseRules, CatchWhatSwallowsAKill) {
  EXPECT_EQ(Finds(CheckCatchAll, "engine/task/a.cc", "try { F(); } catch (...) { Log(); }\n"),
            "1:catch-all");
  EXPECT_EQ(
      Finds(CheckCatchAll, "engine/task/a.cc", "try { F(); } catch (...) { throw Other(); }\n"),
      "1:catch-all");
  EXPECT_EQ(Finds(CheckCatchAll, "engine/task/a.cc",
                  "try { F(); } catch (...) { if (a) { G(); } throw; }\n"),
            "");
  EXPECT_EQ(Finds(CheckCatchAll, "engine/task/a.cc",
                  "try { F(); } catch (const std::exception& e) { G(); }\n"),
            "");
}

TEST(HouseRules, CatchFilesWithoutTheirForm) {
  EXPECT_EQ(Finds(CheckForm, "sim/a.h", "// What it is.\nnamespace weir::sim {}\n"), "1:form");
  EXPECT_EQ(Finds(CheckForm, "sim/a.h", "#pragma once\nnamespace weir::sim {}\n"), "1:form");
  EXPECT_EQ(Finds(CheckForm, "sim/a.cc", "#include \"sim/a.h\"\nnamespace weir::sim {}\n"), "");
  EXPECT_EQ(Finds(CheckForm, "sim/a.cc", "#include \"sim/b.h\"\nnamespace weir::sim {}\n"),
            "1:form");
  EXPECT_EQ(
      Finds(CheckForm, "engine/io/a.h", "// What it is.\n#pragma once\nnamespace weir::base {}\n"),
      "3:form");
  EXPECT_EQ(
      Finds(CheckForm, "engine/io/a.h", "// What it is.\n#pragma once\nint x;  // TODO: more\n"),
      "3:form");
}

TEST(HouseRules, PermitOnlyWhatTheTableNames) {
  const std::vector<Violation> found = {{"tests/bench/net.cc", 1, "clock", ""},
                                        {"tests/benches/net.cc", 1, "clock", ""},
                                        {"tests/bench/net.cc", 2, "world", ""}};
  EXPECT_EQ(Describe(WithoutPermitted(found)),
            "tests/benches/net.cc:1: clock: \ntests/bench/net.cc:2: world: \n");
}

}  // namespace
}  // namespace weir::house
