// Plan: what goes wrong in a run, as data. A list of events, each (when, what, where, how long,
// parameters). A seed only expands to a list (swarm.h); the list is what runs, and can be printed,
// parsed, replayed, mutated, shrunk and pasted into a test. It survives edits of the code; a seed
// does not.
//
// Any list is valid: parameters are clamped into their ranges, places wrap around, an event whose
// target is not there does nothing. So every mutation of a list is a list.
//
//   plan replicated_log seed 7
//   set clients 2
//   at 1.250s kill "replica 1" for 300ms
//   before log.committed 3 on "replica 1" pause "replica 2" for 2s
//   after log.append_end 2 net.cut replica1 -> replica3 for 1.5s
//   while log.append_begin 2 on "replica 1" plus 1ms disk.sync_error replica1 for 1s calls 1
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/probes.h"
#include "engine/base/time.h"

namespace weir::faults {

// One row each in kinds.h, with its family, target and parameters.
enum class Kind : uint8_t;

// When an event strikes.
struct When {
  enum class Form : uint8_t {
    kAt,      // at a virtual time
    kBefore,  // inside the hit of a probe, before the task that hit it goes on
    kAfter,   // when whatever can run at that instant has run
    kWhile,   // between the hit of a probe and the hit of the one that ends it, `offset` after the
              // first, or at the last
  };
  Form form = Form::kAt;
  base::Duration offset{0};    // kAt: since the run began; kWhile: since the interval began
  base::Probe probe{};         // else
  uint64_t hit = 1;            // the how-manieth, counted on `place` or anywhere
  uint32_t place = kAnywhere;  // index into Names::processes; wraps around
  static constexpr uint32_t kAnywhere = UINT32_MAX;
  friend bool operator==(const When&, const When&) = default;
};

struct Event {
  When when;
  Kind kind{};
  uint32_t target =
      0;  // index into Names::processes or Names::hosts, as the kind says; wraps around
  uint32_t other = 0;       // of the second host, for kinds that concern a pair
  base::Duration lasts{0};  // until it is undone; kinds that cannot be undone ignore it
  std::vector<int64_t>
      parameters;  // as the kind says; missing ones take their defaults, all are clamped
  friend bool operator==(const Event&, const Event&) = default;
};

struct Plan {
  std::string scenario;
  uint64_t seed = 0;  // of everything that is not a fault: latencies, schedules, workload
  // Knobs of the world and the workload that the plan fixes, by name: cluster size, clients,
  // writes. What is not named is drawn from the seed.
  std::map<std::string, int64_t> knobs;
  std::vector<Event> events;
  friend bool operator==(const Plan&, const Plan&) = default;
};

// What plans call by index, in the order in which a scenario made it (Driver::names). A list
// without names is known by number only: "#2".
struct Names {
  std::vector<std::string> processes;
  std::vector<std::string> hosts;
};

// The text form: a header, a line a knob, a line an event. Parse(Print(plan)) is `plan`, clamped.
std::string Print(const Plan& plan, const Names& names);
std::string PrintEvent(const Event& event, const Names& names);
// `source` is the file's name, for errors: "FILE:3:7: what is wrong". Empty lines and lines that
// begin with '#' are skipped.
absl::StatusOr<Plan> Parse(std::string_view text, std::string_view source, const Names& names);
// Without the events: for whom the plan is and with which knobs, before the names of that scenario
// are known.
struct Position {
  size_t line = 1;
  size_t column = 1;
};
absl::StatusOr<Plan> ParseHeader(std::string_view text, std::string_view source,
                                 Position* scenario = nullptr);

// Brings every index, time and parameter into its range. Any list becomes a valid one, a valid one
// stays as it is.
void Clamp(Plan& plan, const Names& names);

inline constexpr size_t kEventsMax = 1000;
inline constexpr base::Duration kLongestTime = std::chrono::hours(1);
inline constexpr uint64_t kHitsMax = 1'000'000;

}  // namespace weir::faults
