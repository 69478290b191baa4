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
#include "engine/base/status_macros.h"
#include "engine/base/text.h"
#include "engine/io/scope.h"

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
  std::string message;
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

std::string FormatResult(const SeedResult& r) {
  return absl::StrFormat("R %d %d %016x %d %d %d %d %d %d %s\n", r.seed, static_cast<int>(r.exit),
                         r.hash, r.events, r.virtual_nanos, r.facts.faults, r.facts.recoveries,
                         r.facts.checkpoints, r.facts.committed, absl::CEscape(r.message));
}

bool ParseResult(absl::string_view line, SeedResult& r) {
  const std::vector<absl::string_view> words = absl::StrSplit(line, absl::MaxSplits(' ', 10));
  int exit = 0;
  if (words.size() != 11 || !absl::SimpleAtoi(words[1], &r.seed) ||
      !absl::SimpleAtoi(words[2], &exit) || !absl::SimpleHexAtoi(words[3], &r.hash) ||
      !absl::SimpleAtoi(words[4], &r.events) || !absl::SimpleAtoi(words[5], &r.virtual_nanos) ||
      !absl::SimpleAtoi(words[6], &r.facts.faults) ||
      !absl::SimpleAtoi(words[7], &r.facts.recoveries) ||
      !absl::SimpleAtoi(words[8], &r.facts.checkpoints) ||
      !absl::SimpleAtoi(words[9], &r.facts.committed) || !absl::CUnescape(words[10], &r.message)) {
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
    const uint64_t total = options.seeds.last - options.seeds.first + 1;
    chunk_ = std::clamp<uint64_t>(total / (static_cast<uint64_t>(options.jobs) * 8), 1, 1000);
  }

  void Job() {
    while (next_ <= options_.seeds.last && next_ != 0) {
      const uint64_t first = next_;
      const uint64_t last = std::min(options_.seeds.last, first + chunk_ - 1);
      next_ = last == UINT64_MAX ? 0 : last + 1;
      std::map<uint64_t, SeedResult> results = RunChunk({first, last});
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
      // The first seed without a result is the one that ended its worker.
      SeedResult& failed = results[from];
      failed.seed = from;
      failed.exit = absl::IsDeadlineExceeded(status) ? SimExit::kTooSlow : SimExit::kCrash;
      failed.message =
          status.ok() ? "the worker ended without a result" : std::string(status.message());
      if (from++ == seeds.last) return results;
    }
  }

  // The first event in which two runs of a seed differ, with what came before.
  std::string FirstDifference(uint64_t seed) {
    absl::StatusOr<std::unique_ptr<io::Child>> a = Spawn({seed, seed}, true);
    absl::StatusOr<std::unique_ptr<io::Child>> b = Spawn({seed, seed}, true);
    if (!a.ok() || !b.ok()) return "could not run the seed again";
    Lines of_a(**a);
    Lines of_b(**b);
    std::deque<std::string> before;
    for (uint64_t event = 1;; ++event) {
      const absl::StatusOr<std::string> line_a = of_a.Next(env_.Deadline(options_.wall_limit));
      const absl::StatusOr<std::string> line_b = of_b.Next(env_.Deadline(options_.wall_limit));
      if (!line_a.ok() && !line_b.ok())
        return "the runs did not differ when traced; the difference is not in an event";
      const std::string shown_a = line_a.ok() ? *line_a : std::string("(ended)");
      const std::string shown_b = line_b.ok() ? *line_b : std::string("(ended)");
      if (shown_a == shown_b) {
        before.push_back(shown_a);
        if (before.size() > 5) before.pop_front();
        continue;
      }
      std::string text = absl::StrFormat("first difference at event %d\n", event);
      for (const std::string& line : before) text += "    " + line + "\n";
      return text + "  a " + shown_a + "\n  b " + shown_b;
    }
  }

  absl::Status WriteTrace(uint64_t seed, const std::string& file) {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Child> child, Spawn({seed, seed}, true));
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
      env_.console.Out(absl::StrFormat(
          "  replay: ./weir sim run %s --seed %d%s\n", base::Abseil(options_.scenario->name), seed,
          failure.exit == SimExit::kNondeterminism ? " --check-determinism" : ""));
    }
    const double wall_s = static_cast<double>(wall.count()) / 1e9;
    const double virtual_s = static_cast<double>(virtual_nanos_) / 1e9;
    const char* const form =
        options_.json ? "{\"seeds\":%d,\"passed\":%d,\"failed\":%d,\"faults\":%d,\"recoveries\":%d,"
                        "\"checkpoints\":%d,"
                        "\"committed\":%d,\"virtual_s\":%.3f,\"wall_s\":%.3f,\"events\":%d}\n"
                      : "seeds=%d passed=%d failed=%d faults=%d recoveries=%d checkpoints=%d "
                        "committed=%d virtual_s=%.3f "
                        "wall_s=%.3f events=%d\n";
    char line[512];
    std::snprintf(line, sizeof(line), form, static_cast<int>(passed_ + failures_.size()),
                  static_cast<int>(passed_), static_cast<int>(failures_.size()),
                  static_cast<int>(facts_.faults), static_cast<int>(facts_.recoveries),
                  static_cast<int>(facts_.checkpoints), static_cast<int>(facts_.committed),
                  virtual_s, wall_s, static_cast<int>(events_));
    env_.console.Out(line);
    return exit;
  }

 private:
  absl::StatusOr<std::unique_ptr<io::Child>> Spawn(SeedRange seeds, bool trace) {
    io::SpawnOptions spawn;
    spawn.program = program_;
    spawn.arguments = {"sim-worker", std::string(options_.scenario->name),
                       std::to_string(seeds.first), std::to_string(seeds.last)};
    if (trace) spawn.arguments.push_back("--trace");
    spawn.capture_output = true;
    return env_.processes.Spawn(spawn);
  }

  // Adds a result for each seed that the worker finished. An error: the next seed after those is
  // what ended it.
  absl::Status RunWorker(SeedRange seeds, std::map<uint64_t, SeedResult>& results) {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Child> child, Spawn(seeds, false));
    Lines lines(*child);
    for (;;) {
      absl::StatusOr<std::string> line = lines.Next(env_.Deadline(options_.wall_limit));
      if (absl::IsDeadlineExceeded(line.status())) {
        RETURN_IF_ERROR(child->Kill());
        return absl::DeadlineExceededError(absl::StrFormat("not finished within %s of wall time",
                                                           base::ToString(options_.wall_limit)));
      }
      if (!line.ok()) break;
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
  uint64_t chunk_;
  uint64_t passed_ = 0;
  uint64_t events_ = 0;
  int64_t virtual_nanos_ = 0;
  Facts facts_;
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
  if (options.trace) RETURN_IF_ERROR(campaign.WriteTrace(options.seeds.first, options.trace_file));
  io::Scope jobs(env.tasks, "jobs");
  for (int i = 0; i < options.jobs; ++i) {
    RETURN_IF_ERROR(jobs.Spawn(absl::StrFormat("job %d", i + 1), [&campaign] { campaign.Job(); }));
  }
  jobs.Join();
  *exit = campaign.Finish(env.clock.Now() - begin);
  return absl::OkStatus();
}

int RunSimWorker(const scenarios::Scenario& scenario, SeedRange seeds, bool trace) {
  for (uint64_t seed = seeds.first;; ++seed) {
    SeedResult result;
    result.seed = seed;
    sim::WorldOptions options = scenario.world(seed);
    options.seed = seed;
    if (trace) {
      options.trace = [](std::string_view line) {
        std::fprintf(stdout, "T %.*s\n", static_cast<int>(line.size()), line.data());
      };
      options.log = [](std::string_view line) { std::fwrite(line.data(), 1, line.size(), stderr); };
      options.log_level = io::LogLevel::kInfo;
    }
    {
      sim::World world(options);
      const absl::Status status = scenario.run(world, result.facts);
      result.exit = ExitOf(status);
      result.message = std::string(status.message());
      result.hash = world.hash();
      result.events = world.counts().events;
      result.virtual_nanos = world.now().count();
    }
    const std::string line = FormatResult(result);
    std::fwrite(line.data(), 1, line.size(), stdout);
    std::fflush(stdout);
    if (seed == seeds.last) return 0;
  }
}

}  // namespace weir::main
