// The driver and the families, on a program that does a little of everything, so that every kind
// has something to bite.
#include "faults/driver.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/io/framing.h"
#include "engine/io/scope.h"
#include "faults/swarm.h"
#include "scenarios/execute.h"
#include "scenarios/scenario.h"

namespace weir::faults {
namespace {

using namespace std::chrono_literals;
using base::Duration;
using scenarios::Execute;
using scenarios::Outcome;
using scenarios::Scenario;

constexpr int kRequests = 30;

// Answers each request after some work, a synced write and a read.
absl::Status Serve(io::Env& env) {
  ASSIGN_OR_RETURN(const std::unique_ptr<io::Listener> listener,
                   env.network.Listen({env.host.address(), 7000}));
  ASSIGN_OR_RETURN(const std::unique_ptr<io::File> file,
                   env.disk.Open("data", io::OpenMode::kOverwrite));
  RETURN_IF_ERROR(env.disk.SyncDirectory(""));
  env.trace.Hit(base::Probe::kPingServerUp, {7000});
  absl::Status failed;
  return io::WithScope(env, "server", [&](io::Scope& scope) -> absl::Status {
    return io::WithScope(env, "ticker", [&](io::Scope& ticker) -> absl::Status {
      RETURN_IF_ERROR(ticker.Spawn("tick", [&env] {
        for (;;) env.Sleep(10ms);
      }));
      while (failed.ok()) {
        absl::StatusOr<std::unique_ptr<io::Stream>> stream = listener->Accept(env.Deadline(50ms));
        if (!stream.ok()) continue;
        auto peer = std::make_unique<io::FramedStream>(*std::move(stream));
        auto answer = [&env, &failed, &file, peer = std::move(peer)] {
          while (failed.ok()) {
            const absl::StatusOr<std::string_view> message = peer->Read(env.Deadline(5s));
            if (!message.ok()) return;
            const std::string reply(*message);
            env.tasks.Charge(50us);
            env.trace.Hit(base::Probe::kLogAppendBegin, {1, 1});
            const std::string record =
                absl::StrFormat("%s at %d\n", reply, base::Nanos(env.clock.Wall()));
            failed.Update(file->Append(record));
            if (failed.ok()) failed.Update(file->Sync());
            env.trace.Hit(base::Probe::kLogAppendEnd, {1, 1});
            char back[64];
            const absl::StatusOr<size_t> got = file->Read(0, absl::MakeSpan(back));
            failed.Update(got.status());
            if (!failed.ok() || !peer->Write(reply, env.Deadline(5s)).ok()) return;
          }
        };
        RETURN_IF_ERROR(scope.Spawn("answer", std::move(answer)));
      }
      return failed;
    });
  });
}

absl::Status Ask(io::Env& env) {
  std::unique_ptr<io::FramedStream> peer;
  int server = 1;
  for (int request = 1; request <= kRequests;) {
    if (peer == nullptr) {
      server = 3 - server;
      absl::StatusOr<std::unique_ptr<io::Stream>> stream =
          env.network.Connect({absl::StrFormat("server%d", server), 7000}, env.Deadline(1s));
      if (!stream.ok()) {
        env.Sleep(10ms);
        continue;
      }
      peer = std::make_unique<io::FramedStream>(*std::move(stream));
    }
    const std::string text = absl::StrFormat("request %d %s", request, std::string(200, 'x'));
    absl::StatusOr<std::string_view> reply = absl::UnavailableError("not sent");
    if (peer->Write(text, env.Deadline(1s)).ok()) reply = peer->Read(env.Deadline(1s));
    if (!reply.ok()) {
      peer.reset();
      continue;
    }
    env.trace.Hit(base::Probe::kPingRoundTrip, {1, request});
    if (++request % 10 == 0) peer.reset();  // so that connects happen all the time
    env.Sleep(10ms);
  }
  return absl::OkStatus();
}

absl::Status RunEverything(scenarios::Run& run) {
  static const io::Program serve = Serve;
  static const io::Program ask = Ask;
  sim::World& world = run.world;
  const sim::ProcessId one =
      world.Start(world.AddHost("server1"), serve, {.name = "server 1", .essential = false});
  const sim::ProcessId two =
      world.Start(world.AddHost("server2"), serve, {.name = "server 2", .essential = false});
  const sim::ProcessId client = world.Start(world.AddHost("client"), ask, {.name = "client"});
  run.driver.Protect({.killable = {one, two}, .disks_lost_max = 2, .scopes = {"ticker"}});
  RETURN_IF_ERROR(world.Run());
  run.facts.committed = kRequests;
  return world.exit_message(client);
}

sim::WorldOptions SmallWindows(uint64_t seed) {
  sim::WorldOptions options = scenarios::AnyWorld(seed);
  options.network.window_bytes = 256;  // so that a lost acknowledgement stops a writer
  return options;
}

const Scenario& Everything() {
  static const auto* const scenario = new Scenario{.name = "everything",
                                                   .speed = scenarios::Class::kFast,
                                                   .question = "Does every request get its answer?",
                                                   .listed = false,
                                                   .world = &SmallWindows,
                                                   .run = &RunEverything,
                                                   .horizon = 2s};
  return *scenario;
}

Plan Of(const std::vector<Event>& events, uint64_t seed = 1) {
  Plan plan;
  plan.scenario = "everything";
  plan.seed = seed;
  plan.events = events;
  return plan;
}

TEST(Faults, EveryKindBitesWithinSixtySeedsAndTheProgramFinishes) {
  for (const Info& info : kKinds) {
    uint64_t struck = 0;
    uint64_t bit = 0;
    for (uint64_t seed = 1; seed <= 60; ++seed) {
      const Outcome outcome =
          Execute(Everything(), scenarios::PlanOf(Everything(), seed, {info.kind}));
      ASSERT_TRUE(outcome.status.ok()) << outcome.status << "\n"
                                       << Print(outcome.plan, outcome.names);
      for (const Bite& bite : outcome.bites) {
        struck += bite.struck;
        bit += bite.bit;
      }
    }
    EXPECT_GT(struck, 0u) << info.name;
    EXPECT_GT(bit, 0u) << info.name << " struck " << struck << " times: " << info.bite;
  }
}

TEST(Faults, TheProgramSurvivesTheWholeSwarm) {
  uint64_t recoveries = 0;
  for (uint64_t seed = 1; seed <= 300; ++seed) {
    const Outcome outcome =
        Execute(Everything(), scenarios::PlanOf(Everything(), seed, scenarios::AllKinds()));
    ASSERT_TRUE(outcome.status.ok()) << outcome.status << "\n"
                                     << Print(outcome.plan, outcome.names);
    recoveries += outcome.facts.recoveries;
  }
  EXPECT_GT(recoveries, 100u);
}

TEST(Faults, ThePlanThatWasCarriedOutGivesTheSameRunAgain) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    const Outcome first =
        Execute(Everything(), scenarios::PlanOf(Everything(), seed, scenarios::AllKinds()));
    const std::string text = Print(first.plan, first.names);
    const absl::StatusOr<Plan> parsed = Parse(text, "plan", first.names);
    ASSERT_TRUE(parsed.ok()) << parsed.status() << "\n" << text;
    const Outcome again = Execute(Everything(), *parsed);
    ASSERT_EQ(again.hash, first.hash) << text;
    ASSERT_EQ(Print(again.plan, again.names), text);
  }
}

TEST(Faults, AnyListOfEventsCanBeRun) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    base::Random random(seed);
    Plan plan = Of({}, seed);
    const int events = random.Between(1, 8);
    for (int i = 0; i < events; ++i) {
      Event event;
      event.when.form = static_cast<When::Form>(random.Between(0, 255));
      event.when.offset = Duration(static_cast<int64_t>(random.Next()) >> random.Between(30, 63));
      event.when.probe = static_cast<base::Probe>(random.Between(0, 65'535));
      event.when.hit = random.Between(uint64_t{0}, uint64_t{5});
      event.when.place =
          random.Chance({1, 2}) ? When::kAnywhere : static_cast<uint32_t>(random.Next());
      event.kind = static_cast<Kind>(random.Between(0, 255));
      event.target = static_cast<uint32_t>(random.Next());
      event.other = static_cast<uint32_t>(random.Next());
      event.lasts = Duration(static_cast<int64_t>(random.Next()) >> random.Between(30, 63));
      plan.events.push_back(event);
    }
    const Outcome outcome = Execute(Everything(), plan);
    ASSERT_TRUE(outcome.status.ok()) << outcome.status << "\n"
                                     << Print(outcome.plan, outcome.names);
  }
}

TEST(Faults, WhatStrikesAtTheInstantOfHealingIsHealed) {
  for (const char* text :
       {"plan lease seed 3\nat 100ms pause store for 2.8s\nat 3s kill store for 1s\n",
        "plan lease seed 3\nat 100ms pause store for 2.9s\nat 3s power store for 1s\n",
        "plan wal_file seed 1\nat 1ms pause store for 900ms\nat 1s kill store for 1s\n"}) {
    const auto loaded = scenarios::LoadPlan(text, "plan");
    ASSERT_TRUE(loaded.ok()) << loaded.status();
    const Outcome outcome = Execute(*loaded->scenario, loaded->plan);
    EXPECT_TRUE(outcome.status.ok()) << text << outcome.status;
  }
}

TEST(Faults, AKillBeforeAProbeEndsTheTaskThatHitIt) {
  // The second record is never answered by the life that began it.
  const Event kill{.when = {.form = When::Form::kBefore,
                            .probe = base::Probe::kLogAppendBegin,
                            .hit = 2,
                            .place = 1},
                   .kind = Kind::kKill,
                   .target = 1,
                   .lasts = 100ms};
  std::vector<std::string> lines;
  const Outcome outcome =
      Execute(Everything(), Of({kill}),
              {.trace = [&](std::string_view line) { lines.emplace_back(line); }});
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_TRUE(outcome.struck[0]);
  EXPECT_EQ(outcome.event_bites[0], 1u);
  EXPECT_EQ(outcome.facts.recoveries, 1u);
  int begun = 0;
  bool dead = false;
  for (const std::string& line : lines) {
    if (absl::StrContains(line, "server 2 probe log.append_begin")) ++begun;
    if (begun < 2) continue;
    if (absl::StrContains(line, "start server 2")) break;
    if (absl::StrContains(line, "end server 2")) dead = true;
    EXPECT_FALSE(absl::StrContains(line, "disk server 2")) << line;
  }
  EXPECT_EQ(begun, 2);
  EXPECT_TRUE(dead);
}

TEST(Faults, APauseBeforeAProbeStopsTheTaskThatHitItAndTheLineGoesOnLater) {
  const Event pause{.when = {.form = When::Form::kBefore,
                             .probe = base::Probe::kLogAppendBegin,
                             .hit = 2,
                             .place = 1},
                    .kind = Kind::kPause,
                    .target = 1,
                    .lasts = 700ms};
  std::vector<std::string> lines;
  const Outcome outcome =
      Execute(Everything(), Of({pause}),
              {.trace = [&](std::string_view line) { lines.emplace_back(line); }});
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_GT(outcome.event_bites[0], 0u);
  bool paused = false;
  bool resumed = false;
  for (const std::string& line : lines) {
    if (absl::StrContains(line, "pause server 2")) paused = true;
    if (absl::StrContains(line, "resume server 2")) resumed = true;
    if (!paused || resumed) {
      if (resumed && absl::StrContains(line, "run server 2 task")) {
        // Nobody else of the process runs before the task that was stopped.
        EXPECT_TRUE(absl::StrContains(line, "\"answer\"")) << line;
        break;
      }
      continue;
    }
    EXPECT_FALSE(absl::StrContains(line, "run server 2")) << line;
    EXPECT_FALSE(absl::StrContains(line, "disk server 2")) << line;
  }
  EXPECT_TRUE(resumed);
}

TEST(Faults, AnEventWhileAnIntervalIsOpenStrikesAtItsEndAtTheLatest) {
  Event cut{.when = {.form = When::Form::kWhile,
                     .offset = 50s,
                     .probe = base::Probe::kLogAppendBegin,
                     .hit = 3},
            .kind = Kind::kNetReset,
            .target = 2,
            .other = 1};
  const Outcome late = Execute(Everything(), Of({cut}));
  ASSERT_TRUE(late.status.ok()) << late.status;
  EXPECT_TRUE(late.struck[0]);
  cut.when.offset = 1us;
  EXPECT_TRUE(Execute(Everything(), Of({cut})).struck[0]);
}

TEST(Faults, NothingStrikesOnceAllIsHealed) {
  const Outcome outcome = Execute(
      Everything(),
      Of({Event{.when = {.offset = 10s}, .kind = Kind::kNetReset, .target = 1, .other = 2},
          Event{.when = {.offset = 10ms}, .kind = Kind::kDiskHang, .target = 0, .lasts = 1h},
          Event{.when = {.offset = 10ms}, .kind = Kind::kPower, .target = 1, .lasts = 1h}}));
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_FALSE(outcome.struck[0]);
  EXPECT_TRUE(outcome.struck[1]);
  EXPECT_LT(outcome.ended, Everything().horizon + Everything().bound);
}

TEST(Faults, WhoMayNotDieIsSparedAndThePlanSaysWhoDiedInstead) {
  const Outcome outcome = Execute(
      Everything(),
      Of({Event{.when = {.offset = 20ms}, .kind = Kind::kKill, .target = 2, .lasts = 10ms}}));
  ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  EXPECT_EQ(outcome.plan.events[0].target, 0u);
  EXPECT_TRUE(outcome.struck[0]);
}

TEST(Faults, NoMoreDisksAreLostThanTheLimitAllows) {
  // replicated_log allows none: the same event is a power cut with the disk kept.
  const Scenario* const log = scenarios::FindScenario("replicated_log");
  for (uint64_t seed = 1; seed <= 30; ++seed) {
    Plan plan = Of({Event{.when = {.offset = 5ms},
                          .kind = Kind::kPower,
                          .target = 0,
                          .lasts = 50ms,
                          .parameters = {1}},
                    Event{.when = {.offset = 60ms},
                          .kind = Kind::kPower,
                          .target = 1,
                          .lasts = 50ms,
                          .parameters = {1}}},
                   seed);
    const Outcome outcome = Execute(*log, plan);
    ASSERT_TRUE(outcome.status.ok()) << outcome.status;
  }
}

// ------------------------------------------------------------------------------------------------------------
// swarm

TEST(Swarm, ASeedAlwaysExpandsToTheSamePlanAndSeedsDiffer) {
  const Scenario* const log = scenarios::FindScenario("replicated_log");
  std::vector<std::string> texts;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const Plan plan = scenarios::PlanOf(*log, seed, scenarios::AllKinds());
    EXPECT_EQ(plan, scenarios::PlanOf(*log, seed, scenarios::AllKinds()));
    texts.push_back(Print(plan, scenarios::ShapeOf(*log).names));
  }
  for (size_t i = 1; i < texts.size(); ++i) EXPECT_NE(texts[i], texts[i - 1]);
}

TEST(Swarm, NeverHasAllFamiliesOnAndUsesTimesAsWellAsMoments) {
  const Scenario* const log = scenarios::FindScenario("replicated_log");
  std::vector<uint64_t> kinds(kKinds.size());
  uint64_t events = 0;
  uint64_t moments = 0;
  uint64_t calm = 0;
  for (uint64_t seed = 1; seed <= 2000; ++seed) {
    const Plan plan =
        scenarios::PlanOf(*log, seed, scenarios::KindsFor(*log, scenarios::AllKinds()));
    std::vector<bool> families(kFamilies);
    for (const Event& event : plan.events) {
      families[static_cast<size_t>(InfoOf(event.kind).family)] = true;
      ++kinds[static_cast<size_t>(event.kind)];
      ++events;
      moments += event.when.form != When::Form::kAt;
    }
    calm += plan.events.empty();
    EXPECT_FALSE(families[0] && families[1] && families[2] && families[3]) << seed;
  }
  EXPECT_GT(calm, 10u);
  EXPECT_LT(calm, 400u);
  EXPECT_GT(moments, events * 2 / 5);
  EXPECT_LT(moments, events * 3 / 5);
  for (const Kind kind : {Kind::kKill, Kind::kPower, Kind::kPause, Kind::kNetCut, Kind::kNetFlip,
                          Kind::kClockDrift, Kind::kDiskSyncError}) {
    EXPECT_GT(kinds[static_cast<size_t>(kind)], 20u) << InfoOf(kind).name;
  }
}

TEST(Swarm, WhoAsksForOneKindGetsItAndNoOther) {
  const Scenario* const log = scenarios::FindScenario("replicated_log");
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const Plan plan = scenarios::PlanOf(*log, seed, {Kind::kNetCut});
    EXPECT_FALSE(plan.events.empty());
    for (const Event& event : plan.events) EXPECT_EQ(event.kind, Kind::kNetCut);
  }
  EXPECT_TRUE(scenarios::PlanOf(*log, 1, {}).events.empty());
}

}  // namespace
}  // namespace weir::faults
