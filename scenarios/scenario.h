// Scenario: a question put to the simulated world, with an oracle that answers it. Setup, run,
// check; first safety under faults, then health and the demand to finish.
//
// A scenario is a plain function over a Run that the runner made (scenarios/execute.h): it starts
// processes, tells the driver what may be killed, runs the world and judges. It judges outside of
// tasks. Whatever goes wrong comes from the driver's plan, whatever is chosen (how many clients,
// how many writes) from the run's knobs.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "engine/base/random.h"
#include "faults/driver.h"
#include "sim/world.h"

namespace weir::scenarios {

enum class Class {
  kFast,  // under a second a seed
  kSlow,
  kSoak,  // not in the default list
};

// What a run did, whether or not it passed.
struct Facts {
  uint64_t faults = 0;      // that had an effect
  uint64_t recoveries = 0;  // processes that came back and went on
  uint64_t checkpoints = 0;
  uint64_t committed = 0;  // results that count
};

// What a run chooses about itself: the plan's value, or a draw from the seed. Each knob has a
// stream of its own, so a plan that fixes one moves no other.
class Knobs {
 public:
  Knobs(uint64_t seed, const std::map<std::string, int64_t>& fixed)
      : random_(base::Random(seed).Fork("knobs")), fixed_(fixed) {}

  // In [low, high]; a value that the plan fixes elsewhere is clamped.
  int64_t Get(std::string_view name, int64_t low, int64_t high) const;
  // All that were asked for, for the plan that is printed.
  const std::map<std::string, int64_t>& used() const { return used_; }

 private:
  const base::Random random_;
  const std::map<std::string, int64_t> fixed_;
  mutable std::map<std::string, int64_t> used_;
};

struct Run {
  sim::World& world;
  faults::Driver& driver;
  const Knobs& knobs;
  std::string_view bug;  // the name of the planted bug; "" for the program as it should be
  Facts& facts;
};

// A knob that the scenario asks for, so that tools can list and shrink it.
struct KnobRange {
  std::string_view name;
  int64_t low;
  int64_t high;
};

// A variant with a mistake planted, and how many faults it takes to see it.
struct Bug {
  std::string_view name;
  int depth;
  std::string_view what;
};

// How a run ends, by the code of the status that `run` returns:
//   kOk
//   kDataLoss            safety: something that must never be was
//   kDeadlineExceeded    liveness: what must come did not, although all is healed
//   kInternal            a task of the program died, or refused to end
//   kFailedPrecondition  vacuous: the run proved nothing
struct Scenario {
  std::string_view name;
  Class speed;
  std::string_view question;
  bool listed;  // false: found by name only, such as canaries
  sim::WorldOptions (*world)(uint64_t seed);
  absl::Status (*run)(Run& run);
  base::Duration horizon = std::chrono::seconds(3);  // faults end and all is healed
  base::Duration bound = std::chrono::minutes(2);  // within so long after that the run must finish
  std::vector<KnobRange> knobs{};
  std::vector<Bug> bugs{};
  std::vector<faults::Kind> never{};  // kinds that the program does not promise to survive
  std::vector<faults::Kind>
      untouched{};  // kinds that cannot change anything here; on only when named
};

// In the order in which they are listed. registry.cc has the table.
const std::vector<Scenario>& AllScenarios();
// Null if there is none.
const Scenario* FindScenario(std::string_view name);
// Null if the scenario has none of this name.
const Bug* FindBug(const Scenario& scenario, std::string_view name);

// A world whose latencies, windows and reads are drawn from the seed, down to no latency at all.
sim::WorldOptions AnyWorld(uint64_t seed);

}  // namespace weir::scenarios
