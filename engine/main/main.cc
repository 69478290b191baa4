// `weir`: the verbs of the command line. What each does lies in a file of its own beside this one.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/str_format.h"
#include "engine/base/config_keys.h"
#include "engine/base/text.h"
#include "engine/main/demo.h"
#include "engine/main/sim_runner.h"
#include "engine/main/sim_shrink.h"
#include "faults/kinds.h"
#include "faults/plan.h"
#include "net/real_world.h"
#include "scenarios/execute.h"
#include "scenarios/scenario.h"
#include "tests/bench/bugs_bench.h"
#include "tests/bench/net_bench.h"
#include "tests/bench/sim_bench.h"

namespace {

using weir::main::SimExit;

int Usage(const absl::Status& status) {
  std::fprintf(stderr, "weir: %s\n", std::string(status.message()).c_str());
  return static_cast<int>(SimExit::kUsage);
}

const char* Word(weir::scenarios::Class speed) {
  switch (speed) {
    case weir::scenarios::Class::kFast:
      return "fast";
    case weir::scenarios::Class::kSlow:
      return "slow";
    case weir::scenarios::Class::kSoak:
      return "soak";
  }
  return "";
}

int SimList(bool all) {
  for (const weir::scenarios::Scenario& scenario : weir::scenarios::AllScenarios()) {
    if (!scenario.listed || (!all && scenario.speed == weir::scenarios::Class::kSoak)) continue;
    const std::string line =
        absl::StrFormat("%-20s %-5s %s\n", weir::base::Abseil(scenario.name), Word(scenario.speed),
                        weir::base::Abseil(scenario.question));
    std::fputs(line.c_str(), stdout);
  }
  return 0;
}

absl::StatusOr<const weir::scenarios::Scenario*> Named(const std::string& name) {
  if (const weir::scenarios::Scenario* const found = weir::scenarios::FindScenario(name);
      found != nullptr)
    return found;
  std::vector<std::string_view> names;
  for (const weir::scenarios::Scenario& scenario : weir::scenarios::AllScenarios()) {
    if (scenario.listed) names.push_back(scenario.name);
  }
  return absl::InvalidArgumentError(absl::StrFormat(
      "unknown scenario \"%s\"; did you mean \"%s\"? `weir sim list --all` shows every one", name,
      weir::base::Abseil(weir::base::Nearest(name, names))));
}

struct SimRunFlags {
  std::string name;
  std::string seed;
  std::string seeds;
  int jobs = 1;
  bool check_determinism = false;
  std::string trace;
  bool json = false;
  std::string faults;
  std::string bug;
};

int Campaign(const weir::main::SimRunOptions& options, weir::net::RealOptions real) {
  SimExit exit = SimExit::kPassed;
  real.process_name = "sim";
  const absl::Status status = weir::net::Run(
      real, [&](weir::io::Env& env) { return weir::main::RunSeeds(env, options, &exit); });
  if (!status.ok()) return Usage(status);
  return static_cast<int>(exit);
}

// The bug's name as it is known, or an error with the names there are.
absl::Status CheckBug(const weir::scenarios::Scenario& scenario, const std::string& bug) {
  if (bug.empty() || weir::scenarios::FindBug(scenario, bug) != nullptr) return absl::OkStatus();
  std::string known;
  for (const weir::scenarios::Bug& row : scenario.bugs)
    known += (known.empty() ? "" : " ") + std::string(row.name);
  return absl::InvalidArgumentError(
      absl::StrFormat("bug \"%s\": %s has none of this name; it has: %s", bug,
                      weir::base::Abseil(scenario.name), known.empty() ? "none" : known));
}

// Any file that can be read, wherever it lies: nothing is written beside it.
absl::StatusOr<std::string> ReadPlan(const std::string& file) {
  std::ifstream in(file);
  std::stringstream text;
  // A directory opens, and fails when it is read.
  if (in.is_open()) text << in.rdbuf();
  if (!in.is_open() || in.bad()) {
    return absl::NotFoundError(
        absl::StrFormat("plan \"%s\": cannot be read; give the path of a plan file, such as "
                        "build/failures/NAME-SEED.plan",
                        file));
  }
  return text.str().empty() ? "\n" : text.str();  // an empty plan is refused by its place
}

int SimShrink(const std::string& file, const std::string& bug, int jobs) {
  const absl::StatusOr<std::string> text = ReadPlan(file);
  if (!text.ok()) return Usage(text.status());
  const absl::StatusOr<weir::faults::Plan> header = weir::faults::ParseHeader(*text, file);
  if (!header.ok()) return Usage(header.status());
  const weir::scenarios::Scenario* const scenario = weir::scenarios::FindScenario(header->scenario);
  if (scenario != nullptr) {
    if (const absl::Status known = CheckBug(*scenario, bug); !known.ok()) return Usage(known);
  }
  return weir::main::ShrinkPlan(*text, file, bug, jobs);
}

int SimReplay(const std::string& file, const std::string& bug) {
  weir::main::SimRunOptions options;
  weir::net::RealOptions real;
  const absl::StatusOr<std::string> text = ReadPlan(file);
  if (!text.ok()) return Usage(text.status());
  options.plan_text = *text;
  const absl::StatusOr<weir::faults::Plan> header =
      weir::faults::ParseHeader(options.plan_text, file);
  if (!header.ok()) return Usage(header.status());
  // A plan for a scenario that does not exist is refused by the worker, which knows the place in
  // the file.
  options.scenario = weir::scenarios::FindScenario(header->scenario);
  if (options.scenario == nullptr) options.scenario = &weir::scenarios::AllScenarios().front();
  if (const absl::Status known = CheckBug(*options.scenario, bug); !known.ok()) return Usage(known);
  options.seeds = {header->seed, header->seed};
  options.plan_source = file;
  options.bug = bug;
  real.data_directory = ".";
  return Campaign(options, real);
}

int SimRun(const SimRunFlags& flags) {
  weir::main::SimRunOptions options;
  const absl::StatusOr<const weir::scenarios::Scenario*> scenario = Named(flags.name);
  if (!scenario.ok()) return Usage(scenario.status());
  options.scenario = *scenario;
  if (!flags.seed.empty() && !flags.seeds.empty()) {
    return Usage(
        absl::InvalidArgumentError("--seed and --seeds exclude each other; give one of them"));
  }
  const std::string& text = !flags.seeds.empty()  ? flags.seeds
                            : !flags.seed.empty() ? flags.seed
                                                  : "1..100";
  const absl::StatusOr<weir::main::SeedRange> seeds = weir::main::ParseSeeds(text);
  if (!seeds.ok()) return Usage(seeds.status());
  options.seeds = *seeds;
  options.jobs = flags.jobs;
  options.check_determinism = flags.check_determinism;
  options.json = flags.json;
  options.faults = flags.faults;
  options.bug = flags.bug;
  if (!flags.faults.empty()) {
    const auto kinds = weir::scenarios::KindsFor(**scenario, flags.faults);
    if (!kinds.ok()) return Usage(kinds.status());
  }
  if (const absl::Status known = CheckBug(**scenario, flags.bug); !known.ok()) return Usage(known);
  weir::net::RealOptions real;
  real.data_directory = ".";
  if (!flags.trace.empty()) {
    if (seeds->first != seeds->last) {
      return Usage(absl::InvalidArgumentError("--trace needs a single seed; add --seed N"));
    }
    // The trace has a place of its own; what else a run leaves goes below the current directory.
    weir::net::RealOptions beside = real;
    const size_t slash = flags.trace.rfind('/');
    if (slash != std::string::npos) beside.data_directory = flags.trace.substr(0, slash + 1);
    options.trace_file = slash == std::string::npos ? flags.trace : flags.trace.substr(slash + 1);
    const absl::Status written = weir::net::Run(
        beside, [&](weir::io::Env& env) { return weir::main::WriteSimTrace(env, options); });
    if (!written.ok()) return Usage(written);
  }
  return Campaign(options, real);
}

int Bench(const std::string& name, bool json, bool strict) {
  struct Entry {
    const char* name;
    int (*run)(bool json, bool strict);
  };
  constexpr Entry kBenches[] = {{"sim", &weir::bench::RunSimBench},
                                {"net", &weir::bench::RunNetBench},
                                {"bugs", &weir::bench::RunBugsBench}};
  int exit = 0;
  bool found = false;
  for (const Entry& entry : kBenches) {
    if (name != "all" && name != entry.name) continue;
    found = true;
    exit = std::max(exit, entry.run(json, strict));
  }
  if (!found)
    return Usage(absl::InvalidArgumentError("unknown bench \"" + name +
                                            "\"; there are sim, net, bugs and all"));
  return exit;
}

int PrintConfig(const std::vector<std::string>& flags) {
  weir::base::Config config;
  for (const std::string& flag : flags) {
    if (const absl::Status status = config.ParseFlag(flag); !status.ok()) return Usage(status);
  }
  std::fputs(config.ToText().c_str(), stdout);
  return 0;
}

// One line for a command line that cannot be taken.
std::string ExplainUsage(const CLI::App& app, int argc, char** argv, std::string_view what) {
  const CLI::App* at = &app;
  std::string path = "weir";
  for (int i = 1; i <= argc; ++i) {
    const auto verbs = at->get_subcommands([](const CLI::App*) { return true; });
    std::string names;
    const CLI::App* next = nullptr;
    for (const CLI::App* verb : verbs) {
      if (verb->get_group().empty()) continue;  // not for people
      names += (names.empty() ? "" : ", ") + verb->get_name();
      if (i < argc && verb->get_name() == argv[i]) next = verb;
    }
    if (names.empty()) break;
    if (next == nullptr) {
      if (i == argc) return absl::StrFormat("`%s` needs a verb: %s", path, names);
      return absl::StrFormat("unknown verb \"%s\" of `%s`; there are %s", argv[i], path, names);
    }
    at = next;
    path += " " + next->get_name();
  }
  const std::string line(what.substr(0, what.find('\n')));
  return absl::StrFormat("%s; `%s --help` tells what it takes", line, path);
}

}  // namespace

int main(int argc, char** argv) {
  // Roles of child processes come before the command line proper: their arguments are not for
  // people.
  if (argc > 1 && weir::main::IsDemoRole(argv[1])) return weir::main::RunDemoRole(argc, argv);
  if (argc > 1 && weir::main::IsPlanWorker(argv[1])) return weir::main::RunPlanWorker(argc, argv);

  CLI::App app{"Weir: stream processing that is simulated before it runs."};
  app.name("weir");
  app.require_subcommand(1);
  int exit = 0;

  app.add_subcommand("demo",
                     "the small programs as real processes with one killed on the way, and in a "
                     "simulated world")
      ->callback([&] { exit = weir::main::RunDemo(); });

  CLI::App* const sim = app.add_subcommand("sim", "the simulator");
  sim->require_subcommand(1);
  CLI::App* const list = sim->add_subcommand("list", "the scenarios, a line each");
  bool all = false;
  list->add_flag("--all", all, "soak scenarios, too");
  list->callback([&] { exit = SimList(all); });
  CLI::App* const run = sim->add_subcommand("run", "a scenario over seeds");
  SimRunFlags flags;
  run->add_option("scenario", flags.name, "its name")->required();
  run->add_option("--seed", flags.seed, "one seed");
  run->add_option("--seeds", flags.seeds, "a range, inclusive: 1..1000 (default 1..100)");
  run->add_option("--jobs", flags.jobs, "worker processes")->check(CLI::Range(1, 256));
  run->add_flag("--check-determinism", flags.check_determinism,
                "run each seed twice, in two processes, and compare");
  run->add_option("--trace", flags.trace, "write every event of the seed to this file");
  run->add_flag("--json", flags.json, "the summary as JSON");
  run->add_option(
      "--faults", flags.faults,
      "all, none, or families (process, network, clock, disk) and kinds with commas between");
  run->add_option("--bug", flags.bug, "the variant with this mistake planted");
  run->callback([&] { exit = SimRun(flags); });

  CLI::App* const replay = sim->add_subcommand("replay", "a plan again");
  std::string plan_file;
  std::string replay_bug;
  replay->add_option("file", plan_file, "the plan")->required();
  replay->add_option("--bug", replay_bug, "the variant with this mistake planted");
  replay->callback([&] { exit = SimReplay(plan_file, replay_bug); });
  CLI::App* const shrink = sim->add_subcommand(
      "shrink", "a failing plan made as small as it can be, as a list and as a C++ test");
  std::string shrink_file;
  std::string shrink_bug;
  int shrink_jobs = 2;
  shrink->add_option("file", shrink_file, "the plan")->required();
  shrink->add_option("--bug", shrink_bug, "the variant with this mistake planted");
  shrink->add_option("--jobs", shrink_jobs, "worker processes")->check(CLI::Range(1, 256));
  shrink->callback([&] { exit = SimShrink(shrink_file, shrink_bug, shrink_jobs); });
  CLI::App* const probes = sim->add_subcommand(
      "probes", "the protocol moments of a scenario, with their hits over 100 seeds");
  std::string probed;
  probes->add_option("scenario", probed, "its name")->required();
  probes->callback([&] {
    constexpr uint64_t kSeeds = 100;
    const absl::StatusOr<const weir::scenarios::Scenario*> scenario = Named(probed);
    exit = scenario.ok() ? weir::main::PrintProbes(**scenario, kSeeds) : Usage(scenario.status());
  });

  CLI::App* const worker = app.add_subcommand("sim-worker")->group("");
  std::string worker_name;
  weir::main::SimWork work;
  worker->add_option("scenario", worker_name)->required();
  worker->add_option("first", work.seeds.first)->required();
  worker->add_option("last", work.seeds.last)->required();
  worker->add_option("--faults", work.faults);
  worker->add_option("--bug", work.bug);
  worker->add_option("--plan", work.plan_text);
  worker->add_option("--source", work.plan_source);
  worker->add_flag("--trace", work.trace);
  worker->add_flag("--expand", work.expand);
  worker->callback([&] {
    const absl::StatusOr<const weir::scenarios::Scenario*> scenario = Named(worker_name);
    if (scenario.ok()) work.scenario = *scenario;
    exit = scenario.ok() ? weir::main::RunSimWorker(work) : Usage(scenario.status());
  });

  CLI::App* const bench =
      app.add_subcommand("bench", "figures beside the limits measured in the same run");
  std::string bench_name;
  bool json = false;
  bool strict = false;
  bench->add_option("name", bench_name, "sim, net, bugs or all")->required();
  bench->add_flag("--json", json);
  bench->add_flag("--strict", strict, "exit 1 if a goal is missed");
  bool verify_depth = false;
  bench->add_flag("--verify-depth", verify_depth,
                  "of bugs: that fewer faults than its depth never show a bug");
  bench->callback([&] {
    if (verify_depth && bench_name != "bugs") {
      exit = Usage(absl::InvalidArgumentError("--verify-depth is for `weir bench bugs` only"));
      return;
    }
    exit = verify_depth ? weir::bench::RunBugsDepth(json, strict) : Bench(bench_name, json, strict);
  });

  CLI::App* const config = app.add_subcommand("config", "the effective configuration");
  std::vector<std::string> settings;
  config->add_option("-D", settings, "key=value");
  config->callback([&] { exit = PrintConfig(settings); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    return Usage(absl::InvalidArgumentError(ExplainUsage(app, argc, argv, error.what())));
  }
  return exit;
}
