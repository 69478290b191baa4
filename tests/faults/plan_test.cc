// The text form and the clamping of plans.
#include "faults/plan.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_split.h"
#include "engine/base/random.h"
#include "faults/kinds.h"

namespace weir::faults {
namespace {

using namespace std::chrono_literals;

const Names kNames{{"replica 1", "replica 2", "client 1"}, {"replica1", "replica2", "client1"}};

// Nonsense of every sort: what a fuzzer or a mutation could leave behind.
Plan AnyPlan(base::Random random) {
  Plan plan;
  plan.scenario = random.Chance({1, 2}) ? "replicated_log" : "an \"odd\\ name\"";
  plan.seed = random.Next();
  const int knobs = random.Between(0, 3);
  for (int i = 0; i < knobs; ++i) {
    std::string name = "knob" + std::to_string(i);
    plan.knobs[name] = static_cast<int64_t>(random.Next());
  }
  const int events = random.Between(0, 12);
  for (int i = 0; i < events; ++i) {
    Event event;
    event.when.form = static_cast<When::Form>(random.Between(0, 255));
    event.when.offset =
        base::Duration(static_cast<int64_t>(random.Next()) >> random.Between(0, 60));
    event.when.probe = static_cast<base::Probe>(random.Between(0, 65'535));
    event.when.hit = random.Next() >> random.Between(0, 63);
    event.when.place =
        random.Chance({1, 2}) ? When::kAnywhere : static_cast<uint32_t>(random.Next());
    event.kind = static_cast<Kind>(random.Between(0, 255));
    event.target = static_cast<uint32_t>(random.Next());
    event.other = static_cast<uint32_t>(random.Next());
    event.lasts = base::Duration(static_cast<int64_t>(random.Next()) >> random.Between(0, 60));
    const int parameters = random.Between(0, 4);
    for (int k = 0; k < parameters; ++k) {
      const int64_t value = static_cast<int64_t>(random.Next());
      event.parameters.push_back(value >> random.Between(0, 60));
    }
    plan.events.push_back(event);
  }
  return plan;
}

TEST(properties_Plan, AnyListIsValidOnceClampedAndClampingAgainChangesNothing) {
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    Plan plan = AnyPlan(base::Random(seed));
    Clamp(plan, kNames);
    const Plan once = plan;
    Clamp(plan, kNames);
    ASSERT_EQ(plan, once) << seed;
    for (const Event& event : plan.events) {
      const Info& info = InfoOf(event.kind);
      ASSERT_EQ(event.parameters.size(), info.parameter_count());
      for (size_t i = 0; i < event.parameters.size(); ++i) {
        ASSERT_GE(event.parameters[i], info.parameters[i].low);
        ASSERT_LE(event.parameters[i], info.parameters[i].high);
      }
      if (info.target == Target::kHostPair) {
        ASSERT_NE(event.target, event.other);
      }
      ASSERT_LT(event.target, 3u);
    }
  }
}

TEST(properties_Plan, WhatIsPrintedParsesToTheSamePlan) {
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    Plan plan = AnyPlan(base::Random(seed));
    Clamp(plan, kNames);
    const std::string text = Print(plan, kNames);
    const absl::StatusOr<Plan> parsed = Parse(text, "p", kNames);
    ASSERT_TRUE(parsed.ok()) << parsed.status() << "\n" << text;
    ASSERT_EQ(*parsed, plan) << text;
    ASSERT_EQ(Print(*parsed, kNames), text);
  }
}

TEST(properties_Plan, AFilePartlyDestroyedIsRefusedWithItsPlaceOrRead) {
  uint64_t refused = 0;
  for (uint64_t seed = 1; seed <= 3000; ++seed) {
    base::Random random(seed);
    Plan plan = AnyPlan(random.Fork("plan"));
    Clamp(plan, kNames);
    std::string text = Print(plan, kNames);
    const int changes = random.Between(1, 4);
    for (int i = 0; i < changes; ++i) {
      const size_t at = random.Between(uint64_t{0}, text.size() - 1);
      text[at] = static_cast<char>(random.Between(32, 126));
    }
    const absl::StatusOr<Plan> parsed = Parse(text, "some.plan", kNames);
    if (parsed.ok()) continue;
    ++refused;
    const std::string message(parsed.status().message());
    ASSERT_EQ(message.find("some.plan:"), 0u) << message;
    ASSERT_EQ(message.find('\n'), std::string::npos) << message;
  }
  EXPECT_GT(refused, 1000u);
}

TEST(Plan, ReadsTheFormOfItsHeader) {
  const absl::StatusOr<Plan> plan = Parse(
      "# found on a Tuesday\n"
      "plan replicated_log seed 7\n"
      "\n"
      "set clients 2\n"
      "at 1.250s kill \"replica 1\" for 300ms\n"
      "before log.committed 3 on \"replica 1\" pause \"replica 2\" for 2s\n"
      "after log.append_end 2 net.cut replica1 -> client1 for 1.5s\n"
      "while log.append_begin 2 on \"replica 1\" plus 10us disk.sync_error replica1 for 0s calls "
      "4\n",
      "file", kNames);
  ASSERT_TRUE(plan.ok()) << plan.status();
  EXPECT_EQ(plan->scenario, "replicated_log");
  EXPECT_EQ(plan->seed, 7u);
  EXPECT_EQ(plan->knobs.at("clients"), 2);
  ASSERT_EQ(plan->events.size(), 4u);
  EXPECT_EQ(plan->events[0],
            (Event{.when = {.offset = 1250ms}, .kind = Kind::kKill, .target = 0, .lasts = 300ms}));
  EXPECT_EQ(plan->events[1].when.form, When::Form::kBefore);
  EXPECT_EQ(plan->events[1].when.hit, 3u);
  EXPECT_EQ(plan->events[1].when.place, 0u);
  EXPECT_EQ(plan->events[2].when.place, When::kAnywhere);
  EXPECT_EQ(plan->events[2].other, 2u);
  EXPECT_EQ(plan->events[3].when.offset, 10us);
  EXPECT_EQ(plan->events[3].parameters, (std::vector<int64_t>{0, 4}));
}

TEST(Plan, ErrorsNameLineAndColumn) {
  const std::string head = "plan replicated_log seed 7\n";
  const struct {
    std::string text;
    std::string_view message;
  } kCases[] = {
      {"", "f:1:1: the plan is empty; a plan begins with a line like: plan replicated_log seed 7"},
      {"hello", "f:1:1: a plan begins with a line like: plan replicated_log seed 7"},
      {"plan x", "f:1:7: \"seed\" is missing after the scenario's name"},
      {"plan x seed -1", "f:1:13: seed \"-1\": not a whole number from 0 to 18446744073709551615"},
      {head + "at 5 kill #0",
       "f:2:4: the time of the event \"5\": not a time from 0s to 3600s; write it as 250us, 300ms "
       "or 1.5s"},
      {head + "at 1s kil #0",
       "f:2:7: kind \"kil\": there is none of this name; did you mean \"kill\"?"},
      {head + "\n  at 1s kill \"replica 9\"",
       "f:3:14: process \"replica 9\": the scenario has none of this name; did you mean \"replica "
       "1\"?"},
      {head + "before log.comitted 1 kill #0",
       "f:2:8: probe \"log.comitted\": there is none of this name; did you mean \"log.committed\"? "
       "`weir sim probes "
       "SCENARIO` lists them"},
      {head + "before log.committed 0 kill #0",
       "f:2:22: the number of the hit \"0\": not a whole number from 1 to 1000000"},
      {head + "at 1s kill \"replica 1",
       "f:2:12: a quote opens here and does not close; add the second '\"'"},
      {head + "at 1s kill", "f:2:11: process is missing"},
      {head + "at 1s net.cut replica1 replica2",
       "f:2:24: \"->\" is missing after the first host of a pair"},
      {head + "at 1s slow #0 for 1s factor 1",
       "f:2:29: factor \"1\": not a whole number from 2 to 10000"},
      {head + "at 1s slow #0 fast 2",
       "f:2:15: \"fast\": slow has no such parameter; allowed: for, factor"},
      {head + "set clients two",
       "f:2:13: the value of the knob \"two\": not a whole number from -9223372036854775808 to "
       "9223372036854775807"},
      {head + "kill #0",
       "f:2:1: \"kill\": a line begins with set, at, before, after or while; for example: at 1.5s "
       "kill #0 for 300ms"},
  };
  for (const auto& expected : kCases) {
    const absl::StatusOr<Plan> plan = Parse(expected.text, "f", kNames);
    ASSERT_FALSE(plan.ok()) << expected.text;
    EXPECT_EQ(std::string_view(plan.status().message().data(), plan.status().message().size()),
              expected.message)
        << expected.text;
  }
}

TEST(Kinds, AListNamesFamiliesAndKinds) {
  EXPECT_EQ(ParseKinds("all")->size(), kKinds.size());
  EXPECT_TRUE(ParseKinds("none")->empty());
  EXPECT_EQ(*ParseKinds("disk.full,kill"), (std::vector<Kind>{Kind::kKill, Kind::kDiskFull}));
  EXPECT_EQ(ParseKinds("clock")->size(), 4u);
  EXPECT_EQ(ParseKinds("netwrk").status().message(),
            "faults \"netwrk\": there is no family or kind of this name; did you mean \"network\"? "
            "Allowed are all, none, or "
            "families (process, network, clock, disk) and kinds with commas between");
}

TEST(Kinds, EveryDefaultLiesInItsRange) {
  for (const Info& info : kKinds) {
    EXPECT_EQ(FindKind(info.name), &info);
    for (size_t i = 0; i < info.parameter_count(); ++i) {
      EXPECT_LE(info.parameters[i].low, info.parameters[i].fallback) << info.name;
      EXPECT_GE(info.parameters[i].high, info.parameters[i].fallback) << info.name;
    }
  }
}

}  // namespace
}  // namespace weir::faults
