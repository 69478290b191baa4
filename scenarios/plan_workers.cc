#include "scenarios/plan_workers.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"
#include "engine/io/env.h"
#include "engine/io/scope.h"
#include "net/real_world.h"
#include "scenarios/execute.h"

namespace weir::scenarios {
namespace {

using namespace std::chrono_literals;

constexpr base::Duration kSilenceMax = std::chrono::hours(1);  // of a worker
constexpr size_t kJudgedTogether = 16;

uint64_t NumberOf(const std::string& word) {
  uint64_t number = 0;
  CHECK(absl::SimpleAtoi(word, &number)) << "worker: \"" << word << "\" is no number";
  return number;
}

bool IsFailure(const absl::Status& status) {
  return !status.ok() && !absl::IsFailedPrecondition(status);
}

class PlanWorkers {
 public:
  PlanWorkers(io::Env& env, int jobs) : env_(env), jobs_(jobs) {}

  absl::StatusOr<std::vector<HuntResult>> Hunt(const std::vector<HuntOrder>& orders);

  // A judge for faults::Minimize: whether a plan ends with `code` again. A worker that dies judges
  // the plan that it was at as kInternal.
  faults::Judge StillEndsWith(absl::StatusCode code, std::string bug);

 private:
  // Calls `work` with 0, 1, ... count - 1, by `jobs` tasks.
  void ForEach(size_t count, absl::AnyInvocable<void(size_t)> work);
  // All that a worker prints, and how it ended.
  absl::StatusOr<std::string> Ask(std::vector<std::string> words, bool* died);

  io::Env& env_;
  const int jobs_;
};

void PlanWorkers::ForEach(size_t count, absl::AnyInvocable<void(size_t)> work) {
  size_t next = 0;
  io::Scope scope(env_.tasks, "plan workers");
  for (int i = 0; i < jobs_; ++i) {
    CHECK_OK(scope.Spawn("plan worker", [&] {
      while (next < count) work(next++);
    }));
  }
  scope.Join();
}

absl::StatusOr<std::string> PlanWorkers::Ask(std::vector<std::string> words, bool* died) {
  io::SpawnOptions spawn;
  ASSIGN_OR_RETURN(spawn.program, env_.processes.Self());
  spawn.arguments = std::move(words);
  spawn.capture_output = true;
  ASSIGN_OR_RETURN(const std::unique_ptr<io::Child> child, env_.processes.Spawn(spawn));
  std::string output;
  for (;;) {
    char chunk[4096];
    ASSIGN_OR_RETURN(const size_t got,
                     child->ReadOutput(absl::MakeSpan(chunk), env_.Deadline(kSilenceMax)));
    if (got == 0) break;
    output.append(chunk, got);
  }
  ASSIGN_OR_RETURN(const io::ExitStatus exit, child->Wait(env_.Deadline(kSilenceMax)));
  *died = !exit.ok();
  return output;
}

absl::StatusOr<std::vector<HuntResult>> PlanWorkers::Hunt(const std::vector<HuntOrder>& orders) {
  std::vector<HuntResult> results(orders.size());
  absl::Status failure;
  ForEach(orders.size(), [&](size_t i) {
    const HuntOrder& order = orders[i];
    bool died = false;
    const absl::StatusOr<std::string> said =
        Ask({std::string(kHuntVerb), order.scenario, order.bug.empty() ? "-" : order.bug,
             std::to_string(static_cast<int>(order.mode)), std::to_string(order.seed),
             std::to_string(order.runs_max), std::to_string(order.events_min),
             std::to_string(order.events_max)},
            &died);
    if (!said.ok() || died) {
      failure = said.ok() ? absl::InternalError("a hunting worker died") : said.status();
      return;
    }
    const std::vector<std::string> words =
        absl::StrSplit(absl::StripSuffix(*said, "\n"), absl::MaxSplits(' ', 2));
    HuntResult& result = results[i];
    result.found = words[0] == "found";
    result.runs = NumberOf(words[1]);
    if (!result.found) return;
    // The escaped plan has spaces, and ends where its last line does.
    const size_t end = words[2].rfind("\\n ");
    CHECK(end != std::string::npos) << "hunt: no plan in: " << words[2];
    CHECK(absl::CUnescape(words[2].substr(0, end + 2), &result.plan)) << words[2];
    CHECK(absl::CUnescape(words[2].substr(end + 3), &result.message)) << words[2];
  });
  RETURN_IF_ERROR(failure);
  return results;
}

// Plans go to the workers by number: with a smaller cluster some names are gone.
faults::Judge PlanWorkers::StillEndsWith(absl::StatusCode code, std::string bug) {
  return [this, code, bug = std::move(bug)](absl::Span<const faults::Plan> plans) {
    const std::vector<std::string> head = {std::string(kJudgeVerb), bug.empty() ? "-" : bug,
                                           std::to_string(static_cast<int>(code))};
    const auto jobs = static_cast<size_t>(jobs_);
    const size_t share = (plans.size() + jobs - 1) / jobs;
    std::vector<char> verdicts(plans.size(), '0');
    ForEach(std::min(jobs, plans.size()), [&](size_t job) {
      size_t at = job * share;
      const size_t end = std::min(plans.size(), at + share);
      while (at < end) {
        std::vector<std::string> words = head;
        for (size_t i = at; i < end; ++i) words.push_back(faults::Print(plans[i], {}));
        bool died = false;
        const absl::StatusOr<std::string> said = Ask(std::move(words), &died);
        const size_t judged = said.ok() ? std::min(said->size(), end - at) : 0;
        for (size_t i = 0; i < judged; ++i) verdicts[at + i] = (*said)[i];
        at += judged;
        if (at == end || !said.ok()) return;
        // The plan that killed its worker.
        verdicts[at++] = code == absl::StatusCode::kInternal ? '1' : '0';
      }
    });
    std::vector<bool> result;
    for (const char verdict : verdicts) result.push_back(verdict == '1');
    return result;
  };
}

net::RealOptions Real() {
  net::RealOptions options;
  options.process_name = "plans";
  options.data_directory = ".";
  return options;
}

}  // namespace

std::string HuntWorker(const std::vector<std::string>& words) {
  CHECK_EQ(words.size(), 7u) << "hunt: SCENARIO BUG MODE SEED RUNS MIN MAX";
  const Scenario* const scenario = FindScenario(words[0]);
  CHECK(scenario != nullptr) << "hunt: no scenario " << words[0];
  const std::string bug = words[1] == "-" ? "" : words[1];
  const auto mode = static_cast<HuntOrder::Mode>(NumberOf(words[2]));
  const uint64_t seed = NumberOf(words[3]);
  const uint64_t runs_max = NumberOf(words[4]);
  const faults::Hunt hunt{.shape = &ShapeOf(*scenario),
                          .kinds = KindsFor(*scenario, faults::SingleFaults()),
                          .moments = mode == HuntOrder::Mode::kTimes ? faults::Moments::kTimes
                                                                     : faults::Moments::kProtocol,
                          .events_min = NumberOf(words[5]),
                          .events_max = NumberOf(words[6])};
  uint64_t runs = 0;
  std::string found;
  const auto try_plan = [&](const faults::Plan& plan) {
    ++runs;
    const Outcome outcome = Execute(*scenario, plan, {.bug = bug});
    if (!IsFailure(outcome.status)) return true;
    // What the driver carried out has every knob, for the shrinker to lower.
    found = absl::StrFormat("found %d %s %s\n", runs,
                            absl::CEscape(faults::Print(outcome.plan, outcome.names)),
                            absl::CEscape(outcome.status.ToString()));
    return false;
  };
  if (mode == HuntOrder::Mode::kSingles) {
    faults::ForEachSingle(hunt, seed, runs_max, try_plan);
  } else {
    while (runs < runs_max && try_plan(faults::DrawPlan(hunt, seed, runs))) {
    }
  }
  return found.empty() ? absl::StrFormat("none %d\n", runs) : found;
}

void JudgeWorker(const std::vector<std::string>& words,
                 absl::AnyInvocable<void(std::string_view)> print) {
  CHECK_GE(words.size(), 2u) << "judge: BUG CODE PLAN...";
  const std::string bug = words[0] == "-" ? "" : words[0];
  const auto code = static_cast<absl::StatusCode>(NumberOf(words[1]));
  for (size_t i = 2; i < words.size(); ++i) {
    const absl::StatusOr<LoadedPlan> loaded = LoadPlan(words[i], "plan");
    CHECK(loaded.ok()) << loaded.status();
    const Outcome outcome = Execute(*loaded->scenario, loaded->plan, {.bug = bug});
    print(outcome.status.code() == code ? "1" : "0");
  }
}

absl::StatusOr<std::vector<HuntResult>> HuntAll(const std::vector<HuntOrder>& orders, int jobs) {
  std::vector<HuntResult> results;
  RETURN_IF_ERROR(net::Run(Real(), [&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(results, PlanWorkers(env, jobs).Hunt(orders));
    return absl::OkStatus();
  }));
  return results;
}

absl::StatusOr<Shrunk> Shrink(const Scenario& scenario, const faults::Plan& plan,
                              std::string_view bug, int jobs) {
  const Outcome failing = Execute(scenario, plan, {.bug = bug});
  if (failing.status.ok()) {
    return absl::FailedPreconditionError(absl::StrFormat(
        "the plan for %s of seed %d does not fail, so there is nothing to shrink; %s",
        plan.scenario, plan.seed,
        bug.empty() ? "if a bug was planted, name it with --bug" : "look for another plan"));
  }
  faults::MinimizeOptions options;
  options.batch = kJudgedTogether;
  for (const KnobRange& knob : scenario.knobs) options.knobs_low[std::string(knob.name)] = knob.low;
  faults::Minimized minimized;
  RETURN_IF_ERROR(net::Run(Real(), [&](io::Env& env) {
    PlanWorkers workers(env, jobs);
    minimized = faults::Minimize(failing.plan, options,
                                 workers.StillEndsWith(failing.status.code(), std::string(bug)));
    return absl::OkStatus();
  }));
  const Outcome small = Execute(scenario, minimized.plan, {.bug = bug});
  return Shrunk{.plan = small.plan,
                .names = small.names,
                .message = small.status.ToString(),
                .runs = minimized.runs,
                .events_before = plan.events.size()};
}

}  // namespace weir::scenarios
