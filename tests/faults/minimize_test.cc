// Shrinking, on failures whose smallest plan is known.
#include "faults/minimize.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>

#include "faults/kinds.h"

namespace weir::faults {
namespace {

using namespace std::chrono_literals;

Event KillAt(base::Duration when, uint32_t target, base::Duration lasts = 137ms) {
  return {.when = {.offset = when}, .kind = Kind::kKill, .target = target, .lasts = lasts};
}

Judge Each(std::function<bool(const Plan&)> fails, uint64_t* asked = nullptr) {
  return [fails = std::move(fails), asked](absl::Span<const Plan> plans) {
    std::vector<bool> verdicts;
    for (const Plan& plan : plans) verdicts.push_back(fails(plan));
    if (asked != nullptr) *asked += plans.size();
    return verdicts;
  };
}

bool Kills(const Plan& plan, uint32_t target) {
  return std::any_of(plan.events.begin(), plan.events.end(), [&](const Event& event) {
    return event.kind == Kind::kKill && event.target == target;
  });
}

Plan ManyKills(uint32_t count) {
  Plan plan{.scenario = "ping_pong", .seed = 7};
  for (uint32_t i = 0; i < count; ++i) plan.events.push_back(KillAt(std::chrono::seconds(i), i));
  return plan;
}

TEST(Minimize, KeepsExactlyTheEventsThatAreNeeded) {
  const auto fails = [](const Plan& plan) {
    return Kills(plan, 3) && Kills(plan, 17) && Kills(plan, 18);
  };
  const Minimized result = Minimize(ManyKills(40), {.other_seeds = 0}, Each(fails));
  ASSERT_EQ(result.plan.events.size(), 3u);
  EXPECT_EQ(result.plan.events[0].target, 3u);
  EXPECT_EQ(result.plan.events[1].target, 17u);
  EXPECT_EQ(result.plan.events[2].target, 18u);
  EXPECT_LT(result.runs, 200u);
}

TEST(Minimize, FindsThatNoEventIsNeeded) {
  const Minimized result = Minimize(ManyKills(9), {}, Each([](const Plan&) { return true; }));
  EXPECT_TRUE(result.plan.events.empty());
}

TEST(Minimize, MakesWhatAnEventSaysSimple) {
  Plan plan{.scenario = "ping_pong", .seed = 7};
  Event event{.when = {.form = When::Form::kWhile,
                       .offset = 3ms,
                       .probe = base::Probe::kLogAppendBegin,
                       .hit = 57,
                       .place = 2},
              .kind = Kind::kCrashLoop,
              .lasts = 987654us,
              .parameters = {20, 50}};
  plan.events.push_back(event);
  const auto fails = [](const Plan& candidate) {
    return candidate.events.size() == 1 && candidate.events[0].when.hit >= 5 &&
           candidate.events[0].lasts >= 100ms;
  };
  const Event small = Minimize(plan, {}, Each(fails)).plan.events.at(0);
  EXPECT_EQ(small.when.form, When::Form::kBefore);
  EXPECT_EQ(small.when.offset, base::Duration(0));
  EXPECT_EQ(small.when.hit, 5u);
  EXPECT_EQ(small.when.place, When::kAnywhere);
  EXPECT_EQ(small.lasts, 100ms);
  EXPECT_EQ(small.parameters, (std::vector<int64_t>{3, 50}));
}

TEST(Minimize, LowersKnobsToWhatFails) {
  Plan plan = ManyKills(2);
  plan.knobs = {{"clients", 9}, {"writes", 40}};
  const auto fails = [](const Plan& candidate) {
    return Kills(candidate, 1) && candidate.knobs.at("writes") >= 13;
  };
  const Minimized result =
      Minimize(plan, {.knobs_low = {{"clients", 1}, {"writes", 4}}}, Each(fails));
  EXPECT_EQ(result.plan.knobs.at("clients"), 1);
  EXPECT_EQ(result.plan.knobs.at("writes"), 13);
  EXPECT_EQ(result.plan.events.size(), 1u);
}

TEST(Minimize, GivesTheSamePlanHoweverManyAreJudgedTogether) {
  const auto fails = [](const Plan& plan) {
    return plan.events.size() % 3 != 1 && Kills(plan, 11) && (Kills(plan, 4) || Kills(plan, 29));
  };
  const Plan alone = Minimize(ManyKills(31), {.batch = 1}, Each(fails)).plan;
  const Plan together = Minimize(ManyKills(31), {.batch = 16}, Each(fails)).plan;
  EXPECT_EQ(alone, together);
  EXPECT_TRUE(fails(alone));
}

TEST(Minimize, StopsAtItsLimit) {
  uint64_t asked = 0;
  const auto fails = [](const Plan& plan) { return plan.events.size() > 20; };
  Minimize(ManyKills(40), {.batch = 4, .runs_max = 10}, Each(fails, &asked));
  EXPECT_EQ(asked, 10u);
}

TEST(Minimize, WritesATestThatHoldsThePlan) {
  Plan plan{.scenario = "wal_file", .seed = 12};
  plan.events.push_back(KillAt(1s, 0, 5ms));
  const Names names{.processes = {"store"}, .hosts = {"store"}};
  const std::string test = AsTest(plan, names, "ack_before_sync", "write 3 was lost\nmore");
  EXPECT_NE(test.find("TEST(WalFilePlan, OfSeed12Passes)"), std::string::npos) << test;
  EXPECT_NE(test.find(Print(plan, names)), std::string::npos) << test;
  EXPECT_NE(test.find("{.bug = \"ack_before_sync\"}"), std::string::npos) << test;
  EXPECT_NE(test.find("// write 3 was lost\nTEST"), std::string::npos) << test;
}

}  // namespace
}  // namespace weir::faults
