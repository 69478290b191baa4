// `weir bench bugs`: how many runs it takes to find each planted bug, at protocol moments and at
// random times, and how small the failing plan becomes.
#pragma once

namespace weir::bench {

int RunBugsBench(bool json, bool strict);
// `weir bench bugs --verify-depth`: that no plan of fewer faults than its depth finds a bug. Every
// plan of one fault over the first hits of each probe, and a million random ones of depth - 1
// faults.
int RunBugsDepth(bool json, bool strict);

}  // namespace weir::bench
