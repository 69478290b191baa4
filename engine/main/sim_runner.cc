#include "engine/main/sim_runner.h"

#include <algorithm>
#include <cstdio>
#include <deque>
#include <map>
#include <optional>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "engine/base/reached.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"
#include "engine/io/scope.h"
#include "scenarios/execute.h"

namespace weir::main {
namespace {

using scenarios::Facts;

// What a worker says of a seed, as a line of words: the protocol between parent and worker.
struct SeedResult {
  uint64_t seed = 0;
  SimExit exit = SimExit::kPassed;
  uint64_t hash = 0;
  uint64_t events = 0;
  int64_t virtual_nanos = 0;
  Facts facts;
  std::vector<faults::Bite> bites;
  std::string message;
  std::string plan;  // of a failed run: as it was carried out
};

SimExit ExitOf(const absl::Status& status) {
  switch (status.code()) {
    case absl::StatusCode::kOk:
      return SimExit::kPassed;
    case absl::StatusCode::kDataLoss:
      return SimExit::kSafety;
    case absl::StatusCode::kDeadlineExceeded:
      return SimExit::kLiveness;
    case absl::StatusCode::kFailedPrecondition:
      return SimExit::kVacuous;
    default:
      return SimExit::kCrash;
  }
}

const char* Word(SimExit exit) {
  switch (exit) {
    case SimExit::kPassed:
      return "passed";
    case SimExit::kUsage:
      return "usage";
    case SimExit::kSafety:
      return "safety";
    case SimExit::kLiveness:
      return "liveness";
    case SimExit::kCrash:
      return "crash";
    case SimExit::kNondeterminism:
      return "nondeterminism";
    case SimExit::kVacuous:
      return "vacuous";
    case SimExit::kTooSlow:
      return "too slow";
  }
  return "";
}

std::string FormatBites(const std::vector<faults::Bite>& bites) {
  std::string text;
  for (const faults::Bite& bite : bites) {
    absl::StrAppendFormat(&text, "%s%d:%d:%d:%d", text.empty() ? "" : ",",
                          static_cast<int>(bite.kind), bite.struck, bite.bit, bite.bites);
  }
  return text.empty() ? "-" : text;
}

bool ParseBites(absl::string_view text, std::vector<faults::Bite>& bites) {
  if (text == "-") return true;
  for (const absl::string_view one : absl::StrSplit(text, ',')) {
    const std::vector<absl::string_view> numbers = absl::StrSplit(one, ':');
    uint32_t kind = 0;
    faults::Bite bite;
    if (numbers.size() != 4 || !absl::SimpleAtoi(numbers[0], &kind) ||
        kind >= faults::kKinds.size() || !absl::SimpleAtoi(numbers[1], &bite.struck) ||
        !absl::SimpleAtoi(numbers[2], &bite.bit) || !absl::SimpleAtoi(numbers[3], &bite.bites)) {
      return false;
    }
    bite.kind = static_cast<faults::Kind>(kind);
    bites.push_back(bite);
  }
  return true;
}

std::string FormatResult(const SeedResult& r) {
  return absl::StrFormat("R %d %d %016x %d %d %d %d %d %d %s \"%s\" \"%s\"\n", r.seed,
                         static_cast<int>(r.exit), r.hash, r.events, r.virtual_nanos,
                         r.facts.faults, r.facts.recoveries, r.facts.checkpoints, r.facts.committed,
                         FormatBites(r.bites), absl::CEscape(r.message), absl::CEscape(r.plan));
}

bool ParseResult(absl::string_view line, SeedResult& r) {
  if (!absl::ConsumePrefix(&line, "R ")) return false;
  const std::vector<absl::string_view> words = absl::StrSplit(line, absl::MaxSplits(' ', 10));
  int exit = 0;
  if (words.size() != 11 || !absl::SimpleAtoi(words[0], &r.seed) ||
      !absl::SimpleAtoi(words[1], &exit) || !absl::SimpleHexAtoi(words[2], &r.hash) ||
      !absl::SimpleAtoi(words[3], &r.events) || !absl::SimpleAtoi(words[4], &r.virtual_nanos) ||
      !absl::SimpleAtoi(words[5], &r.facts.faults) ||
      !absl::SimpleAtoi(words[6], &r.facts.recoveries) ||
      !absl::SimpleAtoi(words[7], &r.facts.checkpoints) ||
      !absl::SimpleAtoi(words[8], &r.facts.committed) || !ParseBites(words[9], r.bites)) {
    return false;
  }
  // Two quoted texts; inside of them quotes are escaped.
  absl::string_view texts = words[10];
  const size_t between = texts.find("\" \"");
  if (!absl::ConsumePrefix(&texts, "\"") || !absl::ConsumeSuffix(&texts, "\"") ||
      between == absl::string_view::npos) {
    return false;
  }
  if (!absl::CUnescape(texts.substr(0, between - 1), &r.message) ||
      !absl::CUnescape(texts.substr(between + 2), &r.plan)) {
    return false;
  }
  r.exit = static_cast<SimExit>(exit);
  return true;
}

// The lines that a child prints.
class Lines {
 public:
  explicit Lines(io::Child& child) : child_(child) {}
  // kOutOfRange: the end.
  absl::StatusOr<std::string> Next(base::Monotonic deadline) {
    for (;;) {
      if (const size_t end = buffer_.find('\n'); end != std::string::npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return line;
      }
      char chunk[4096];
      ASSIGN_OR_RETURN(const size_t got, child_.ReadOutput(absl::MakeSpan(chunk), deadline));
      if (got == 0) return absl::OutOfRangeError("end of output");
      buffer_.append(chunk, got);
    }
  }

 private:
  io::Child& child_;
  std::string buffer_;
};

// One campaign: hands out chunks of seeds to jobs, collects what the workers say.
class Campaign {
 public:
  Campaign(io::Env& env, const SimRunOptions& options, base::Hash128 program)
      : env_(env), options_(options), program_(program), next_(options.seeds.first) {
    const uint64_t total = options.seeds.last - options.seeds.first;  // less one: all seeds fit
    chunk_ = std::clamp<uint64_t>(total / (static_cast<uint64_t>(options.jobs) * 8), 1, 1000);
  }

  void Job() {
    while (!handed_out_) {
      const uint64_t first = next_;
      const uint64_t last =
          options_.seeds.last - first < chunk_ ? options_.seeds.last : first + chunk_ - 1;
      handed_out_ = last == options_.seeds.last;
      next_ = last + 1;
      std::map<uint64_t, SeedResult> results = RunChunk({first, last});
      if (!refused_.ok()) return;
      if (options_.check_determinism) Compare(results, RunChunk({first, last}));
      for (auto& [seed, result] : results) Count(std::move(result));
    }
  }

  // Each seed of the range has a result, whatever became of the workers.
  std::map<uint64_t, SeedResult> RunChunk(SeedRange seeds) {
    std::map<uint64_t, SeedResult> results;
    uint64_t from = seeds.first;
    for (;;) {
      const absl::Status status = RunWorker({from, seeds.last}, results);
      for (; results.contains(from); ++from) {
        if (from == seeds.last) return results;
      }
      if (absl::IsInvalidArgument(status)) {
        refused_ = status;
        next_ = 0;
        return results;
      }
      // The first seed without a result is the one that ended its worker.
      SeedResult& failed = results[from];
      failed.seed = from;
      failed.exit = absl::IsDeadlineExceeded(status) ? SimExit::kTooSlow : SimExit::kCrash;
      failed.message =
          status.ok() ? "the worker ended without a result" : std::string(status.message());
      if (from++ == seeds.last) return results;
    }
  }

  // The first event in which two runs of a seed differ, with what came before and after in each.
  std::string FirstDifference(uint64_t seed) {
    constexpr size_t kAround = 5;
    absl::StatusOr<std::unique_ptr<io::Child>> a = Spawn({seed, seed}, "--trace");
    absl::StatusOr<std::unique_ptr<io::Child>> b = Spawn({seed, seed}, "--trace");
    if (!a.ok() || !b.ok()) return "could not run the seed again";
    Lines of_a(**a);
    Lines of_b(**b);
    const auto next = [&](Lines& lines) {
      const absl::StatusOr<std::string> line = lines.Next(env_.Deadline(options_.wall_limit));
      return line.ok() ? *line : std::string("(ended)");
    };
    std::deque<std::string> before;
    for (uint64_t event = 1;; ++event) {
      std::string line_a = next(of_a);
      std::string line_b = next(of_b);
      if (line_a == line_b) {
        if (line_a == "(ended)")
          return "the runs did not differ when traced; the difference is not in an event";
        before.push_back(line_a);
        if (before.size() > kAround) before.pop_front();
        continue;
      }
      std::string text = absl::StrFormat("first difference at event %d\n", event);
      for (const std::string& line : before) text += "    " + line + "\n";
      for (auto& [name, line, lines] :
           {std::tuple<const char*, std::string&, Lines&>{"a", line_a, of_a},
            std::tuple<const char*, std::string&, Lines&>{"b", line_b, of_b}}) {
        for (size_t i = 0; i <= kAround; ++i) {
          absl::StrAppendFormat(&text, "  %s%s %s\n", name, i == 0 ? ">" : " ", line);
          if (line == "(ended)") break;
          line = next(lines);
        }
      }
      text.pop_back();
      return text;
    }
  }

  absl::Status WriteTrace(uint64_t seed, const std::string& file) {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Child> child, Spawn({seed, seed}, "--trace"));
    ASSIGN_OR_RETURN(const std::unique_ptr<io::File> out,
                     env_.disk.Open(file, io::OpenMode::kOverwrite));
    Lines lines(*child);
    std::string block;
    for (;;) {
      const absl::StatusOr<std::string> line = lines.Next(env_.Deadline(options_.wall_limit));
      if (!line.ok()) break;
      if (absl::StartsWith(*line, "T ")) block += line->substr(2) + "\n";
      if (block.size() > (1 << 20)) RETURN_IF_ERROR(out->Append(std::exchange(block, {})));
    }
    return out->Append(block);
  }

  // What a worker could not make sense of.
  const absl::Status& refused() const { return refused_; }

  SimExit Finish(base::Duration wall) {
    SimExit exit = SimExit::kPassed;
    if (!failures_.empty()) exit = failures_.begin()->second.exit;
    constexpr size_t kShown = 20;
    size_t shown = 0;
    for (auto& [seed, failure] : failures_) {
      if (++shown > kShown) {
        env_.console.Out(
            absl::StrFormat("... and %d more failing seeds\n", failures_.size() - kShown));
        break;
      }
      env_.console.Out(
          absl::StrFormat("seed %d failed (%s): %s\n", seed, Word(failure.exit), failure.message));
      if (failure.exit == SimExit::kNondeterminism)
        env_.console.Out("  " + FirstDifference(seed) + "\n");
      ShowReplay(failure);
    }
    ShowBites(exit);
    const double wall_s = static_cast<double>(wall.count()) / 1e9;
    const double virtual_s = static_cast<double>(virtual_nanos_) / 1e9;
    const char* const form =
        options_.json
            ? "{\"seeds\":%lu,\"passed\":%lu,\"failed\":%lu,\"faults\":%lu,\"recoveries\":%lu,"
              "\"checkpoints\":%lu,"
              "\"committed\":%lu,\"virtual_s\":%.3f,\"wall_s\":%.3f,\"events\":%lu}\n"
            : "seeds=%lu passed=%lu failed=%lu faults=%lu recoveries=%lu checkpoints=%lu "
              "committed=%lu virtual_s=%.3f "
              "wall_s=%.3f events=%lu\n";
    char line[512];
    std::snprintf(line, sizeof(line), form, static_cast<unsigned long>(passed_ + failures_.size()),
                  static_cast<unsigned long>(passed_), static_cast<unsigned long>(failures_.size()),
                  static_cast<unsigned long>(facts_.faults),
                  static_cast<unsigned long>(facts_.recoveries),
                  static_cast<unsigned long>(facts_.checkpoints),
                  static_cast<unsigned long>(facts_.committed), virtual_s, wall_s,
                  static_cast<unsigned long>(events_));
    env_.console.Out(line);
    return exit;
  }

 private:
  absl::StatusOr<std::unique_ptr<io::Child>> Spawn(SeedRange seeds, const char* flag = nullptr) {
    io::SpawnOptions spawn;
    spawn.program = program_;
    spawn.arguments = {"sim-worker", std::string(options_.scenario->name),
                       std::to_string(seeds.first), std::to_string(seeds.last)};
    const auto add = [&](const char* name, const std::string& value) {
      if (!value.empty()) spawn.arguments.insert(spawn.arguments.end(), {name, value});
    };
    add("--faults", options_.faults);
    add("--bug", options_.bug);
    add("--plan", options_.plan_text);
    add("--source", options_.plan_source);
    if (flag != nullptr) spawn.arguments.push_back(flag);
    spawn.capture_output = true;
    return env_.processes.Spawn(spawn);
  }

  // The plan of a run that left none, because its worker died.
  std::string ExpandAgain(uint64_t seed) {
    if (!options_.plan_text.empty()) return options_.plan_text;
    const absl::StatusOr<std::unique_ptr<io::Child>> child = Spawn({seed, seed}, "--expand");
    if (!child.ok()) return "";
    Lines lines(**child);
    std::string plan;
    for (;;) {
      const absl::StatusOr<std::string> line = lines.Next(env_.Deadline(options_.wall_limit));
      if (!line.ok()) return plan;
      if (absl::StartsWith(*line, "P ")) plan += line->substr(2) + "\n";
    }
  }

  // Prints what went wrong in the run of a failed seed, and the one line that replays it.
  void ShowReplay(const SeedResult& failure) {
    const std::string name(options_.scenario->name);
    const std::string bug = options_.bug.empty() ? "" : " --bug " + options_.bug;
    const std::string plan = failure.plan.empty() ? ExpandAgain(failure.seed) : failure.plan;
    for (const absl::string_view line : absl::StrSplit(plan, '\n', absl::SkipEmpty())) {
      env_.console.Out(absl::StrFormat("    %s\n", line));
    }
    std::string file = options_.plan_source;
    if (file.empty() && !plan.empty() && failure.exit != SimExit::kNondeterminism) {
      file = absl::StrFormat("build/failures/%s-%d.plan", name, failure.seed);
      const absl::StatusOr<io::FileInfo> build = env_.disk.Stat("build");
      absl::Status written =
          build.ok() ? env_.disk.MakeDirectory("build/failures") : build.status();
      if (written.ok()) written = io::ReplaceFile(env_.disk, file, plan);
      if (!written.ok()) file.clear();
    }
    if (!file.empty()) {
      env_.console.Out(absl::StrFormat("  replay: ./weir sim replay %s%s\n", file, bug));
      return;
    }
    env_.console.Out(
        absl::StrFormat("  replay: ./weir sim run %s --seed %d%s%s%s\n", name, failure.seed,
                        options_.faults.empty() ? "" : " --faults " + options_.faults, bug,
                        failure.exit == SimExit::kNondeterminism ? " --check-determinism" : ""));
  }

  // What came of each kind. One that strikes and never changes anything proves nothing: at once if
  // it was asked for by name, else when it has had its chance.
  void ShowBites(SimExit& exit) {
    constexpr uint64_t kChances = 500;
    std::string line;
    for (const auto& [kind, bite] : bites_) {
      absl::StrAppendFormat(&line, " %s %d/%d", base::Abseil(faults::InfoOf(kind).name), bite.bit,
                            bite.struck);
    }
    if (!line.empty() && !options_.json) env_.console.Out("bites:" + line + "\n");
    for (const auto& [kind, bite] : bites_) {
      const uint64_t chances = faults::NamesKind(options_.faults, kind) ? 1 : kChances;
      if (bite.struck < chances || bite.bit > 0 || !options_.plan_text.empty()) continue;
      env_.console.Out(absl::StrFormat("inert: %s struck %d times and never bit (%s)\n",
                                       base::Abseil(faults::InfoOf(kind).name), bite.struck,
                                       base::Abseil(faults::InfoOf(kind).bite)));
      if (exit == SimExit::kPassed) exit = SimExit::kVacuous;
    }
  }

  // Adds a result for each seed that the worker finished. An error: the next seed after those is
  // what ended it.
  absl::Status RunWorker(SeedRange seeds, std::map<uint64_t, SeedResult>& results) {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Child> child, Spawn(seeds));
    Lines lines(*child);
    for (;;) {
      absl::StatusOr<std::string> line = lines.Next(env_.Deadline(options_.wall_limit));
      if (absl::IsDeadlineExceeded(line.status())) {
        RETURN_IF_ERROR(child->Kill());
        return absl::DeadlineExceededError(absl::StrFormat("not finished within %s of wall time",
                                                           base::ToString(options_.wall_limit)));
      }
      if (!line.ok()) break;
      if (absl::StartsWith(*line, "E ")) return absl::InvalidArgumentError(line->substr(2));
      SeedResult result;
      if (!ParseResult(*line, result)) continue;
      const uint64_t seed = result.seed;
      results[seed] = std::move(result);
    }
    ASSIGN_OR_RETURN(const io::ExitStatus exit, child->Wait(env_.Deadline(options_.wall_limit)));
    if (exit.ok()) return absl::OkStatus();
    return absl::InternalError("the worker died: " + exit.ToString());
  }

  static void Compare(std::map<uint64_t, SeedResult>& results,
                      const std::map<uint64_t, SeedResult>& again) {
    for (auto& [seed, result] : results) {
      const SeedResult& other = again.at(seed);
      if (other.hash == result.hash && other.exit == result.exit) continue;
      result.message =
          absl::StrFormat("two runs differ: hash %016x after %d events, %016x after %d",
                          result.hash, result.events, other.hash, other.events);
      result.exit = SimExit::kNondeterminism;
    }
  }

  void Count(SeedResult result) {
    facts_.faults += result.facts.faults;
    facts_.recoveries += result.facts.recoveries;
    facts_.checkpoints += result.facts.checkpoints;
    facts_.committed += result.facts.committed;
    for (const faults::Bite& bite : result.bites) {
      faults::Bite& sum = bites_[bite.kind];
      sum.struck += bite.struck;
      sum.bit += bite.bit;
      sum.bites += bite.bites;
    }
    events_ += result.events;
    virtual_nanos_ += result.virtual_nanos;
    if (result.exit == SimExit::kPassed) {
      ++passed_;
    } else {
      failures_[result.seed] = std::move(result);
    }
  }

  io::Env& env_;
  const SimRunOptions& options_;
  const base::Hash128 program_;
  uint64_t next_;
  bool handed_out_ = false;  // all seeds have gone to some job
  uint64_t chunk_;
  absl::Status refused_;
  uint64_t passed_ = 0;
  uint64_t events_ = 0;
  int64_t virtual_nanos_ = 0;
  Facts facts_;
  std::map<faults::Kind, faults::Bite> bites_;
  std::map<uint64_t, SeedResult> failures_;
};

}  // namespace

absl::StatusOr<SeedRange> ParseSeeds(const std::string& text) {
  SeedRange range;
  const std::vector<std::string> ends = absl::StrSplit(text, absl::MaxSplits("..", 1));
  const bool parsed =
      absl::SimpleAtoi(ends.front(), &range.first) && absl::SimpleAtoi(ends.back(), &range.last);
  if (!parsed) {
    return absl::InvalidArgumentError(absl::StrFormat(
        "seeds \"%s\": not a number from 0 to %d or a range of two, such as 1..1000", text,
        UINT64_MAX));
  }
  if (range.last < range.first) {
    return absl::InvalidArgumentError(
        absl::StrFormat("seeds \"%s\": the range is empty; write the smaller number first", text));
  }
  return range;
}

absl::Status RunSeeds(io::Env& env, const SimRunOptions& options, SimExit* exit) {
  ASSIGN_OR_RETURN(const base::Hash128 program, env.processes.Self());
  const base::Monotonic begin = env.clock.Now();
  Campaign campaign(env, options, program);
  io::Scope jobs(env.tasks, "jobs");
  for (int i = 0; i < options.jobs; ++i) {
    RETURN_IF_ERROR(jobs.Spawn(absl::StrFormat("job %d", i + 1), [&campaign] { campaign.Job(); }));
  }
  jobs.Join();
  RETURN_IF_ERROR(campaign.refused());
  *exit = campaign.Finish(env.clock.Now() - begin);
  return absl::OkStatus();
}

absl::Status WriteSimTrace(io::Env& env, const SimRunOptions& options) {
  ASSIGN_OR_RETURN(const base::Hash128 program, env.processes.Self());
  return Campaign(env, options, program).WriteTrace(options.seeds.first, options.trace_file);
}

int RunSimWorker(const SimWork& work) {
  const auto print = [](const std::string& line) {
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fflush(stdout);
  };
  scenarios::LoadedPlan loaded{.scenario = work.scenario};
  if (!work.plan_text.empty()) {
    absl::StatusOr<scenarios::LoadedPlan> parsed =
        scenarios::LoadPlan(work.plan_text, work.plan_source);
    if (!parsed.ok()) {
      print("E " + std::string(parsed.status().message()) + "\n");
      return static_cast<int>(SimExit::kUsage);
    }
    loaded = *std::move(parsed);
  }
  const scenarios::Scenario& scenario = *loaded.scenario;
  const absl::StatusOr<std::vector<faults::Kind>> listed =
      scenarios::KindsFor(scenario, work.faults.empty() ? "all" : work.faults);
  if (!listed.ok()) {
    print("E " + std::string(listed.status().message()) + "\n");
    return static_cast<int>(SimExit::kUsage);
  }
  const std::vector<faults::Kind>& kinds = *listed;
  scenarios::ExecuteOptions options;
  options.bug = work.bug;
  if (work.trace) {
    options.trace = [](std::string_view line) {
      std::fprintf(stdout, "T %.*s\n", static_cast<int>(line.size()), line.data());
    };
    options.log = [](std::string_view line) { std::fwrite(line.data(), 1, line.size(), stderr); };
    options.log_level = io::LogLevel::kInfo;
  }
  for (uint64_t seed = work.seeds.first;; ++seed) {
    const faults::Plan plan =
        work.plan_text.empty() ? scenarios::PlanOf(scenario, seed, kinds) : loaded.plan;
    if (work.expand) {
      for (const absl::string_view line : absl::StrSplit(
               faults::Print(plan, scenarios::ShapeOf(scenario).names), '\n', absl::SkipEmpty())) {
        print(absl::StrFormat("P %s\n", line));
      }
    } else {
      const scenarios::Outcome outcome = scenarios::Execute(scenario, plan, options);
      SeedResult result;
      result.seed = seed;
      result.exit = ExitOf(outcome.status);
      result.hash = outcome.hash;
      result.events = outcome.events;
      result.virtual_nanos = outcome.ended.count();
      result.facts = outcome.facts;
      result.bites = outcome.bites;
      result.message = std::string(outcome.status.message());
      if (!outcome.status.ok()) result.plan = faults::Print(outcome.plan, outcome.names);
      print(FormatResult(result));
    }
    if (seed >= work.seeds.last) return 0;
  }
}

int PrintProbes(const scenarios::Scenario& scenario, uint64_t seeds) {
  const auto counts = scenarios::CountProbes(scenario, seeds);
  for (const base::ProbeInfo& info : base::kProbes) {
    const uint64_t hits = counts[static_cast<size_t>(info.probe)];
    if (hits == 0) continue;
    const std::string line = absl::StrFormat("%-28s %10d  %s\n", base::Abseil(info.name), hits,
                                             base::Abseil(info.fields));
    std::fputs(line.c_str(), stdout);
  }
  for (size_t i = 0; i < base::kReached.size(); ++i) {
    const std::string line = absl::StrFormat(
        "reached %-20s %10d\n", base::Abseil(base::kReached[i]), base::ReachedCount(i));
    std::fputs(line.c_str(), stdout);
  }
  return 0;
}

}  // namespace weir::main
