#include "faults/minimize.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include "absl/strings/str_format.h"
#include "engine/base/text.h"
#include "faults/kinds.h"

namespace weir::faults {
namespace {

using namespace std::chrono_literals;
using base::Duration;

class Search {
 public:
  Search(Plan plan, const MinimizeOptions& options, const Judge& judge)
      : plan_(std::move(plan)), options_(options), judge_(judge) {}

  Minimized Run() {
    Plan before;
    do {
      before = plan_;
      ShrinkEvents();
      // Before what is left is made exact: an exact plan allows no other schedule.
      while (TakeFirst(FewerEvents())) {
      }
      while (TakeFirst(SimplerEvents())) {
      }
      while (TakeFirst(LowerKnobs())) {
      }
    } while (!(plan_ == before) && runs_ < options_.runs_max);
    return {.plan = std::move(plan_), .runs = runs_};
  }

 private:
  // The first candidate that fails becomes the plan. Its place, if there is one.
  std::optional<size_t> TakeFirst(const std::vector<Plan>& candidates) {
    for (size_t begin = 0; begin < candidates.size() && runs_ < options_.runs_max;
         begin += options_.batch) {
      const size_t count = std::min<size_t>({options_.batch, candidates.size() - begin,
                                             static_cast<size_t>(options_.runs_max - runs_)});
      const std::vector<bool> fails = judge_(absl::MakeConstSpan(candidates).subspan(begin, count));
      runs_ += count;
      const auto first = std::find(fails.begin(), fails.end(), true);
      if (first == fails.end()) continue;
      const size_t index = begin + static_cast<size_t>(first - fails.begin());
      plan_ = candidates[index];
      return index;
    }
    return std::nullopt;
  }

  // Leaves out ever smaller parts: a half, a quarter, ... a single event.
  void ShrinkEvents() {
    size_t parts = 2;
    while (!plan_.events.empty()) {
      parts = std::min(parts, plan_.events.size());
      std::vector<Plan> candidates;
      for (size_t part = 0; part < parts; ++part) {
        const auto begin = static_cast<ptrdiff_t>(part * plan_.events.size() / parts);
        const auto end = static_cast<ptrdiff_t>((part + 1) * plan_.events.size() / parts);
        Plan without = plan_;
        without.events.erase(without.events.begin() + begin, without.events.begin() + end);
        candidates.push_back(std::move(without));
      }
      if (TakeFirst(candidates)) {
        parts = std::max<size_t>(parts - 1, 2);
      } else if (parts >= plan_.events.size()) {
        return;
      } else {
        parts *= 2;
      }
    }
  }

  template <typename Edit>
  void Offer(std::vector<Plan>& candidates, size_t event, const Edit& edit) const {
    Plan changed = plan_;
    edit(changed.events[event]);
    if (!(changed == plan_)) candidates.push_back(std::move(changed));
  }

  // Each candidate is simpler in one respect by an order that has an end: fewer things said, then
  // smaller numbers.
  std::vector<Plan> SimplerEvents() const {
    std::vector<Plan> candidates;
    for (size_t i = 0; i < plan_.events.size(); ++i) {
      const Event& event = plan_.events[i];
      const bool at = event.when.form == When::Form::kAt;
      const auto offer = [&](const auto& edit) { Offer(candidates, i, edit); };
      if (event.when.form == When::Form::kWhile) {
        if (event.when.offset > Duration::zero())
          offer([](Event& e) { e.when.offset = Duration::zero(); });
        offer([](Event& e) {
          e.when.form = When::Form::kAfter;
          e.when.offset = Duration::zero();
        });
      }
      if (event.when.form == When::Form::kAfter)
        offer([](Event& e) { e.when.form = When::Form::kBefore; });
      if (!at && event.when.place != When::kAnywhere)
        offer([](Event& e) { e.when.place = When::kAnywhere; });
      if (!at && event.when.hit > 1) {
        offer([](Event& e) { e.when.hit = 1; });
        offer([](Event& e) { e.when.hit /= 2; });
        offer([](Event& e) { --e.when.hit; });
      }
      // A round time reads better than a small one.
      for (const Duration grain : {Duration(1s), Duration(100ms), Duration(1ms)}) {
        if (at && event.when.offset % grain != Duration::zero())
          offer([grain](Event& e) { e.when.offset -= e.when.offset % grain; });
      }
      if (event.lasts > Duration(1ms)) {
        offer([](Event& e) { e.lasts = 1ms; });
        offer([](Event& e) { e.lasts = std::max(Duration(1ms), e.lasts / 2); });
        for (const Duration grain : {Duration(100ms), Duration(10ms), Duration(1ms)}) {
          if (event.lasts > grain && event.lasts % grain != Duration::zero())
            offer([grain](Event& e) { e.lasts -= e.lasts % grain; });
        }
      }
      const Info& info = InfoOf(event.kind);
      for (size_t k = 0; k < std::min(info.parameter_count(), event.parameters.size()); ++k) {
        const int64_t rest = info.parameters[k].fallback;
        const int64_t value = event.parameters[k];
        if (value == rest) continue;
        offer([k, rest](Event& e) { e.parameters[k] = rest; });
        if ((value - rest) / 2 != 0)
          offer([k, rest, value](Event& e) { e.parameters[k] = rest + (value - rest) / 2; });
      }
    }
    return candidates;
  }

  // Where no single event can go: two together, or one under another schedule. An event may do no
  // more than shift what happens by a little, and so may a seed.
  std::vector<Plan> FewerEvents() const {
    constexpr size_t kPairsMax = 12;  // of so many events
    std::vector<Plan> candidates;
    const size_t count = plan_.events.size();
    const auto without = [&](size_t event) {
      Plan fewer = plan_;
      fewer.events.erase(fewer.events.begin() + static_cast<ptrdiff_t>(event));
      return fewer;
    };
    for (size_t i = 0; i < count && count <= kPairsMax; ++i) {
      for (size_t k = i; k + 1 < count; ++k) {
        Plan fewer = without(i);
        fewer.events.erase(fewer.events.begin() + static_cast<ptrdiff_t>(k));
        candidates.push_back(std::move(fewer));
      }
    }
    for (size_t i = 0; i < count; ++i) {
      for (uint64_t seed = 1; seed <= options_.other_seeds; ++seed) {
        Plan fewer = without(i);
        fewer.seed = seed;
        // One fault that lasts may do the work of two.
        constexpr Duration kLonger[] = {Duration(0), Duration(300ms), Duration(1s), Duration(3s)};
        for (Event& event : fewer.events)
          event.lasts = std::max(event.lasts, kLonger[seed % std::size(kLonger)]);
        candidates.push_back(std::move(fewer));
      }
    }
    return candidates;
  }

  std::vector<Plan> LowerKnobs() const {
    std::vector<Plan> candidates;
    for (const auto& [name, low] : options_.knobs_low) {
      const auto it = plan_.knobs.find(name);
      if (it == plan_.knobs.end() || it->second <= low) continue;
      int64_t last = it->second;
      for (const int64_t value : {low, low + (it->second - low) / 2, it->second - 1}) {
        if (value == last || value == it->second) continue;
        last = value;
        Plan lower = plan_;
        lower.knobs[name] = value;
        candidates.push_back(std::move(lower));
      }
    }
    return candidates;
  }

  Plan plan_;
  const MinimizeOptions& options_;
  const Judge& judge_;
  uint64_t runs_ = 0;
};

}  // namespace

Minimized Minimize(const Plan& plan, const MinimizeOptions& options, const Judge& judge) {
  return Search(plan, options, judge).Run();
}

std::string AsTest(const Plan& plan, const Names& names, std::string_view bug,
                   std::string_view what) {
  std::string suite;
  bool upper = true;
  for (const char c : plan.scenario) {
    if (c == '_') {
      upper = true;
    } else {
      suite += upper && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
      upper = false;
    }
  }
  const std::string options =
      bug.empty() ? "" : absl::StrFormat(", {.bug = \"%s\"}", base::Abseil(bug));
  return absl::StrFormat(
      "#include <gtest/gtest.h>\n\n"
      "#include \"scenarios/execute.h\"\n\n"
      "// %s\n"
      "TEST(%sPlan, OfSeed%dPasses) {\n"
      "  constexpr char kPlan[] = R\"(%s)\";\n"
      "  const auto loaded = weir::scenarios::LoadPlan(kPlan, \"plan\");\n"
      "  ASSERT_TRUE(loaded.ok()) << loaded.status();\n"
      "  const weir::scenarios::Outcome outcome =\n"
      "      weir::scenarios::Execute(*loaded->scenario, loaded->plan%s);\n"
      "  EXPECT_TRUE(outcome.status.ok()) << outcome.status;\n"
      "}\n",
      base::Abseil(what.substr(0, what.find('\n'))), suite, plan.seed, Print(plan, names), options);
}

}  // namespace weir::faults
