// Runs a scenario over seeds, in worker processes of this very binary: a seed that crashes or hangs
// takes its worker with it and nothing else, and two workers have different address spaces, which
// is what a check of determinism needs.
#pragma once

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "engine/io/env.h"
#include "scenarios/scenario.h"

namespace weir::main {

// Exit codes of `weir sim run`: the kind of the lowest failing seed.
enum class SimExit {
  kPassed = 0,
  kUsage = 1,
  kSafety = 10,
  kLiveness = 11,
  kCrash = 12,
  kNondeterminism = 13,
  kVacuous = 14,
  kTooSlow = 15,
};

struct SeedRange {
  uint64_t first = 1;
  uint64_t last = 1;
};
// "7" or "1..2000", inclusive.
absl::StatusOr<SeedRange> ParseSeeds(const std::string& text);

struct SimRunOptions {
  const scenarios::Scenario* scenario = nullptr;
  SeedRange seeds{};
  int jobs = 1;
  bool check_determinism = false;
  std::string trace_file{};
  bool json = false;
  std::string faults =
      "";  // as --faults gave it; "" for all, and then nothing is said of inert kinds
  std::string bug{};
  std::string plan_text{};  // set: this plan instead of seeds
  std::string plan_source{};
  base::Duration wall_limit{std::chrono::seconds(120)};  // of a seed
};

// The parent: a program of the real world. Prints failures and, last, the summary line; `exit` gets
// the exit code.
absl::Status RunSeeds(io::Env& env, const SimRunOptions& options, SimExit* exit);
// Every event of the one seed of `options`, a line each, to options.trace_file below the data
// directory.
absl::Status WriteSimTrace(io::Env& env, const SimRunOptions& options);

// What a worker is asked to do: the seeds one after the other, a line each.
struct SimWork {
  const scenarios::Scenario* scenario = nullptr;
  SeedRange seeds{};
  std::string faults{};
  std::string bug{};
  std::string plan_text{};  // set: this plan, once
  std::string plan_source{};
  bool expand = false;  // prints the plans of the seeds and runs nothing
  bool trace = false;   // a line an event, too
};
int RunSimWorker(const SimWork& work);

// Prints the probes with their hits over `seeds` seeds, and the rare paths that were reached.
int PrintProbes(const scenarios::Scenario& scenario, uint64_t seeds);

}  // namespace weir::main
