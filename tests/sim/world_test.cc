// What the simulated world promises beyond the interfaces, whose conformance suites run elsewhere:
// identity of a run, kills, pauses, power, cut networks, reports.

#include "sim/world.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/io/framing.h"
#include "engine/io/scope.h"

namespace weir::sim {
namespace {

using namespace std::chrono_literals;
using base::Duration;

constexpr uint16_t kPort = 7000;

WorldOptions Seed(uint64_t seed) {
  WorldOptions options;
  options.seed = seed;
  return options;
}

// Sanitizers keep freed memory for a while and shadow all of it.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define WEIR_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define WEIR_SANITIZED 1
#endif
#endif
#if defined(WEIR_SANITIZED)
constexpr size_t kGrowthKilobytes = 400 << 10;
#else
constexpr size_t kGrowthKilobytes = 2 << 10;
#endif

size_t ResidentKilobytes() {
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  unsigned long total = 0;
  unsigned long resident = 0;
  if (file == nullptr || std::fscanf(file, "%lu %lu", &total, &resident) != 2) return 0;
  std::fclose(file);
  return resident * 4;
}

// Echoes frames on every connection until the end.
absl::Status Echo(io::Env& env) {
  ASSIGN_OR_RETURN(const std::unique_ptr<io::Listener> listener,
                   env.network.Listen({env.host.address(), kPort}));
  return io::WithScope(env, "connections", [&](io::Scope& scope) -> absl::Status {
    for (;;) {
      ASSIGN_OR_RETURN(std::unique_ptr<io::Stream> stream, listener->Accept(base::kForever));
      RETURN_IF_ERROR(
          scope.Spawn("echo", [peer = std::make_unique<io::FramedStream>(std::move(stream))] {
            for (;;) {
              const absl::StatusOr<std::string_view> message = peer->Read(base::kForever);
              if (!message.ok() || !peer->Write(std::string(*message), base::kForever).ok()) return;
            }
          }));
    }
  });
}

// Sends `count` frames to the host "server" and waits for each.
absl::Status Ask(io::Env& env, int count) {
  ASSIGN_OR_RETURN(std::unique_ptr<io::Stream> stream,
                   env.network.Connect({"server", kPort}, env.Deadline(10s)));
  io::FramedStream peer(std::move(stream));
  for (int i = 0; i < count; ++i) {
    const std::string message = absl::StrFormat("message %d %d", i, env.random.Next());
    RETURN_IF_ERROR(peer.Write(message, env.Deadline(60s)));
    ASSIGN_OR_RETURN(const std::string_view answer, peer.Read(env.Deadline(60s)));
    if (answer != message) return absl::DataLossError("the answer differs");
  }
  return absl::OkStatus();
}

const io::Program kEcho = Echo;
const io::Program kAsk100 = [](io::Env& env) { return Ask(env, 100); };

struct Pair {
  World& world;
  HostId server_host = world.AddHost("server");
  HostId client_host = world.AddHost("client");
  ProcessId server{};
  ProcessId client{};
};

Pair MakePair(World& world, const io::Program& server, const io::Program& client) {
  Pair pair{.world = world};
  pair.server = world.Start(pair.server_host, server, {.name = "server", .essential = false});
  pair.client = world.Start(pair.client_host, client, {.name = "client"});
  return pair;
}

uint64_t HashOfRun(uint64_t seed, bool traced, std::vector<std::string>* lines = nullptr) {
  WorldOptions options = Seed(seed);
  if (traced) {
    options.trace = [lines](std::string_view line) {
      if (lines != nullptr) lines->emplace_back(line);
    };
  }
  World world(options);
  MakePair(world, kEcho, kAsk100);
  EXPECT_TRUE(world.Run().ok());
  return world.hash();
}

TEST(World, OneSeedIsOneRun) {
  std::set<uint64_t> hashes;
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    const uint64_t hash = HashOfRun(seed, false);
    EXPECT_EQ(hash, HashOfRun(seed, false)) << "seed " << seed;
    hashes.insert(hash);
  }
  EXPECT_EQ(hashes.size(), 50u);
}

TEST(World, ATraceDoesNotChangeTheRun) {
  std::vector<std::string> lines;
  EXPECT_EQ(HashOfRun(7, true, &lines), HashOfRun(7, false));
  std::vector<std::string> again;
  HashOfRun(7, true, &again);
  EXPECT_GT(lines.size(), 200u);
  EXPECT_EQ(lines, again);
}

TEST(World, ADeadlockNamesEveryWaitingTaskAndWhatItWaitsFor) {
  const io::Program program = [](io::Env& env) -> absl::Status {
    io::Scope scope(env.tasks, "pair");
    RETURN_IF_ERROR(scope.Spawn("sleeper", [&env] {
      env.tasks.Park(base::kForever, {"godot", "who does not come"});
    }));
    scope.Join();
    return absl::OkStatus();
  };
  World world(Seed(1));
  world.Start(world.AddHost("host"), program, {.name = "waiter"});
  const absl::Status status = world.Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(status.message(),
            "deadlock at 0.000000s: nothing is ready and nothing will ever happen; waiting:\n"
            "  waiter: task \"main\" waits for scope pair\n"
            "  waiter: task \"sleeper\" waits for godot who does not come\n");
}

TEST(World, TheTimeLimitSaysWhatStillWaits) {
  const io::Program program = [](io::Env& env) -> absl::Status {
    for (;;) env.Sleep(7s);
  };
  WorldOptions options = Seed(1);
  options.time_limit = 60s;
  World world(options);
  world.Start(world.AddHost("host"), program, {.name = "sleeper"});
  const absl::Status status = world.Run();
  EXPECT_EQ(status.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_TRUE(absl::StrContains(status.message(), "no end within the time limit of 60.000000s"))
      << status;
  EXPECT_TRUE(absl::StrContains(status.message(), "task \"main\" waits for sleep until")) << status;
}

TEST(World, AnExceptionThatLeavesATaskFailsTheRunByItsName) {
  const io::Program program = [](io::Env& env) -> absl::Status {
    io::Scope scope(env.tasks, "work");
    RETURN_IF_ERROR(scope.Spawn("thrower", [] { throw std::runtime_error("no"); }));
    scope.Join();
    env.Sleep(1s);
    return absl::OkStatus();
  };
  World world(Seed(1));
  world.Start(world.AddHost("host"), program, {.name = "job"});
  const absl::Status status = world.Run();
  EXPECT_EQ(status, absl::InternalError("job: task \"thrower\" died of an exception: no"));
}

// --------------------------------------------------------------------------------------- kills

TEST(World, AKilledProcessRunsOnlyDestructorsYoungestFirstAndTheirEffectsAreMuted) {
  std::vector<std::string> order;
  struct Say {
    std::vector<std::string>& order;
    std::string what;
    ~Say() { order.push_back(what); }
  };
  const io::Program victim = [&order](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Stream> stream,
                     env.network.Connect({"server", kPort}, env.Deadline(10s)));
    struct Goodbye {
      io::Env& env;
      io::Stream& stream;
      ~Goodbye() {
        std::string frame;
        io::AppendFrame(frame, "goodbye");
        // An effect after death, and a wait in an unwind: both come to nothing, at once.
        EXPECT_FALSE(stream.Write(frame, env.Deadline(1s)).ok());
        EXPECT_EQ(env.Sleep(1s), io::Wake::kCancelled);
      }
    } goodbye{env, *stream};
    Say parent{order, "parent"};
    io::Scope scope(env.tasks, "children");
    for (const char* name : {"first", "second", "third"}) {
      RETURN_IF_ERROR(scope.Spawn(name, [&env, &order, name] {
        Say child{order, name};
        env.Sleep(1h);
        order.push_back("never");
      }));
    }
    scope.Join();
    order.push_back("never");
    return absl::OkStatus();
  };
  World world(Seed(3));
  const Pair pair = MakePair(world, kEcho, victim);
  world.RunFor(1s);
  ASSERT_TRUE(world.running(pair.client));
  const Duration died = world.now();
  world.Kill(pair.client);
  EXPECT_TRUE(world.Run().ok());
  EXPECT_EQ(world.now(), died);
  EXPECT_EQ(order, (std::vector<std::string>{"third", "second", "first", "parent"}));
  EXPECT_EQ(world.exit_status(pair.client), (io::ExitStatus{.by_signal = true, .code = 9}));
  EXPECT_GT(world.counts().muted_effects, 0u);
}

TEST(World, APeerOfAKilledProcessReadsTheEndOrAReset) {
  absl::Status seen;
  const io::Program client = [&seen](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Stream> stream,
                     env.network.Connect({"server", kPort}, env.Deadline(10s)));
    char byte;
    const absl::StatusOr<size_t> got = stream->Read(absl::MakeSpan(&byte, 1), env.Deadline(1h));
    seen = got.ok() && *got == 0 ? absl::OutOfRangeError("end") : got.status();
    return absl::OkStatus();
  };
  World world(Seed(5));
  const Pair pair = MakePair(world, kEcho, client);
  world.At(1s, [&] { world.Kill(pair.server); });
  EXPECT_TRUE(world.Run().ok());
  EXPECT_TRUE(absl::IsOutOfRange(seen) || absl::IsUnavailable(seen)) << seen;
  EXPECT_LT(world.now(), 2s);
}

TEST(World, AHundredThousandKillsAndRestartsKeepMemoryFlat) {
  constexpr int kKills = 100'000;
  const io::Program busy = [](io::Env& env) -> absl::Status {
    io::Scope scope(env.tasks, "work");
    for (int i = 0; i < 3; ++i) {
      RETURN_IF_ERROR(scope.Spawn("asker", [&env] {
        while (true) {
          const absl::Status asked = Ask(env, 1000);
          env.Sleep(asked.ok() ? 1ms : 2ms);
        }
      }));
    }
    scope.Join();
    return absl::OkStatus();
  };
  World world(Seed(11));
  const Pair pair = MakePair(world, kEcho, busy);
  size_t early = 0;
  for (int i = 0; i < kKills; ++i) {
    world.RunFor(world.random().Between(Duration(0ns), Duration(2ms)));
    const ProcessId victim = i % 2 == 0 ? pair.server : pair.client;
    world.Kill(victim);
    world.RunFor(0ns);
    world.Restart(victim);
    if (i == kKills / 10) early = ResidentKilobytes();
  }
  const size_t late = ResidentKilobytes();
  EXPECT_LT(late, early + kGrowthKilobytes)
      << "kilobytes after a tenth: " << early << ", after all: " << late;
  EXPECT_EQ(world.counts().kills, uint64_t{kKills});
}

TEST(World, ThousandsOfWorldsKeepMemoryFlat) {
  size_t early = 0;
  for (uint64_t seed = 0; seed < 4'000; ++seed) {
    World world(Seed(seed));
    const Pair pair = MakePair(world, kEcho, kAsk100);
    world.RunFor(std::chrono::milliseconds(seed % 40));
    if (world.running(pair.server) && seed % 2 == 0) world.Kill(pair.server);
    if (seed == 400) early = ResidentKilobytes();
  }
  EXPECT_LT(ResidentKilobytes(), early + kGrowthKilobytes);
}

TEST(World, ATaskThatRefusesToEndFailsTheRunByItsName) {
  const io::Program stubborn = [](io::Env& env) -> absl::Status {
    io::NoThrowWaits no_throw(env.tasks);
    for (;;) env.Sleep(1s);
  };
  // In a process of its own, which leaves without a look at what leaked: the frames of a task that
  // was given up are lost by design.
  const auto run = [&stubborn] {
    World world(Seed(1));
    const ProcessId process = world.Start(world.AddHost("host"), stubborn, {.name = "stubborn"});
    world.At(3s, [&] { world.Kill(process); });
    std::fprintf(stderr, "%s\n", std::string(world.Run().message()).c_str());
    _exit(0);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0),
              "stubborn: task \"main\" was cancelled and refused to end 1000 times");
}

// -------------------------------------------------------------------------------------- pauses

TEST(World, APausedProcessFiresItsTimersLateAndTogether) {
  std::vector<Duration> fired;
  const io::Program program = [&fired](io::Env& env) -> absl::Status {
    const base::Monotonic begin = env.clock.Now();
    io::Scope scope(env.tasks, "timers");
    for (int i = 1; i <= 3; ++i) {
      RETURN_IF_ERROR(scope.Spawn("timer", [&env, &fired, begin, i] {
        env.Sleep(i * 1ms);
        fired.push_back(env.clock.Now() - begin);
      }));
    }
    scope.Join();
    return absl::OkStatus();
  };
  World world(Seed(1));
  const ProcessId process = world.Start(world.AddHost("host"), program, {.name = "paused"});
  world.At(500us, [&] { world.Pause(process); });
  world.At(100ms, [&] { world.Resume(process); });
  EXPECT_TRUE(world.Run().ok());
  EXPECT_EQ(fired, (std::vector<Duration>{100ms, 100ms, 100ms}));
}

TEST(World, APausedReaderFillsItsWindowAndStopsTheWriter) {
  constexpr size_t kBlock = 16 << 10;
  size_t written = 0;
  const io::Program writer = [&written](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Stream> stream,
                     env.network.Connect({"server", kPort}, env.Deadline(10s)));
    const std::string block(kBlock, 'b');
    for (;;) {
      RETURN_IF_ERROR(stream->Write(block, base::kForever));
      written += kBlock;
    }
  };
  const io::Program reader = [](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Listener> listener,
                     env.network.Listen({env.host.address(), kPort}));
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Stream> stream, listener->Accept(base::kForever));
    std::string into(kBlock, '\0');
    for (;;) {
      RETURN_IF_ERROR(stream->Read(absl::MakeSpan(into), base::kForever).status());
      env.Sleep(1ms);
    }
  };
  WorldOptions options = Seed(2);
  World world(options);
  const Pair pair = MakePair(world, reader, writer);
  world.RunFor(1s);
  world.Pause(pair.server);
  world.RunFor(1s);
  const size_t stopped = written;
  world.RunFor(5s);
  EXPECT_EQ(written, stopped) << "the window is full";
  EXPECT_GE(written, options.network.window_bytes - kBlock);
  world.Resume(pair.server);
  world.RunFor(1s);
  EXPECT_GT(written, stopped);
}

TEST(World, AKillReachesAPausedProcess) {
  const io::Program program = [](io::Env& env) -> absl::Status {
    env.Sleep(10ms);
    return absl::InternalError("ran on");
  };
  World world(Seed(1));
  const ProcessId process = world.Start(world.AddHost("host"), program, {.name = "paused"});
  world.At(1ms, [&] { world.Pause(process); });
  world.At(20ms, [&] { world.Kill(process); });
  EXPECT_TRUE(world.Run().ok());
  EXPECT_EQ(world.now(), 20ms);
  EXPECT_TRUE(world.exit_message(process).ok());
}

// ----------------------------------------------------------------------------------------- CPU

TEST(World, ChargedWorkTakesTheTimeOfItsExecutorAndOfNoOther) {
  Duration same;
  Duration other;
  const io::Program program = [&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const io::Executor slot, env.tasks.AddExecutor({.name = "slot 0"}));
    const base::Monotonic begin = env.clock.Now();
    io::Scope neighbour(env.tasks, "neighbour");
    io::Scope elsewhere(env.tasks, "elsewhere", slot);
    env.tasks.Charge(30ms);
    RETURN_IF_ERROR(neighbour.Spawn("same core", [&] { same = env.clock.Now() - begin; }));
    RETURN_IF_ERROR(elsewhere.Spawn("other core", [&] { other = env.clock.Now() - begin; }));
    neighbour.Join();
    elsewhere.Join();
    return absl::OkStatus();
  };
  World world(Seed(1));
  world.Start(world.AddHost("host"), program, {});
  ASSERT_TRUE(world.Run().ok());
  EXPECT_EQ(same, 30ms);
  EXPECT_EQ(other, 0ms);
}

TEST(World, ASlowProcessPaysMoreForTheSameWork) {
  const io::Program program = [](io::Env& env) -> absl::Status {
    env.tasks.Charge(10ms);
    env.tasks.Yield();
    return absl::OkStatus();
  };
  World world(Seed(1));
  const ProcessId process = world.Start(world.AddHost("host"), program, {});
  world.SetSlowness(process, 7);
  ASSERT_TRUE(world.Run().ok());
  EXPECT_EQ(world.now(), 70ms);
}

// --------------------------------------------------------------------------------------- power

struct DiskFates {
  int lost = 0;
  int whole = 0;
  int partly = 0;
  int name_lost = 0;
};

TEST(World, PowerLossKeepsWhatWasSyncedAndAnyPartOfTheRest) {
  constexpr size_t kSynced = 3000;
  constexpr size_t kUnsynced = 5000;
  const io::Program program = [](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::File> file,
                     env.disk.Open("log", io::OpenMode::kCreate));
    RETURN_IF_ERROR(file->Append(std::string(kSynced, 's')));
    RETURN_IF_ERROR(file->Sync());
    RETURN_IF_ERROR(env.disk.SyncDirectory(""));
    RETURN_IF_ERROR(file->Append(std::string(kUnsynced, 'u')));
    RETURN_IF_ERROR(env.disk.Open("name", io::OpenMode::kCreate).status());
    env.Sleep(1h);
    return absl::OkStatus();
  };
  DiskFates fates;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    std::string found;
    bool name = false;
    const io::Program look = [&](io::Env& env) -> absl::Status {
      ASSIGN_OR_RETURN(found, io::ReadFile(env.disk, "log"));
      name = env.disk.Stat("name").ok();
      return absl::OkStatus();
    };
    bool again = false;
    const io::Program both = [&](io::Env& env) { return again ? look(env) : program(env); };
    World world(Seed(seed));
    const HostId host = world.AddHost("host");
    const ProcessId process = world.Start(host, both, {.name = "writer"});
    world.RunFor(1s);
    world.PowerOff(host);
    world.RunFor(1s);
    ASSERT_FALSE(world.running(process));
    world.PowerOn(host, DiskFate::kKept);
    again = true;
    world.Restart(process);
    ASSERT_TRUE(world.Run().ok());
    ASSERT_TRUE(world.exit_message(process).ok())
        << "seed " << seed << ": " << world.exit_message(process);
    ASSERT_GE(found.size(), kSynced) << "seed " << seed;
    ASSERT_EQ(found.substr(0, kSynced), std::string(kSynced, 's')) << "seed " << seed;
    const std::string rest = found.substr(kSynced);
    fates.lost += rest.empty() ? 1 : 0;
    fates.whole += rest == std::string(kUnsynced, 'u') ? 1 : 0;
    fates.partly += !rest.empty() && rest.find_first_not_of('u') != std::string::npos ? 1 : 0;
    fates.name_lost += name ? 0 : 1;
  }
  // Sizes are drawn from a range of thousands, so the two ends are rare; holes within and lost
  // names are not.
  EXPECT_GT(fates.partly, 100);
  EXPECT_GT(fates.name_lost, 50);
  EXPECT_LT(fates.name_lost, 150);
}

TEST(World, AKilledProcessLosesNothingThatItWrote) {
  bool again = false;
  std::string found;
  const io::Program program = [&](io::Env& env) -> absl::Status {
    if (again) {
      ASSIGN_OR_RETURN(found, io::ReadFile(env.disk, "log"));
      return absl::OkStatus();
    }
    ASSIGN_OR_RETURN(const std::unique_ptr<io::File> file,
                     env.disk.Open("log", io::OpenMode::kCreate));
    RETURN_IF_ERROR(file->Append("unsynced"));
    env.Sleep(1h);
    return absl::OkStatus();
  };
  World world(Seed(1));
  const ProcessId process = world.Start(world.AddHost("host"), program, {.name = "writer"});
  world.RunFor(1s);
  world.Kill(process);
  world.RunFor(0s);
  again = true;
  world.Restart(process);
  ASSERT_TRUE(world.Run().ok());
  EXPECT_EQ(found, "unsynced");
}

TEST(World, ALostDiskIsEmpty) {
  bool again = false;
  bool there = true;
  const io::Program program = [&](io::Env& env) -> absl::Status {
    if (again) {
      there = env.disk.Stat("file").ok();
      return absl::OkStatus();
    }
    RETURN_IF_ERROR(io::ReplaceFile(env.disk, "file", "content"));
    env.Sleep(1h);
    return absl::OkStatus();
  };
  World world(Seed(1));
  const HostId host = world.AddHost("host");
  const ProcessId process = world.Start(host, program, {.name = "writer"});
  world.RunFor(1s);
  world.PowerOff(host);
  world.RunFor(0s);
  world.PowerOn(host, DiskFate::kLost);
  again = true;
  world.Restart(process);
  ASSERT_TRUE(world.Run().ok());
  EXPECT_FALSE(there);
}

TEST(World, AFullDiskSaysSo) {
  absl::Status status;
  const io::Program program = [&status](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::File> file,
                     env.disk.Open("big", io::OpenMode::kCreate));
    RETURN_IF_ERROR(file->Append(std::string(600, 'x')));
    status = file->Append(std::string(600, 'x'));
    return absl::OkStatus();
  };
  WorldOptions options = Seed(1);
  options.disk.capacity_bytes = 1000;
  World world(options);
  world.Start(world.AddHost("host"), program, {});
  ASSERT_TRUE(world.Run().ok());
  EXPECT_EQ(status, absl::ResourceExhaustedError(
                        "file \"big\": no space on the disk: 1000 bytes, 600 used; free some"));
}

// --------------------------------------------------------------------------------- the network

TEST(World, ACutHoldsBytesBackAndHealingDeliversThem) {
  World world(Seed(4));
  const Pair pair = MakePair(world, kEcho, kAsk100);
  world.At(2ms, [&] { world.Cut(pair.client_host, pair.server_host); });
  world.At(10s, [&] { world.Heal(pair.client_host, pair.server_host); });
  EXPECT_TRUE(world.Run().ok());
  EXPECT_TRUE(world.exit_message(pair.client).ok()) << world.exit_message(pair.client);
  EXPECT_GT(world.now(), 10s);
}

TEST(World, ASilentPeerIsFoundOutAfterItsTimeout) {
  // The reader sends nothing: only keep-alives can tell it. One way cut is enough, either way.
  for (const bool towards_server : {true, false}) {
    absl::Status seen;
    Duration took{};
    const io::Program client = [&](io::Env& env) -> absl::Status {
      ASSIGN_OR_RETURN(
          const std::unique_ptr<io::Stream> stream,
          env.network.Connect({"server", kPort}, env.Deadline(10s), {.peer_timeout = 5s}));
      const base::Monotonic begin = env.clock.Now();
      char byte;
      seen = stream->Read(absl::MakeSpan(&byte, 1), env.Deadline(1h)).status();
      took = env.clock.Now() - begin;
      return absl::OkStatus();
    };
    World world(Seed(9));
    const Pair pair = MakePair(world, kEcho, client);
    world.At(1s, [&] {
      if (towards_server) {
        world.Cut(pair.client_host, pair.server_host);
      } else {
        world.Cut(pair.server_host, pair.client_host);
      }
    });
    ASSERT_TRUE(world.Run().ok());
    EXPECT_TRUE(absl::IsUnavailable(seen)) << seen;
    EXPECT_GE(took, 5s);
    EXPECT_LE(took, 7s);
  }
}

TEST(World, AHostThatComesBackKnowsNothingOfItsConnections) {
  absl::Status seen;
  const io::Program client = [&seen](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Stream> stream,
                     env.network.Connect({"server", kPort}, env.Deadline(10s)));
    char byte;
    seen = stream->Read(absl::MakeSpan(&byte, 1), env.Deadline(1h)).status();
    return absl::OkStatus();
  };
  World world(Seed(9));
  const Pair pair = MakePair(world, kEcho, client);
  world.At(1s, [&] { world.PowerOff(pair.server_host); });
  world.At(2s, [&] { world.PowerOn(pair.server_host, DiskFate::kKept); });
  ASSERT_TRUE(world.Run().ok());
  EXPECT_TRUE(absl::IsUnavailable(seen)) << seen;
  EXPECT_TRUE(absl::StrContains(seen.message(), "reset by peer")) << seen;
}

TEST(World, AHostThatCameBackBehindACutIsFoundOutWhenThePathHeals) {
  absl::Status seen;
  const io::Program client = [&seen](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Stream> stream,
                     env.network.Connect({"server", kPort}, env.Deadline(10s)));
    char byte;
    seen = stream->Read(absl::MakeSpan(&byte, 1), env.Deadline(1h)).status();
    return absl::OkStatus();
  };
  World world(Seed(9));
  const Pair pair = MakePair(world, kEcho, client);
  world.At(1s, [&] {
    world.Cut(pair.client_host, pair.server_host);
    world.Cut(pair.server_host, pair.client_host);
  });
  world.At(2s, [&] { world.PowerOff(pair.server_host); });
  world.At(3s, [&] { world.PowerOn(pair.server_host, DiskFate::kKept); });
  world.At(4s, [&] {
    world.Heal(pair.client_host, pair.server_host);
    world.Heal(pair.server_host, pair.client_host);
  });
  ASSERT_TRUE(world.Run().ok());
  EXPECT_TRUE(absl::IsUnavailable(seen)) << seen;
}

TEST(World, ResetsBreakBothSides) {
  World world(Seed(6));
  const Pair pair = MakePair(world, kEcho, kAsk100);
  world.At(3ms, [&] { world.ResetConnections(pair.client_host, pair.server_host); });
  ASSERT_TRUE(world.Run().ok());
  EXPECT_TRUE(absl::IsUnavailable(world.exit_message(pair.client)))
      << world.exit_message(pair.client);
}

TEST(World, AFullBacklogDropsConnectsUntilTheListenerAccepts) {
  const io::Program slow = [](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Listener> listener,
                     env.network.Listen({env.host.address(), kPort}, {.backlog = 1}));
    std::vector<std::unique_ptr<io::Stream>> held;
    for (;;) {
      env.Sleep(5s);
      ASSIGN_OR_RETURN(std::unique_ptr<io::Stream> stream, listener->Accept(base::kForever));
      held.push_back(std::move(stream));
    }
  };
  std::vector<Duration> connected;
  const io::Program client = [&connected](io::Env& env) -> absl::Status {
    const base::Monotonic begin = env.clock.Now();
    std::vector<std::unique_ptr<io::Stream>> held;
    for (int i = 0; i < 3; ++i) {
      ASSIGN_OR_RETURN(std::unique_ptr<io::Stream> stream,
                       env.network.Connect({"server", kPort}, env.Deadline(1min)));
      held.push_back(std::move(stream));
      connected.push_back(env.clock.Now() - begin);
    }
    return absl::OkStatus();
  };
  World world(Seed(8));
  const Pair pair = MakePair(world, slow, client);
  ASSERT_TRUE(world.Run().ok());
  ASSERT_TRUE(world.exit_message(pair.client).ok()) << world.exit_message(pair.client);
  ASSERT_EQ(connected.size(), 3u);
  EXPECT_LT(connected[0], 1s);
  EXPECT_GE(connected[1], 5s);
  EXPECT_GE(connected[2], 10s);
}

TEST(World, ReadsAreShortAndLatencyReachesBothEndsOfItsRange) {
  bool whole = false;
  bool part = false;
  const io::Program client = [&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Stream> stream,
                     env.network.Connect({"server", kPort}, env.Deadline(10s)));
    std::string frame;
    io::AppendFrame(frame, std::string(1000, 'f'));
    for (int i = 0; i < 200; ++i) {
      RETURN_IF_ERROR(stream->Write(frame, env.Deadline(60s)));
      size_t have = 0;
      while (have < frame.size()) {
        std::string into(frame.size() - have, '\0');
        ASSIGN_OR_RETURN(const size_t got, stream->Read(absl::MakeSpan(into), env.Deadline(60s)));
        (have == 0 && got == frame.size() ? whole : part) = true;
        have += got;
      }
    }
    return absl::OkStatus();
  };
  World world(Seed(1));
  MakePair(world, kEcho, client);
  ASSERT_TRUE(world.Run().ok());
  EXPECT_TRUE(whole);
  EXPECT_TRUE(part);
}

TEST(World, ClocksOfHostsDifferAndWallClocksJump) {
  std::vector<base::Monotonic> monotonic;
  std::vector<base::WallTime> wall;
  const io::Program program = [&](io::Env& env) -> absl::Status {
    monotonic.push_back(env.clock.Now());
    wall.push_back(env.clock.Wall());
    env.Sleep(2s);
    wall.push_back(env.clock.Wall());
    return absl::OkStatus();
  };
  World world(Seed(1));
  const HostId a = world.AddHost("a");
  world.Start(a, program, {});
  ASSERT_TRUE(world.Run().ok());
  world.Start(world.AddHost("b"), program, {});
  world.StepWallClock(a, -1h);
  world.Start(a, program, {});
  ASSERT_TRUE(world.Run().ok());
  ASSERT_EQ(wall.size(), 6u);
  EXPECT_EQ(wall[1] - wall[0], 2s);
  EXPECT_NE(monotonic[0], monotonic[1]);
  // Of the two that started last, one runs on the host whose clock was set back.
  const base::WallTime earliest = std::min(wall[2], wall[3]);
  EXPECT_LT(earliest, wall[0] - 50min);
}

}  // namespace
}  // namespace weir::sim
