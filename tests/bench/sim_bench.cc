#include "tests/bench/sim_bench.h"

#include <boost/fiber/all.hpp>
#include <chrono>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/base/check.h"
#include "engine/base/status_macros.h"
#include "engine/io/framing.h"
#include "engine/io/scope.h"
#include "scenarios/execute.h"
#include "scenarios/scenario.h"
#include "sim/world.h"
#include "tests/bench/bench.h"

namespace weir::bench {
namespace {

using namespace std::chrono_literals;

constexpr int kRepeats = kPairs;

double SecondsOf(absl::FunctionRef<void()> work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

sim::WorldOptions Calm() {
  sim::WorldOptions options;
  options.network = sim::NetworkModel::Calm();
  options.time_limit = 24h;
  return options;
}

// Wall seconds of a world in which `program` runs on one host, alone.
double RunAlone(const io::Program& program) {
  sim::World world(Calm());
  world.Start(world.AddHost("host"), program, {});
  return SecondsOf([&] { CHECK_OK(world.Run()); });
}

constexpr int kYielders = 16;
constexpr int kYields = 50'000;

double NanosPerSwitchOfOurs() {
  const io::Program program = [](io::Env& env) -> absl::Status {
    io::Scope scope(env.tasks, "yielders");
    for (int i = 0; i < kYielders; ++i) {
      RETURN_IF_ERROR(scope.Spawn("yielder", [&env] {
        for (int k = 0; k < kYields; ++k) env.tasks.Yield();
      }));
    }
    scope.Join();
    return absl::OkStatus();
  };
  return RunAlone(program) * 1e9 / (kYielders * kYields);
}

double NanosPerSwitchOfBoost() {
  double seconds = 0;
  // A thread of its own: Boost's scheduler is one a thread, and this one keeps its round robin.
  std::thread([&seconds] {
    seconds = SecondsOf([] {
      std::vector<boost::fibers::fiber> fibers;
      for (int i = 0; i < kYielders; ++i) {
        fibers.emplace_back([] {
          for (int k = 0; k < kYields; ++k) boost::this_fiber::yield();
        });
      }
      for (boost::fibers::fiber& fiber : fibers) fiber.join();
    });
  }).join();
  return seconds * 1e9 / (kYielders * kYields);
}

double NanosPerTimer() {
  constexpr int kSleepers = 100;
  constexpr int kSleeps = 5'000;
  const io::Program program = [](io::Env& env) -> absl::Status {
    io::Scope scope(env.tasks, "sleepers");
    for (int i = 0; i < kSleepers; ++i) {
      RETURN_IF_ERROR(scope.Spawn("sleeper", [&env, i] {
        for (int k = 0; k < kSleeps; ++k) env.Sleep(1ms + i * 17us);
      }));
    }
    scope.Join();
    return absl::OkStatus();
  };
  return RunAlone(program) * 1e9 / (kSleepers * kSleeps);
}

constexpr uint16_t kPort = 7000;

// Takes every connection and every frame, answers nothing.
absl::Status Collect(io::Env& env) {
  ASSIGN_OR_RETURN(const std::unique_ptr<io::Listener> listener,
                   env.network.Listen({env.host.address(), kPort}));
  return io::WithScope(env, "connections", [&](io::Scope& scope) -> absl::Status {
    for (;;) {
      ASSIGN_OR_RETURN(std::unique_ptr<io::Stream> stream, listener->Accept(base::kForever));
      RETURN_IF_ERROR(
          scope.Spawn("reader", [peer = std::make_unique<io::FramedStream>(std::move(stream))] {
            while (peer->Read(base::kForever).ok()) {
            }
          }));
    }
  });
}

double MicrosPerMessage() {
  constexpr int kMessages = 200'000;
  const io::Program collector = Collect;
  const io::Program sender = [](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(std::unique_ptr<io::Stream> stream,
                     env.network.Connect({"collector", kPort}, base::kForever));
    io::FramedStream peer(std::move(stream));
    const std::string message(1024, 'm');
    for (int i = 0; i < kMessages; ++i) {
      RETURN_IF_ERROR(peer.Write(message, base::kForever));
      env.Sleep(100us);  // so that each message travels, wakes its reader and is parsed alone
    }
    return absl::OkStatus();
  };
  sim::World world(Calm());
  world.Start(world.AddHost("collector"), collector, {.essential = false});
  world.Start(world.AddHost("sender"), sender, {});
  return SecondsOf([&] { CHECK_OK(world.Run()); }) * 1e6 / kMessages;
}

double VirtualSecondsPerSecond() {
  constexpr int kHosts = 100;
  const io::Program collector = Collect;
  const io::Program sender = [](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(std::unique_ptr<io::Stream> stream,
                     env.network.Connect({"collector", kPort}, base::kForever));
    io::FramedStream peer(std::move(stream));
    const std::string heartbeat = "heartbeat of " + env.host.name();
    for (;;) {
      env.Sleep(100ms);
      RETURN_IF_ERROR(peer.Write(heartbeat, env.Deadline(10s)));
    }
  };
  sim::WorldOptions options;  // the usual network, with its surprises
  options.time_limit = 24h;
  sim::World world(options);
  world.Start(world.AddHost("collector"), collector, {.essential = false});
  for (int i = 0; i < kHosts; ++i) {
    world.Start(world.AddHost(absl::StrFormat("host%d", i)), sender, {.essential = false});
  }
  constexpr auto kVirtual = 200s;
  return std::chrono::duration<double>(kVirtual).count() /
         SecondsOf([&] { world.RunFor(kVirtual); });
}

// Whole runs of a small protocol: world, plan, driver and verdict.
double RunsPerSecond(const scenarios::Scenario& scenario) {
  constexpr uint64_t kRuns = 300;
  const std::vector<faults::Kind> kinds = scenarios::KindsFor(scenario, scenarios::AllKinds());
  return kRuns / SecondsOf([&] {
           for (uint64_t seed = 1; seed <= kRuns; ++seed) {
             CHECK_OK(
                 scenarios::Execute(scenario, scenarios::PlanOf(scenario, seed, kinds)).status);
           }
         });
}

std::vector<double> Repeat(absl::FunctionRef<double()> measure) {
  measure();  // warms up
  std::vector<double> values;
  for (int i = 0; i < kRepeats; ++i) values.push_back(measure());
  return values;
}

}  // namespace

int RunSimBench(bool json, bool strict) {
  Report report("sim", json);
  report.Add("fiber switch, against Boost's round-robin yield", "ns",
             MeasurePairs(kPairs, NanosPerSwitchOfOurs, NanosPerSwitchOfBoost), AtMostRatio(2));
  report.Add("virtual timer event", "ns", Repeat(&NanosPerTimer), {}, AtMost(300));
  report.Add("message of 1 KiB, end to end", "us", Repeat(&MicrosPerMessage), {}, AtMost(1.5));
  report.Add("100 hosts, heartbeats every 100 ms to one collector", "virtual s/s",
             Repeat(&VirtualSecondsPerSecond), {}, AtLeast(400));
  for (const char* const name : {"ping_pong", "replicated_log"}) {
    const scenarios::Scenario& scenario = *scenarios::FindScenario(name);
    report.Add(std::string(name) + ", runs under the swarm", "1/s",
               Repeat([&] { return RunsPerSecond(scenario); }), {}, AtLeast(2000));
  }
  return report.Finish(strict);
}

}  // namespace weir::bench
