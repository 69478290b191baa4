// Minimize: makes a failing plan as small as it can while it still fails. First events (delta
// debugging), then what the events say (how long, which hit, where, which form), then knobs; again
// until nothing changes.
//
// Deterministic: which plan results depends on the plan and on the judge's answers alone, not on
// how many of them are found at the same time. The judge gets candidates in batches and may run
// them side by side.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/types/span.h"
#include "faults/plan.h"

namespace weir::faults {

// For each plan whether it still fails, in the same way.
using Judge = std::function<std::vector<bool>(absl::Span<const Plan>)>;

struct MinimizeOptions {
  // The smallest value of each knob that may be lowered. Raise a plan's knobs into it (their values
  // in the failing run) before, or there is nothing to lower.
  std::map<std::string, int64_t> knobs_low{};
  size_t batch = 8;  // candidates judged at a time
  // Events that cannot go are tried again under so many other seeds.
  uint64_t other_seeds = 100;
  uint64_t runs_max = 20'000;
};

struct Minimized {
  Plan plan;
  uint64_t runs = 0;
};

// `plan` fails. What comes back fails, too.
Minimized Minimize(const Plan& plan, const MinimizeOptions& options, const Judge& judge);

// The plan as a test to be pasted into tests/scenarios/: it fails as long as the bug is there.
std::string AsTest(const Plan& plan, const Names& names, std::string_view bug,
                   std::string_view what);

}  // namespace weir::faults
