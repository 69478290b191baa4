// `weir sim run`, `replay` and `probes` as a user meets them: exit codes, last lines, errors of one
// line.
#include <gtest/gtest.h>

#include <string>

#include "build_paths.h"
#include "tests/house/command.h"

namespace weir::main {
namespace {

using house::CommandResult;
using house::TemporaryFolder;

CommandResult Weir(const TemporaryFolder& folder, const std::string& arguments) {
  return house::Shell("cd " + folder.path() + " && " + tests::kWeirProgram + " " + arguments);
}

TEST(SimCommand, APlanIsReplayedFromItsFile) {
  const TemporaryFolder folder;
  folder.Write("some.plan",
               "plan replicated_log seed 7\n"
               "set clients 2\n"
               "set writes 10\n"
               "before log.committed 3 on \"replica 1\" kill \"replica 1\" for 300ms\n"
               "at 20ms net.cut replica1 -> replica3 for 1.5s\n");
  const CommandResult first = Weir(folder, "sim replay some.plan");
  EXPECT_EQ(first.status, 0) << first.out << first.err;
  EXPECT_NE(first.LastLine().find("seeds=1 passed=1 failed=0 faults="), std::string::npos)
      << first.out;
  EXPECT_NE(first.out.find("bites: kill "), std::string::npos) << first.out;
  EXPECT_NE(first.LastLine().find("committed=20 "), std::string::npos) << first.out;
}

TEST(SimCommand, ABadPlanIsRefusedInOneLineWithItsPlace) {
  const TemporaryFolder folder;
  const struct {
    std::string text;
    std::string error;
  } kCases[] = {
      {"",
       "weir: bad.plan:1:1: the plan is empty; a plan begins with a line like: plan replicated_log "
       "seed 7\n"},
      {"at 1s kill #0\n",
       "weir: bad.plan:1:1: a plan begins with a line like: plan replicated_log seed 7\n"},
      {"plan replicated_lag seed 7\n",
       "weir: bad.plan:1:6: the plan is for \"replicated_lag\", and there is no such scenario; did "
       "you mean "
       "\"replicated_log\"? `weir sim list --all` shows every one\n"},
      {"plan replicated_log seed 7\nat 1s kill \"server\"\n",
       "weir: bad.plan:2:12: process \"server\": the scenario has none of this name; did you mean "
       "\"client 1\"?\n"},
      {"plan replicated_log seed 7\nbefore log.comitted 1 kill #0\n",
       "weir: bad.plan:2:8: probe \"log.comitted\": there is none of this name; did you mean "
       "\"log.committed\"? `weir sim "
       "probes SCENARIO` lists them\n"},
  };
  for (const auto& expected : kCases) {
    folder.Write("bad.plan", expected.text);
    const CommandResult result = Weir(folder, "sim replay bad.plan");
    EXPECT_EQ(result.status, 1) << expected.text;
    EXPECT_EQ(result.err, expected.error) << result.out;
  }
  const CommandResult missing = Weir(folder, "sim replay none.plan");
  EXPECT_EQ(missing.status, 1);
  EXPECT_NE(missing.err.find("none.plan"), std::string::npos) << missing.err;
}

TEST(SimCommand, BadFlagsAreRefusedInOneLine) {
  const TemporaryFolder folder;
  CommandResult result = Weir(folder, "sim run ping_pong --seeds 9..3");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.err,
            "weir: seeds \"9..3\": the range is empty; write the smaller number first\n");
  result = Weir(folder, "sim run ping_pong --faults networks");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.err,
            "weir: faults \"networks\": there is no family or kind of this name; did you mean "
            "\"network\"? Allowed are all, "
            "none, or families (process, network, clock, disk) and kinds with commas between\n");
  result = Weir(folder, "sim run ping_pong --bug none_such");
  EXPECT_EQ(result.status, 1);
  EXPECT_EQ(result.err, "weir: bug \"none_such\": ping_pong has none of this name; it has: none\n");
}

TEST(SimCommand, AKindThatNeverBitesFailsTheRunThatAskedForIt) {
  const TemporaryFolder folder;
  // Nobody in ping_pong looks at the date.
  const CommandResult inert = Weir(folder, "sim run ping_pong --seeds 1..30 --faults clock.skew");
  EXPECT_EQ(inert.status, 14) << inert.out;
  EXPECT_NE(inert.out.find("inert: clock.skew struck "), std::string::npos) << inert.out;
  const CommandResult never =
      Weir(folder, "sim run replicated_log --seeds 1..3 --faults clock.skew,kill");
  EXPECT_EQ(never.status, 14) << never.out;
  const CommandResult biting =
      Weir(folder, "sim run ping_pong --seeds 1..30 --faults kill,net.reset");
  EXPECT_EQ(biting.status, 0) << biting.out;
  const CommandResult calm = Weir(folder, "sim run ping_pong --seeds 1..30 --faults none");
  EXPECT_EQ(calm.status, 0) << calm.out;
  EXPECT_NE(calm.LastLine().find(" faults=0 "), std::string::npos) << calm.out;
}

TEST(SimCommand, ProbesAreListedWithTheirHits) {
  const TemporaryFolder folder;
  const CommandResult result = Weir(folder, "sim probes replicated_log");
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_NE(result.out.find("log.committed"), std::string::npos) << result.out;
  EXPECT_EQ(result.out.find("ping.round_trip"), std::string::npos) << "only those that were hit";
  EXPECT_NE(result.out.find("reached frame.corrupt"), std::string::npos) << result.out;
}

TEST(SimCommand, SeedZeroIsASeed) {
  const TemporaryFolder folder;
  const CommandResult result = Weir(folder, "sim run ping_pong --seeds 0..3");
  EXPECT_EQ(result.status, 0);
  EXPECT_TRUE(result.LastLine().starts_with("seeds=4 passed=4 failed=0")) << result.out;
}

TEST(SimCommand, WhatCannotBeTakenIsNamedInOneLine) {
  const TemporaryFolder folder;
  for (const auto& [words, said] : std::vector<std::pair<std::string, std::string>>{
           {"nope", "weir: unknown verb \"nope\" of `weir`; there are demo, sim, bench, config\n"},
           {"sim nope",
            "weir: unknown verb \"nope\" of `weir sim`; there are list, run, replay, shrink, "
            "probes\n"},
           {"sim", "weir: `weir sim` needs a verb: list, run, replay, shrink, probes\n"},
           {"sim replay nodir/x.plan",
            "weir: plan \"nodir/x.plan\": cannot be read; give the path of a plan "
            "file, "
            "such as build/failures/NAME-SEED.plan\n"}}) {
    const CommandResult result = Weir(folder, words);
    EXPECT_EQ(result.status, 1) << words;
    EXPECT_EQ(result.err, said) << words;
    EXPECT_EQ(result.out, "") << words;
  }
}

TEST(SimCommand, ADivergenceIsShownWithBothNeighbourhoods) {
  const TemporaryFolder folder;
  const CommandResult result =
      Weir(folder, "sim run canary_address --seeds 1..5 --check-determinism");
  EXPECT_EQ(result.status, 13) << result.out;
  EXPECT_NE(result.out.find("first difference at event "), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("\n  a> "), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("\n  b> "), std::string::npos) << result.out;
  EXPECT_NE(result.out.find("replay: ./weir sim run canary_address --seed "), std::string::npos)
      << result.out;
}

}  // namespace
}  // namespace weir::main
