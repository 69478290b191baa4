// The table of scenarios, in the open.
#include <algorithm>
#include <chrono>

#include "scenarios/cast.h"
#include "scenarios/runs.h"
#include "scenarios/scenario.h"

namespace weir::scenarios {

using namespace std::chrono_literals;
using faults::Kind;

namespace {

// A write-ahead file takes a record that reads wrong for a torn one; only a second copy could tell.
constexpr Kind kFlips = Kind::kDiskFlipRead;
// The small protocols charge no work and ask nobody for the date.
constexpr std::initializer_list<Kind> kNotAsked = {Kind::kSlow, Kind::kClockSkew, Kind::kClockStep,
                                                   Kind::kClockJump};

}  // namespace

const std::vector<Scenario>& AllScenarios() {
  static const auto* const table = new std::vector<Scenario>{
      {.name = "ping_pong",
       .speed = Class::kFast,
       .question = "Does every message get its answer over connections that break?",
       .listed = true,
       .world = &AnyWorld,
       .run = &RunPingPong,
       .horizon = 1s,
       .knobs = {{"clients", 1, 4}, {"rounds", 10, 60}},
       .untouched = {Kind::kSlow, Kind::kClockSkew, Kind::kClockStep, Kind::kClockJump,
                     Kind::kDiskReadError, Kind::kDiskWriteError, Kind::kDiskSyncError,
                     Kind::kDiskFull, Kind::kDiskSlow, Kind::kDiskHang, Kind::kDiskFlipRead,
                     Kind::kDiskFlip, Kind::kDiskMisdirect}},
      {.name = "replicated_log",
       .speed = Class::kFast,
       .question = "Is every acknowledged write of a replicated log there, once and in order?",
       .listed = true,
       .world = &AnyWorld,
       .run = &RunReplicatedLog,
       .knobs = {{"clients", 1, 3}, {"writes", 5, 20}},
       .bugs = {{"commit_alone", 1, "the leader takes its own log for a majority"},
                {"vote_for_anyone", 1, "a vote does not ask whose log is longer"}},
       // It charges no work and never asks for the date.
       .untouched = {Kind::kSlow, Kind::kClockSkew, Kind::kClockStep, Kind::kClockJump}},
      {.name = "wal_file",
       .speed = Class::kFast,
       .question = "Does a write-ahead file keep exactly what was acknowledged?",
       .listed = true,
       .world = &SmallWorld,
       .run = &RunWalFile,
       .horizon = 1s,
       .knobs = {{"writes", 4, 10}},
       .bugs = {{"ack_before_sync", 1, "a write is acknowledged from the page cache"},
                {"trust_torn_record", 1, "recovery believes a record whose size is there"},
                {"keep_torn_tail", 2, "recovery writes on behind a torn record"},
                {"trust_page_cache", 2, "recovery does not sync what it read"}},
       .never = {kFlips},
       .untouched = kNotAsked},
      {.name = "two_phase_commit",
       .speed = Class::kFast,
       .question = "Do all participants of a transaction end it alike, as the client was told?",
       .listed = true,
       .world = &SmallWorld,
       .run = &RunTwoPhaseCommit,
       .horizon = 2s,
       .knobs = {{"participants", 2, 3}, {"transactions", 3, 8}},
       .bugs = {{"tell_before_log", 1, "a commit is told before it is logged"},
                {"vote_in_memory", 1, "a vote is given before it is logged"},
                {"forget_after_first_ack", 2, "a commit is forgotten when one has it"}},
       .never = {kFlips},
       .untouched = kNotAsked},
      {.name = "lease",
       .speed = Class::kFast,
       .question = "Does a holder that slept through the end of its lease do no harm?",
       .listed = true,
       .world = &SmallWorld,
       .run = &RunLease,
       .horizon = 3s,
       .knobs = {{"holders", 2, 3}, {"writes", 30, 60}},
       .bugs = {{"no_fencing", 1, "the store takes every token"},
                {"token_not_durable", 1, "a token is given before it is durable"}},
       .never = {kFlips},
       .untouched = kNotAsked},
      {.name = "chain",
       .speed = Class::kFast,
       .question = "Does a chain of replicas keep every acknowledged write, once and in order?",
       .listed = true,
       .world = &SmallWorld,
       .run = &RunChain,
       .horizon = 3s,
       .knobs = {{"clients", 1, 2}, {"writes", 4, 10}},
       .bugs = {{"resend_without_dedup", 1, "what was sent again is appended again"},
                {"no_epoch_check", 1, "messages of an old chain are taken"},
                {"three_in_memory", 3, "three copies in memory count as durable"},
                {"four_in_memory", 4, "four copies in memory count as durable"},
                {"five_in_memory", 5, "five copies in memory count as durable"}},
       .never = {kFlips},
       .untouched = kNotAsked},
      {.name = "canary_address",
       .speed = Class::kFast,
       .question = "Is a run that depends on an address caught?",
       .listed = false,
       .world = &AnyWorld,
       .run = &RunCanaryAddress},
      {.name = "canary_draw_order",
       .speed = Class::kFast,
       .question = "Is a run that draws twice in one argument list caught between compilers?",
       .listed = false,
       .world = &AnyWorld,
       .run = &RunCanaryDrawOrder},
  };
  return *table;
}

const Scenario* FindScenario(std::string_view name) {
  const std::vector<Scenario>& all = AllScenarios();
  const auto it = std::find_if(all.begin(), all.end(),
                               [&](const Scenario& scenario) { return scenario.name == name; });
  return it == all.end() ? nullptr : &*it;
}

}  // namespace weir::scenarios
