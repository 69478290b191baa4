// The driver script `weir`: its exit codes and its one-line messages. What needs a build asks this
// very build, which is then up to date; what needs a machine without packages gets made-up dpkg,
// apt and sudo in a copy of the script's folder.
#include <filesystem>
#include <string>

#include "build_paths.h"
#include "gtest/gtest.h"
#include "tests/house/command.h"

namespace weir::house {
namespace {

const std::string kRoot = tests::kSourceDir;

// Which preset built this test, or "" for a build folder of someone's own.
std::string Preset() {
  const std::string folder = tests::kBinaryDir;
  const std::string presets = kRoot + "/build/";
  return folder.starts_with(presets) ? folder.substr(presets.size()) : "";
}

class Driver : public testing::Test {
 protected:
  void SetUp() override {
    if (Preset().empty())
      GTEST_SKIP() << "built outside of build/; the script would build a second time";
  }
  static CommandResult Test(const std::string& arguments) {
    return Shell("'" + kRoot + "/weir' test --preset " + Preset() + " " + arguments);
  }
};

TEST_F(Driver, EndsWithTwoWhenNoTestMatches) {
  const CommandResult result = Test("--list there_is_no_such_name");
  EXPECT_EQ(result.status, 2);
  EXPECT_EQ(result.out, "");
  EXPECT_THAT(result.err,
              testing::HasSubstr(
                  "weir: no test matches 'there_is_no_such_name'; a filter is a label (slow "));
}

TEST_F(Driver, ListsByPartOfAName) {
  const CommandResult result = Test("--list Driver.ListsByPartOfAName");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.out, "Driver.ListsByPartOfAName\n");
}

TEST_F(Driver, TakesAFilterAsTextAndNotAsAnExpression) {
  EXPECT_EQ(Test("--list 'Driver.L.sts'").status, 2);
}

TEST_F(Driver, LeavesSlowTestsOutUnlessNamed) {
  const std::string all = "\n" + Test("--list").out;
  EXPECT_EQ(all.find("\nslow_"), std::string::npos);
  const CommandResult slow = Test("--list slow");
  EXPECT_EQ(slow.status, 0);
  EXPECT_NE(("\n" + slow.out).find("\nslow_Driver."), std::string::npos);
  EXPECT_EQ(("\n" + slow.out).find("\nDriver."), std::string::npos);
}

TEST_F(Driver, EndsWithTheCount) {
  const CommandResult result = Test("HouseRules.ReadNoCommentsAndNoLiterals");
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.LastLine(), "1 passed, 0 failed");
}

// A test that fails when the driver's own test asks it to, to see what the driver makes of that.
constexpr char kFailOnRequest[] = "/weir-house-fail-on-request";

TEST(slow_Driver, FailsOnRequest) {
  const bool requested = std::filesystem::exists(std::string(tests::kBinaryDir) + kFailOnRequest);
  EXPECT_FALSE(requested) << "requested by slow_DriverFailure";
}

TEST(slow_DriverFailure, PrintsTheOutputAndTheCount) {
  if (Preset().empty())
    GTEST_SKIP() << "built outside of build/; the script would build a second time";
  const std::string request = std::string(tests::kBinaryDir) + kFailOnRequest;
  const CommandResult result =
      Shell("touch " + request + "; '" + kRoot + "/weir' test --preset " + Preset() +
            " slow_Driver.FailsOnRequest; status=$?; rm " + request + "; exit $status");
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.out.find("requested by slow_DriverFailure"), std::string::npos) << result.out;
  EXPECT_EQ(result.LastLine(), "0 passed, 1 failed");
}

TEST(DriverUsage, NamesTheValueTheRangeAndTheRemedy) {
  const CommandResult preset = Shell("'" + kRoot + "/weir' build quick");
  EXPECT_EQ(preset.status, 1);
  EXPECT_EQ(preset.err,
            "weir: there is no preset 'quick'; allowed are release dev clang asan tsan fuzz; pick "
            "one, for example: ./weir "
            "build asan\n");
  const CommandResult seconds = Shell("'" + kRoot + "/weir' fuzz all --seconds soon");
  EXPECT_EQ(seconds.status, 1);
  EXPECT_EQ(
      seconds.err,
      "weir: --seconds is 'soon'; allowed is a whole number from 1; for example --seconds 60\n");
  const CommandResult nothing = Shell("'" + kRoot + "/weir'");
  EXPECT_EQ(nothing.status, 1);
  EXPECT_TRUE(nothing.out.starts_with("usage: ./weir VERB")) << nothing.out;
}

// ---------------------------------------------------------------------------------------------------
// a made-up machine

class Machine : public testing::Test {
 protected:
  void SetUp() override {
    std::filesystem::create_directories(folder_.path() + "/.ci");
    std::filesystem::copy_file(kRoot + "/weir", folder_.path() + "/weir");
    folder_.Write(".ci/packages.txt", "# A comment.\nfirst-1\nsecond-2\n");
    folder_.Write("a.cc", "");
    // One package is there and one is not, until an install.
    Tool("dpkg-query",
         "echo 'installed first-1'; test -f ../installed && echo 'installed second-2'; exit 0");
    Tool("sudo", "exit 1");
    Tool("id", "echo 1000");
    Tool("clang-format-16", "cat >/dev/null; exit 0");
  }
  void Tool(const std::string& name, const std::string& body) {
    folder_.WriteScript("bin/" + name,
                        "#!/bin/sh\ncd '" + folder_.path() + "/bin'\n" + body + "\n");
  }
  // `fmt` is the verb that needs the packages and no build.
  CommandResult Call() {
    return Shell("PATH='" + folder_.path() + "/bin':$PATH '" + folder_.path() +
                 "/weir' fmt --check");
  }

  TemporaryFolder folder_;
};

TEST_F(Machine, WithoutRootGetsTheOneLineToRun) {
  const CommandResult result = Call();
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.err,
            "weir: packages are missing; as root run: apt-get update && apt-get install -y "
            "--no-install-recommends "
            "second-2\n");
}

TEST_F(Machine, AsRootInstallsWhatIsMissingAndAsksOnce) {
  Tool("id", "echo 0");
  Tool("apt-get", "echo \"$*\" >>../apt.log; case \"$*\" in *install*) touch ../installed;; esac");
  const CommandResult first = Call();
  EXPECT_EQ(first.status, 0) << first.err;
  EXPECT_EQ(first.err, "weir: installing second-2\n");
  const std::string log = ReadWholeFile(folder_.path() + "/apt.log");
  EXPECT_EQ(log,
            "update\n-o DPkg::Lock::Timeout=600 install -y --no-install-recommends second-2\n");
  Tool("dpkg-query", "echo asked >>../asked.log; exit 1");
  const CommandResult second = Call();
  EXPECT_EQ(second.status, 0) << second.err;
  EXPECT_EQ(second.err, "");
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/asked.log"));
}

TEST_F(Machine, WithSudoInstallsThroughIt) {
  Tool("sudo", "shift; \"$@\"");
  Tool("apt-get", "case \"$*\" in *install*) touch ../installed;; esac");
  const CommandResult result = Call();
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_TRUE(std::filesystem::exists(folder_.path() + "/installed"));
}

TEST_F(Machine, WithoutNetworkStillInstallsWhatTheCacheHolds) {
  Tool("id", "echo 0");
  Tool("apt-get",
       "case \"$*\" in *install*) touch ../installed;; *) echo 'E: no network' >&2; exit 100;; "
       "esac");
  EXPECT_EQ(Call().status, 0);
}

TEST_F(Machine, SaysWhyAnInstallFailed) {
  Tool("id", "echo 0");
  Tool("apt-get", "echo 'E: Unable to locate package second-2' >&2; exit 100");
  const CommandResult result = Call();
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.err,
            "weir: installing second-2\n"
            "weir: could not install second-2 (Unable to locate package second-2); all of it is in "
            "build/packages.log\n");
}

TEST_F(Machine, WithThePackagesNeedsNoNetwork) {
  folder_.Write("installed", "");
  Tool("apt-get", "touch ../called; exit 100");
  const CommandResult result = Call();
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/called"));
}

}  // namespace
}  // namespace weir::house
