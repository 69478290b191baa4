#include "tests/bench/bugs_bench.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/base/text.h"
#include "scenarios/execute.h"
#include "scenarios/plan_workers.h"
#include "tests/bench/bench.h"

namespace weir::bench {
namespace {

using scenarios::HuntOrder;
using scenarios::HuntResult;

constexpr int kJobs = 2;  // the goals are for two cores
constexpr uint64_t kCampaigns = 9;
constexpr uint64_t kRunsMax = 20'000;  // of a campaign for a bug of up to 3 faults
constexpr uint64_t kDeepRunsMax =
    600'000;  // of a campaign for a deeper one; the first to find it counts
constexpr uint64_t kTimesRunsMax = 2'000;
constexpr int kShallow = 3;
constexpr double kDeepSecondsMax = 600;

struct Row {
  const scenarios::Scenario* scenario;
  const scenarios::Bug* bug;
  std::string Name() const { return std::string(scenario->name) + " " + std::string(bug->name); }
  HuntOrder Order() const {
    return {.scenario = std::string(scenario->name), .bug = std::string(bug->name)};
  }
};

std::vector<Row> Rows() {
  std::vector<Row> rows;
  for (const scenarios::Scenario& scenario : scenarios::AllScenarios()) {
    for (const scenarios::Bug& bug : scenario.bugs) rows.push_back({&scenario, &bug});
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const Row& a, const Row& b) { return a.bug->depth < b.bug->depth; });
  return rows;
}

double SecondsSince(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

// The runs of each campaign; one that found nothing counts as more than all it made.
std::vector<double> RunsOf(const std::vector<HuntResult>& results) {
  std::vector<double> runs;
  for (const HuntResult& result : results)
    runs.push_back(static_cast<double>(result.runs) + (result.found ? 0 : 1));
  return runs;
}

std::string Shown(double runs, uint64_t most) {
  return runs > static_cast<double>(most) ? absl::StrFormat("> %d", most)
                                          : absl::StrFormat("%.0f", runs);
}

absl::StatusOr<std::vector<HuntResult>> Campaigns(const Row& row, HuntOrder::Mode mode,
                                                  uint64_t runs_max, uint64_t count) {
  std::vector<HuntOrder> orders;
  for (uint64_t seed = 1; seed <= count; ++seed) {
    HuntOrder order = row.Order();
    order.mode = mode;
    order.seed = seed;
    order.runs_max = runs_max;
    orders.push_back(std::move(order));
  }
  return scenarios::HuntAll(orders, kJobs);
}

// Campaigns, a job each, until one finds it. Deep bugs take too long for nine.
absl::StatusOr<std::vector<HuntResult>> FirstToFind(const Row& row, double* seconds) {
  const auto begin = std::chrono::steady_clock::now();
  constexpr uint64_t kAtATime = 40'000;
  std::vector<HuntResult> all;
  uint64_t runs = 0;
  for (uint64_t seed = 1; runs < 2 * kDeepRunsMax && SecondsSince(begin) < kDeepSecondsMax;
       seed += kJobs) {
    std::vector<HuntOrder> orders;
    for (uint64_t job = 0; job < kJobs; ++job) {
      HuntOrder order = row.Order();
      order.seed = seed + job;
      order.runs_max = kAtATime;
      orders.push_back(std::move(order));
    }
    absl::StatusOr<std::vector<HuntResult>> results = scenarios::HuntAll(orders, kJobs);
    if (!results.ok()) return results.status();
    for (HuntResult& result : *results) {
      runs += result.runs;
      if (!result.found) continue;
      result.runs = runs;
      *seconds = SecondsSince(begin);
      return std::vector<HuntResult>{std::move(result)};
    }
  }
  *seconds = SecondsSince(begin);
  return std::vector<HuntResult>{HuntResult{.runs = runs}};
}

void Print(const std::string& line) {
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

// One line of the table of faults/README.md.
void Measure(const Row& row, Report& report, std::vector<std::string>& table) {
  const std::string name = row.Name();
  const bool shallow = row.bug->depth <= kShallow;
  double deep_seconds = 0;
  const absl::StatusOr<std::vector<HuntResult>> moments =
      shallow ? Campaigns(row, HuntOrder::Mode::kProtocol, kRunsMax, kCampaigns)
              : FirstToFind(row, &deep_seconds);
  const absl::StatusOr<std::vector<HuntResult>> times =
      Campaigns(row, HuntOrder::Mode::kTimes, kTimesRunsMax, shallow ? kCampaigns : 2);
  if (!moments.ok() || !times.ok()) {
    report.AddFailure(name, std::string((moments.ok() ? times : moments).status().message()));
    return;
  }
  const std::vector<double> runs = RunsOf(*moments);
  const double worst = *std::max_element(runs.begin(), runs.end());
  if (shallow) {
    report.Add(name + ", runs to find at moments", "runs", runs, {}, AtMost(2'000));
    report.Add(name + ", the worst campaign", "runs", {worst}, {}, AtMost(10'000));
  } else if (!moments->front().found) {
    report.AddFailure(
        name + ", wall time to find",
        absl::StrFormat("not found in %.0f s and %d runs", deep_seconds, moments->front().runs));
  } else {
    report.Add(name + ", wall time to find on two cores", "s", {deep_seconds}, {},
               AtMost(kDeepSecondsMax));
  }

  std::string shrunk_events = "-";
  std::string shrunk_seconds = "-";
  const auto found = std::find_if(moments->begin(), moments->end(),
                                  [](const HuntResult& result) { return result.found; });
  if (found == moments->end()) {
    report.AddFailure(name + ", events after shrinking", "there is no plan to shrink");
  } else {
    const auto begin = std::chrono::steady_clock::now();
    const absl::StatusOr<scenarios::LoadedPlan> loaded = scenarios::LoadPlan(found->plan, "plan");
    const absl::StatusOr<scenarios::Shrunk> shrunk =
        loaded.ok() ? scenarios::Shrink(*loaded->scenario, loaded->plan, row.bug->name, kJobs)
                    : absl::StatusOr<scenarios::Shrunk>(loaded.status());
    const double seconds = SecondsSince(begin);
    if (!shrunk.ok()) {
      report.AddFailure(name + ", events after shrinking", std::string(shrunk.status().message()));
    } else {
      const auto events = static_cast<double>(shrunk->plan.events.size());
      report.Add(name + ", events after shrinking", "events", {events}, {},
                 AtMost(row.bug->depth + 1));
      report.Add(name + ", time to shrink", "s", {seconds}, {}, AtMost(60));
      shrunk_events = absl::StrFormat("%.0f", events);
      shrunk_seconds = absl::StrFormat("%.1f", seconds);
    }
  }
  const uint64_t most = shallow ? kRunsMax : 2 * kDeepRunsMax;
  const std::vector<double> at_times = RunsOf(*times);
  table.push_back(absl::StrFormat(
      "| %s | %s | %d | %s | %s | %s | %s | %s |", base::Abseil(row.scenario->name),
      base::Abseil(row.bug->name), row.bug->depth, Shown(Median(runs), most), Shown(worst, most),
      Shown(Median(at_times), kTimesRunsMax), shrunk_events, shrunk_seconds));
}

}  // namespace

int RunBugsBench(bool json, bool strict) {
  Report report("bugs", json);
  std::vector<std::string> table;
  for (const Row& row : Rows()) Measure(row, report, table);
  if (!json) {
    Print(
        "\n| scenario | bug | faults | runs to find at moments: median | worst of 9 | at random "
        "times: median | events after shrinking | seconds |\n|---|---|---|---|---|---|---|---|\n");
    for (const std::string& line : table) Print(line + "\n");
    Print("\n");
  }
  return report.Finish(strict);
}

int RunBugsDepth(bool json, bool strict) {
  constexpr uint64_t kRandom = 1'000'000;
  constexpr uint64_t kHits = 12;  // of each probe, for plans of one fault
  Report report("bugs", json);
  for (const Row& row : Rows()) {
    const auto fewer = static_cast<uint64_t>(row.bug->depth - 1);
    std::vector<HuntOrder> orders;
    if (fewer == 0) {
      // Without faults only the seeds differ.
      HuntOrder order = row.Order();
      order.events_min = order.events_max = 0;
      order.runs_max = kRandom / 10;
      orders.push_back(order);
    } else {
      for (uint64_t seed = 1; seed <= kJobs; ++seed) {
        HuntOrder order = row.Order();
        order.events_min = order.events_max = fewer;
        order.seed = seed;
        order.runs_max = kRandom / kJobs;
        orders.push_back(order);
        if (fewer > 1) continue;
        order.mode = HuntOrder::Mode::kSingles;
        order.runs_max = kHits;
        orders.push_back(order);
      }
    }
    const std::string figure =
        absl::StrFormat("%s, plans of %d faults that find it", row.Name(), row.bug->depth - 1);
    const absl::StatusOr<std::vector<HuntResult>> results = scenarios::HuntAll(orders, kJobs);
    if (!results.ok()) {
      report.AddFailure(figure, std::string(results.status().message()));
      continue;
    }
    uint64_t runs = 0;
    double found = 0;
    for (const HuntResult& result : *results) {
      runs += result.runs;
      if (!result.found) continue;
      ++found;
      std::fputs((result.plan + "# " + result.message + "\n").c_str(), stderr);
    }
    report.Add(figure, absl::StrFormat("of %d", runs), {found}, {}, AtMost(0));
  }
  return report.Finish(strict);
}

}  // namespace weir::bench
