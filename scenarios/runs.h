// The runs of the scenarios, for the table in registry.cc. Each is described by its row's question.
#pragma once

#include "absl/status/status.h"
#include "scenarios/scenario.h"

namespace weir::scenarios {

absl::Status RunPingPong(Run& run);
absl::Status RunReplicatedLog(Run& run);
absl::Status RunWalFile(Run& run);
absl::Status RunTwoPhaseCommit(Run& run);
absl::Status RunLease(Run& run);
absl::Status RunChain(Run& run);

// Not deterministic, each in its own way: they prove that the checks of determinism can fail.
absl::Status RunCanaryAddress(Run& run);
absl::Status RunCanaryDrawOrder(Run& run);

}  // namespace weir::scenarios
