// Formatting, and headers that compile alone. The headers themselves are compiled by the build
// (weir_headers in tests/CMakeLists.txt); here it is proven that none was left out and that the
// method catches one that cannot stand alone.
#include <filesystem>
#include <set>
#include <string>

#include "build_paths.h"
#include "gtest/gtest.h"
#include "tests/house/command.h"
#include "tests/house/source.h"

namespace weir::house {
namespace {

const std::string kRoot = tests::kSourceDir;

TEST(House, EverySourceIsFormatted) {
  std::string files;
  for (const auto& [path, source] : LoadTree(kRoot)) files += " " + path;
  const CommandResult result = Shell("cd '" + kRoot + "' && clang-format-16 --dry-run -Werror" +
                                     files + " 2>&1 | sed -n 's/:.*: error: .*//p' | sort -u");
  EXPECT_TRUE(result.out.empty()) << "run ./weir fmt; not formatted are\n" << result.out;
  EXPECT_EQ(result.err, "");
}

TEST(HouseRules, CatchASourceThatIsNotFormatted) {
  const TemporaryFolder folder;
  folder.Write("a.cc", "int  main( )\n{return 0;}\n");
  folder.Write("b.cc", "int main() { return 0; }\n");
  const std::string check =
      "clang-format-16 --style=file:'" + kRoot + "/.clang-format' --dry-run -Werror ";
  EXPECT_NE(Shell(check + folder.path() + "/a.cc").status, 0);
  EXPECT_EQ(Shell(check + folder.path() + "/b.cc").status, 0);
}

#if WEIR_CHECK_HEADERS  // The presets with sanitizers leave the headers to release and clang.
TEST(House, EveryHeaderIsCompiledAlone) {
  const std::string generated = std::string(tests::kBinaryDir) + "/generated/headers";
  for (const auto& [path, source] : LoadTree(kRoot)) {
    if (!path.ends_with(".h") || path.starts_with(".ci/") || path.starts_with("examples/"))
      continue;
    std::string stem;
    for (const char c : path) stem += c == '/' ? std::string("__") : std::string(1, c);
    EXPECT_TRUE(std::filesystem::exists(generated + "/" + stem + ".cc"))
        << path << " is not compiled alone";
  }
}
#endif

TEST(HouseRules, CatchAHeaderThatDoesNotCompileAlone) {
  const TemporaryFolder folder;
  folder.Write("bad.h", "#pragma once\ninline std::string Name() { return \"\"; }\n");
  folder.Write("good.h",
               "#pragma once\n#include <string>\ninline std::string Name() { return \"\"; }\n");
  for (const std::string name : {"bad", "good"}) {
    folder.Write(name + ".cc", "#include \"" + name + ".h\"\n#include \"" + name + ".h\"\n");
  }
  const std::string compile =
      std::string(tests::kCompiler) + " -std=c++20 -Wall -Wextra -Werror -fsyntax-only ";
  EXPECT_NE(Shell(compile + folder.path() + "/bad.cc").status, 0);
  EXPECT_EQ(Shell(compile + folder.path() + "/good.cc").status, 0);
}

}  // namespace
}  // namespace weir::house
