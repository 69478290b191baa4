// Random plans stay within their vocabulary, and the exhaustive ones are all there, once.
#include "faults/explore.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <set>

namespace weir::faults {
namespace {

using namespace std::chrono_literals;

Shape Small() {
  Shape shape;
  shape.scenario = "small";
  shape.names = {.processes = {"a", "b", "client"}, .hosts = {"a", "b", "client"}};
  shape.killable = {0, 1};
  shape.power_hosts = {0, 1};
  shape.length = 1s;
  shape.horizon = 2s;
  shape.reach = {{.probe = base::Probe::kPingServerUp, .place = 0, .hits = 2},
                 {.probe = base::Probe::kPingRoundTrip, .place = When::kAnywhere, .hits = 10}};
  return shape;
}

TEST(Explore, DrawsTheSamePlanAgainAndAnotherForTheNextRun) {
  const Shape shape = Small();
  const Hunt hunt{.shape = &shape, .kinds = SingleFaults()};
  EXPECT_EQ(DrawPlan(hunt, 3, 5), DrawPlan(hunt, 3, 5));
  EXPECT_NE(DrawPlan(hunt, 3, 5), DrawPlan(hunt, 3, 6));
  EXPECT_NE(DrawPlan(hunt, 3, 5), DrawPlan(hunt, 4, 5));
}

TEST(Explore, StaysWithinTheVocabularyAndTheNumberOfEvents) {
  const Shape shape = Small();
  std::set<size_t> sizes;
  for (const Moments moments : {Moments::kTimes, Moments::kProtocol}) {
    const Hunt hunt{.shape = &shape,
                    .kinds = {Kind::kKill, Kind::kPause},
                    .moments = moments,
                    .events_min = 2,
                    .events_max = 5};
    for (uint64_t run = 0; run < 200; ++run) {
      const Plan plan = DrawPlan(hunt, 1, run);
      sizes.insert(plan.events.size());
      for (const Event& event : plan.events) {
        EXPECT_TRUE(event.kind == Kind::kKill || event.kind == Kind::kPause);
        EXPECT_EQ(event.when.form == When::Form::kAt, moments == Moments::kTimes);
        EXPECT_TRUE(event.kind != Kind::kKill || event.target < 2);
      }
    }
  }
  EXPECT_EQ(sizes, (std::set<size_t>{2, 3, 4, 5}));
}

TEST(Explore, VisitsEveryPlanOfOneEventOnce) {
  const Shape shape = Small();
  const Hunt hunt{.shape = &shape, .kinds = {Kind::kKill}};
  std::vector<Plan> plans;
  const uint64_t count = ForEachSingle(hunt, 1, 3, [&](const Plan& plan) {
    plans.push_back(plan);
    return true;
  });
  // Hits 1 and 2 of the first probe and 1 to 3 of the second; 2 targets, 2 forms, 3 lengths.
  EXPECT_EQ(count, (2u + 3u) * 2 * 2 * 3);
  ASSERT_EQ(plans.size(), count);
  for (size_t i = 0; i < plans.size(); ++i) {
    for (size_t k = 0; k < i; ++k) EXPECT_FALSE(plans[i] == plans[k]);
  }
}

}  // namespace
}  // namespace weir::faults
