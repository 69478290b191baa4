// `weir`: the verbs of the command line. What each does lies in a file of its own beside this one.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "absl/strings/str_format.h"
#include "engine/base/config_keys.h"
#include "engine/base/text.h"
#include "engine/main/demo.h"
#include "engine/main/sim_runner.h"
#include "net/real_world.h"
#include "scenarios/scenario.h"
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
};

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
  weir::net::RealOptions real;
  real.process_name = "sim";
  real.data_directory = ".";
  if (!flags.trace.empty()) {
    if (seeds->first != seeds->last) {
      return Usage(absl::InvalidArgumentError("--trace needs a single seed; add --seed N"));
    }
    options.trace = true;
    const size_t slash = flags.trace.rfind('/');
    if (slash != std::string::npos) real.data_directory = flags.trace.substr(0, slash + 1);
    options.trace_file = slash == std::string::npos ? flags.trace : flags.trace.substr(slash + 1);
  }
  SimExit exit = SimExit::kPassed;
  const absl::Status status = weir::net::Run(
      real, [&](weir::io::Env& env) { return weir::main::RunSeeds(env, options, &exit); });
  if (!status.ok()) return Usage(status);
  return static_cast<int>(exit);
}

int Bench(const std::string& name, bool json, bool strict) {
  struct Entry {
    const char* name;
    int (*run)(bool json, bool strict);
  };
  constexpr Entry kBenches[] = {{"sim", &weir::bench::RunSimBench},
                                {"net", &weir::bench::RunNetBench}};
  int exit = 0;
  bool found = false;
  for (const Entry& entry : kBenches) {
    if (name != "all" && name != entry.name) continue;
    found = true;
    exit = std::max(exit, entry.run(json, strict));
  }
  if (!found)
    return Usage(
        absl::InvalidArgumentError("unknown bench \"" + name + "\"; there are sim, net and all"));
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

}  // namespace

int main(int argc, char** argv) {
  // Roles of child processes come before the command line proper: their arguments are not for
  // people.
  if (argc > 1 && weir::main::IsDemoRole(argv[1])) return weir::main::RunDemoRole(argc, argv);

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
  run->callback([&] { exit = SimRun(flags); });

  CLI::App* const worker = app.add_subcommand("sim-worker")->group("");
  std::string worker_name;
  uint64_t first = 0;
  uint64_t last = 0;
  bool trace = false;
  worker->add_option("scenario", worker_name)->required();
  worker->add_option("first", first)->required();
  worker->add_option("last", last)->required();
  worker->add_flag("--trace", trace);
  worker->callback([&] {
    const absl::StatusOr<const weir::scenarios::Scenario*> scenario = Named(worker_name);
    exit = scenario.ok() ? weir::main::RunSimWorker(**scenario, {first, last}, trace)
                         : Usage(scenario.status());
  });

  CLI::App* const bench =
      app.add_subcommand("bench", "figures beside the limits measured in the same run");
  std::string bench_name;
  bool json = false;
  bool strict = false;
  bench->add_option("name", bench_name, "sim, net or all")->required();
  bench->add_flag("--json", json);
  bench->add_flag("--strict", strict, "exit 1 if a goal is missed");
  bench->callback([&] { exit = Bench(bench_name, json, strict); });

  CLI::App* const config = app.add_subcommand("config", "the effective configuration");
  std::vector<std::string> settings;
  config->add_option("-D", settings, "key=value");
  config->callback([&] { exit = PrintConfig(settings); });

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : static_cast<int>(SimExit::kUsage);
  }
  return exit;
}
