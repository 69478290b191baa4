#include "engine/main/sim_shrink.h"

#include <cstdio>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "scenarios/execute.h"
#include "scenarios/plan_workers.h"

namespace weir::main {
namespace {

void Print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

bool IsPlanWorker(const char* argument) {
  return argument == scenarios::kHuntVerb || argument == scenarios::kJudgeVerb;
}

int RunPlanWorker(int argc, char** argv) {
  const std::vector<std::string> words(argv + 2, argv + argc);
  if (argv[1] == scenarios::kHuntVerb) {
    Print(scenarios::HuntWorker(words));
  } else {
    scenarios::JudgeWorker(words, Print);
  }
  return 0;
}

int ShrinkPlan(const std::string& text, const std::string& source, const std::string& bug,
               int jobs) {
  const auto complain = [](const absl::Status& status) {
    std::fprintf(stderr, "weir: %s\n", std::string(status.message()).c_str());
    return 1;
  };
  const absl::StatusOr<scenarios::LoadedPlan> loaded = scenarios::LoadPlan(text, source);
  if (!loaded.ok()) return complain(loaded.status());
  const absl::StatusOr<scenarios::Shrunk> shrunk =
      scenarios::Shrink(*loaded->scenario, loaded->plan, bug, jobs);
  if (!shrunk.ok()) return complain(shrunk.status());
  Print(faults::Print(shrunk->plan, shrunk->names));
  Print("\n" + faults::AsTest(shrunk->plan, shrunk->names, bug, shrunk->message) + "\n");
  Print(absl::StrFormat("fails with: %s\n", shrunk->message));
  Print(absl::StrFormat("events_before=%d events=%d runs=%d\n", shrunk->events_before,
                        shrunk->plan.events.size(), shrunk->runs));
  return 0;
}

}  // namespace weir::main
