// A whole scenario under any plan: bytes are a list of events, of every kind that the scenario's
// program promises to survive, at times or at protocol moments. The verdict must be OK, and a
// second run the same run.
//
// The fuzzer sees, beside the edges of the code, what became of the events: a counter for each
// combination of kind, moment and how much it changed, so that a plan is kept that makes a fault
// bite at a moment where it never did.
#include "scenarios/scenario.h"

#include <bit>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/hash.h"
#include "faults/kinds.h"
#include "faults/plan.h"
#include "fuzz/input.h"
#include "scenarios/execute.h"

namespace weir::fuzz {
namespace {

using namespace std::chrono_literals;

constexpr size_t kStates = 1 << 14;
__attribute__((section("__libfuzzer_extra_counters"), used)) uint8_t states[kStates];

constexpr size_t kEventsMax = 12;

// Short times are as likely as long ones.
base::Duration AnyTime(Input& input) {
  const auto fine = static_cast<int64_t>(input.Byte());
  return base::Duration(1us) * (fine << input.Between(0, 14));
}

faults::Event AnyEvent(Input& input, const std::vector<faults::Kind>& kinds) {
  faults::Event event;
  event.when.form = static_cast<faults::When::Form>(input.Between(0, 3));
  if (event.when.form == faults::When::Form::kAt) {
    event.when.offset = AnyTime(input);
  } else {
    event.when.probe = static_cast<base::Probe>(input.Between(0, base::kProbes.size() - 1));
    event.when.hit = 1 + input.Byte();
    const uint8_t place = input.Byte();
    event.when.place = place % 2 == 0 ? faults::When::kAnywhere : place / 2;
  }
  event.kind = kinds[input.Between(0, kinds.size() - 1)];
  event.target = input.Byte();
  event.other = input.Byte();
  event.lasts = AnyTime(input);
  const faults::Info& info = faults::InfoOf(event.kind);
  for (size_t i = 0; i < info.parameter_count(); ++i) {
    const faults::Parameter& parameter = info.parameters[i];
    const uint64_t share = input.Byte();  // of the range; 0: the default
    const auto range = static_cast<uint64_t>(parameter.high) - static_cast<uint64_t>(parameter.low);
    event.parameters.push_back(
        share == 0
            ? parameter.fallback
            : parameter.low + static_cast<int64_t>(
                                  (static_cast<unsigned __int128>(range) * (share - 1)) / 254));
  }
  return event;
}

void Count(const scenarios::Outcome& outcome) {
  for (size_t i = 0; i < outcome.plan.events.size(); ++i) {
    const faults::Event& event = outcome.plan.events[i];
    base::RollingHash state;
    state.Add(static_cast<uint64_t>(event.kind));
    state.Add(static_cast<uint64_t>(event.when.form));
    state.Add(static_cast<uint64_t>(event.when.probe));
    state.Add(static_cast<uint64_t>(std::bit_width(event.when.hit)));
    state.Add(outcome.struck[i] ? 1 : 0);
    state.Add(static_cast<uint64_t>(std::bit_width(outcome.event_bites[i])));
    uint8_t& count = states[state.value() % kStates];
    if (count < UINT8_MAX) ++count;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 160) return 0;
  Input input(data, size);
  const std::vector<scenarios::Scenario>& all = scenarios::AllScenarios();
  const scenarios::Scenario& scenario = all[input.Between(0, all.size() - 1)];
  if (!scenario.listed) return 0;
  const std::vector<faults::Kind> kinds = scenarios::KindsFor(scenario, scenarios::AllKinds());
  faults::Plan plan;
  plan.scenario = scenario.name;
  plan.seed = input.Byte();
  const bool twice = input.Byte() % 16 == 0;
  while (!input.empty() && plan.events.size() < kEventsMax)
    plan.events.push_back(AnyEvent(input, kinds));
  const scenarios::Outcome outcome = scenarios::Execute(scenario, plan);
  CHECK(outcome.status.ok()) << outcome.status.ToString() << "\n"
                             << faults::Print(outcome.plan, outcome.names);
  Count(outcome);
  if (twice) CHECK_EQ(scenarios::Execute(scenario, plan).hash, outcome.hash);
  return 0;
}

}  // namespace weir::fuzz
