// The scenarios of the small programs: some seeds of each, their determinism within one process,
// and that their oracles and the canaries can tell.

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_format.h"
#include "scenarios/execute.h"
#include "scenarios/replicated_log.h"
#include "scenarios/scenario.h"

namespace weir::scenarios {
namespace {

Outcome RunOnce(std::string_view name, uint64_t seed) {
  const Scenario* const scenario = FindScenario(name);
  return Execute(*scenario, PlanOf(*scenario, seed, KindsFor(*scenario, AllKinds())));
}

TEST(SmallScenarios, AreListedAndCanariesAreNot) {
  std::set<std::string_view> listed;
  for (const Scenario& scenario : AllScenarios()) {
    EXPECT_EQ(FindScenario(scenario.name), &scenario);
    EXPECT_FALSE(scenario.question.empty());
    EXPECT_EQ(scenario.question.back(), '?') << scenario.name;
    if (scenario.listed) {
      EXPECT_TRUE(listed.insert(scenario.name).second) << scenario.name;
    }
  }
  EXPECT_TRUE(listed.contains("ping_pong"));
  EXPECT_TRUE(listed.contains("replicated_log"));
  for (const char* const canary : {"canary_address", "canary_draw_order"}) {
    EXPECT_NE(FindScenario(canary), nullptr);
    EXPECT_FALSE(listed.contains(canary));
  }
  EXPECT_EQ(FindScenario("no_such_scenario"), nullptr);
}

TEST(SmallScenarios, PassAndAreTheSameRunTwice) {
  for (const std::string_view name : {"ping_pong", "replicated_log"}) {
    Facts sum;
    std::set<uint64_t> hashes;
    for (uint64_t seed = 1; seed <= 100; ++seed) {
      const Outcome once = RunOnce(name, seed);
      const Outcome again = RunOnce(name, seed);
      EXPECT_TRUE(once.status.ok()) << name << " seed " << seed << ": " << once.status;
      EXPECT_EQ(once.hash, again.hash) << name << " seed " << seed;
      EXPECT_EQ(once.facts.committed, again.facts.committed);
      hashes.insert(once.hash);
      sum.faults += once.facts.faults;
      sum.recoveries += once.facts.recoveries;
      sum.committed += once.facts.committed;
    }
    // Seeds are different runs, with trouble in them.
    EXPECT_EQ(hashes.size(), 100u) << name;
    EXPECT_GT(sum.faults, 100u) << name;
    EXPECT_GT(sum.recoveries, 20u) << name;
    EXPECT_GT(sum.committed, 1000u) << name;
  }
}

TEST(SmallScenarios, ALogThatLostItsDisksIsFoundOut) {
  // The oracle of replicated_log, shown what it is there to find: all disks lost after the writes
  // were acknowledged.
  static const io::Program program = ReplicatedLog;
  sim::World world({.seed = 3});
  const std::vector<std::string> addresses = {"r1:7001", "r2:7001", "r3:7001"};
  const auto arguments = [&](std::vector<std::string> role) {
    role.insert(role.begin(), "--program=replicated_log");
    role.insert(role.end(), addresses.begin(), addresses.end());
    return role;
  };
  std::vector<sim::ProcessId> replicas;
  for (int i = 1; i <= 3; ++i) {
    replicas.push_back(world.Start(world.AddHost(absl::StrFormat("r%d", i)), program,
                                   {.name = absl::StrFormat("replica %d", i),
                                    .arguments = arguments({"replica", std::to_string(i)}),
                                    .essential = false}));
  }
  const sim::HostId clients = world.AddHost("clients");
  const sim::ProcessId writer = world.Start(
      clients, program, {.name = "writer", .arguments = arguments({"client", "1", "5"})});
  ASSERT_TRUE(world.Run().ok());
  EXPECT_TRUE(world.exit_message(writer).ok()) << world.exit_message(writer);
  for (const sim::ProcessId replica : replicas) {
    world.PowerOff(world.host_of(replica));
  }
  world.RunFor(std::chrono::milliseconds(1));
  for (const sim::ProcessId replica : replicas) {
    world.PowerOn(world.host_of(replica), sim::DiskFate::kLost);
    world.Restart(replica);
  }
  const sim::ProcessId reader = world.Start(
      clients, program, {.name = "reader", .arguments = arguments({"reader", "1", "5"})});
  ASSERT_TRUE(world.Run().ok());
  EXPECT_EQ(world.exit_message(reader),
            absl::DataLossError("client 1: 0 writes are in the log, 5 were acknowledged"));
}

TEST(SmallScenarios, BadArgumentsAreRefusedInOneLine) {
  static const io::Program program = ReplicatedLog;
  for (const std::vector<std::string>& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"x"},
                                             {"x", "replica", "one", "a:1"},
                                             {"x", "replica", "2", "a:1"},
                                             {"x", "replica", "1", "nowhere"},
                                             {"x", "client", "1", "many", "a:1"}}) {
    sim::World world({.seed = 1});
    const sim::ProcessId process =
        world.Start(world.AddHost("host"), program, {.arguments = arguments});
    ASSERT_TRUE(world.Run().ok());
    EXPECT_EQ(world.exit_message(process).code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(std::string(world.exit_message(process).message()).find('\n'), std::string::npos);
  }
}

}  // namespace
}  // namespace weir::scenarios
