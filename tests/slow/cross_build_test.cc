// A seed is the same run whoever compiled it: release by g++ and by clang, under AddressSanitizer,
// with and without address-space randomisation. Builds the presets it needs.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "build_paths.h"
#include "tests/house/command.h"

namespace weir::tests {
namespace {

using house::Shell;

constexpr int kSeeds = 2000;

const std::string& Root() {
  static const std::string root = kSourceDir;
  return root;
}

// A line a seed, with the hash of its run and what it counted.
std::string RunsOf(const std::string& preset, const std::string& scenario, bool randomised,
                   int seeds) {
  const house::CommandResult result =
      Shell((randomised ? "" : "setarch -R ") + Root() + "/build/" + preset + "/weir sim-worker " +
            scenario + " 1 " + std::to_string(seeds));
  EXPECT_EQ(result.status, 0) << preset << ": " << result.err;
  return result.out;
}

void Build(const std::string& preset) {
  const house::CommandResult result = Shell(Root() + "/weir build " + preset + " weir");
  ASSERT_EQ(result.status, 0) << result.err;
}

class slow_CrossBuild : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    for (const char* preset : {"release", "clang", "asan"}) Build(preset);
  }
};

TEST_F(slow_CrossBuild, SmallProgramsRunTheSameInEveryBuild) {
  for (const char* scenario : {"ping_pong", "replicated_log"}) {
    const std::string reference = RunsOf("release", scenario, true, kSeeds);
    ASSERT_GT(reference.size(), size_t{kSeeds} * 20) << scenario;
    EXPECT_EQ(RunsOf("release", scenario, false, kSeeds), reference) << scenario;
    EXPECT_EQ(RunsOf("clang", scenario, true, kSeeds), reference) << scenario;
    EXPECT_EQ(RunsOf("clang", scenario, false, kSeeds), reference) << scenario;
    EXPECT_EQ(RunsOf("asan", scenario, true, kSeeds), reference) << scenario;
  }
}

TEST_F(slow_CrossBuild, ALeakedAddressShowsAsSoonAsAddressesMove) {
  const std::string fixed = RunsOf("release", "canary_address", false, 5);
  EXPECT_EQ(RunsOf("release", "canary_address", false, 5), fixed);
  EXPECT_NE(RunsOf("release", "canary_address", true, 5), fixed);
}

TEST_F(slow_CrossBuild, TwoDrawsInOneArgumentListDifferBetweenCompilers) {
  const std::string one = RunsOf("release", "canary_draw_order", true, 5);
  EXPECT_EQ(RunsOf("release", "canary_draw_order", true, 5), one);
  EXPECT_NE(RunsOf("clang", "canary_draw_order", true, 5), one);
}

}  // namespace
}  // namespace weir::tests
