// Plan workers: runs of plans in worker processes of this very binary, several at a time. A run
// that crashes or hangs takes its worker with it and nothing else.
//
// The binary must answer the two hidden verbs by HuntWorker and JudgeWorker. HuntAll and Shrink
// make their own real world (the one file of this folder that does) and are called from outside of
// any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "faults/explore.h"
#include "faults/minimize.h"
#include "scenarios/scenario.h"

namespace weir::scenarios {

inline constexpr std::string_view kHuntVerb = "sim-hunt";
inline constexpr std::string_view kJudgeVerb = "sim-judge";

// Looks for a plan that fails: random ones, or every plan of one event.
struct HuntOrder {
  std::string scenario;
  std::string bug;  // "" for the program as it should be
  enum class Mode { kTimes, kProtocol, kSingles } mode = Mode::kProtocol;
  uint64_t seed = 1;
  uint64_t runs_max = 1000;  // kSingles: the hits of each probe
  uint64_t events_min = 1;
  uint64_t events_max = 16;
};

struct HuntResult {
  bool found = false;
  uint64_t runs = 0;  // up to and with the one that failed
  std::string plan{};
  std::string message{};
};

// In the order of the orders, `jobs` at a time. An error: no worker could be started, or one was
// lost.
absl::StatusOr<std::vector<HuntResult>> HuntAll(const std::vector<HuntOrder>& orders, int jobs);

// A failing run made as small as it can be.
struct Shrunk {
  faults::Plan plan;
  faults::Names names;
  std::string message;  // of the small plan's run
  uint64_t runs = 0;
  size_t events_before = 0;
};
// kFailedPrecondition: the plan does not fail.
absl::StatusOr<Shrunk> Shrink(const Scenario& scenario, const faults::Plan& plan,
                              std::string_view bug, int jobs);

// The workers: what they print. `words` are the arguments after the verb.
std::string HuntWorker(const std::vector<std::string>& words);
// Calls `print` with a '0' or a '1' for each plan, as it goes.
void JudgeWorker(const std::vector<std::string>& words,
                 absl::AnyInvocable<void(std::string_view)> print);

}  // namespace weir::scenarios
