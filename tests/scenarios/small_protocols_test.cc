// The small protocols: as they should be they survive the swarm; each planted bug of few faults is
// found, and not by a plan of fewer.

#include <gtest/gtest.h>

#include <string>

#include "faults/explore.h"
#include "scenarios/execute.h"
#include "scenarios/plan_workers.h"

namespace weir::scenarios {
namespace {

constexpr const char* kNames[] = {"replicated_log", "wal_file", "two_phase_commit", "lease",
                                  "chain"};

class SmallProtocol : public testing::TestWithParam<const char*> {};

TEST_P(SmallProtocol, SurvivesTheSwarm) {
  const Scenario& scenario = *FindScenario(GetParam());
  const std::vector<faults::Kind> kinds = KindsFor(scenario, AllKinds());
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const Outcome outcome = Execute(scenario, PlanOf(scenario, seed, kinds));
    ASSERT_TRUE(outcome.status.ok()) << outcome.status << "\n"
                                     << faults::Print(outcome.plan, outcome.names);
  }
}

TEST_P(SmallProtocol, ShowsItsShallowBugsAndOnlyUnderFaults) {
  const Scenario& scenario = *FindScenario(GetParam());
  ASSERT_FALSE(scenario.bugs.empty());
  const faults::Hunt hunt{.shape = &ShapeOf(scenario), .kinds = faults::SingleFaults()};
  for (const Bug& bug : scenario.bugs) {
    for (uint64_t seed = 1; seed <= 20; ++seed) {
      const Outcome calm = Execute(scenario, PlanOf(scenario, seed, {}), {.bug = bug.name});
      EXPECT_TRUE(calm.status.ok()) << bug.name << " without faults: " << calm.status;
    }
    if (bug.depth > 2) continue;
    bool found = false;
    for (uint64_t run = 0; run < 10'000 && !found; ++run) {
      found = !Execute(scenario, faults::DrawPlan(hunt, 1, run), {.bug = bug.name}).status.ok();
    }
    EXPECT_TRUE(found) << bug.name;
  }
}

INSTANTIATE_TEST_SUITE_P(All, SmallProtocol, testing::ValuesIn(kNames),
                         [](const auto& info) { return std::string(info.param); });

TEST(PlanWorkers, AHuntSaysWhatItFoundInOneLineThatHoldsThePlan) {
  const std::string said = HuntWorker({"wal_file", "ack_before_sync", "1", "1", "1000", "1", "16"});
  EXPECT_EQ(said.substr(0, 6), "found ") << said;
  EXPECT_NE(said.find(" plan wal_file seed "), std::string::npos) << said;
  EXPECT_EQ(said.find('\n'), said.size() - 1) << said;
}

TEST(PlanWorkers, AHuntWithoutFaultsFindsNothing) {
  EXPECT_EQ(HuntWorker({"wal_file", "ack_before_sync", "1", "1", "50", "0", "0"}), "none 50\n");
}

}  // namespace
}  // namespace weir::scenarios
