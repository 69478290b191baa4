// What the world's hands for trouble do, one by one: links, connects, names, clocks and disks.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/io/framing.h"
#include "engine/io/scope.h"
#include "sim/world.h"

namespace weir::sim {
namespace {

using namespace std::chrono_literals;
using base::Duration;

constexpr uint16_t kPort = 7000;

WorldOptions Calm() {
  WorldOptions options;
  options.network = NetworkModel::Calm();
  options.disk.sync_low = options.disk.sync_high = 1ms;
  options.disk.read_low = options.disk.read_high = 1ms;
  options.time_limit = 10min;
  return options;
}

// What a reader saw of one connection: bytes with the times of their arrival, and how it ended.
struct Seen {
  std::string bytes;
  std::vector<Duration> times;
  absl::Status end = absl::UnknownError("not ended");
};

// Two hosts, "from" and "to"; bytes go from one to the other and are looked at.
struct Pipe {
  explicit Pipe(WorldOptions options = Calm()) : world(options) {
    from = world.AddHost("from");
    to = world.AddHost("to");
  }

  // Sends `writes` every 10 ms and closes.
  void Run(const std::vector<std::string>& writes, bool reads = true) {
    reader = [this, reads](io::Env& env) -> absl::Status {
      ASSIGN_OR_RETURN(const std::unique_ptr<io::Listener> listener,
                       env.network.Listen({env.host.address(), kPort}));
      ASSIGN_OR_RETURN(const std::unique_ptr<io::Stream> stream, listener->Accept(base::kForever));
      if (!reads) env.Sleep(5min);
      for (;;) {
        char chunk[4096];
        const absl::StatusOr<size_t> got = stream->Read(absl::MakeSpan(chunk), base::kForever);
        if (!got.ok() || *got == 0) {
          seen.end = got.status();
          return absl::OkStatus();
        }
        seen.bytes.append(chunk, *got);
        seen.times.push_back(world.now());
      }
    };
    writer = [this, writes](io::Env& env) -> absl::Status {
      absl::StatusOr<std::unique_ptr<io::Stream>> stream =
          env.network.Connect({"to", kPort}, env.Deadline(100s));
      connected = world.now();
      written = stream.status();
      for (const std::string& bytes : writes) {
        if (written.ok()) written = (*stream)->Write(bytes, env.Deadline(300s));
        write_ended = world.now();
        env.Sleep(10ms);
      }
      return absl::OkStatus();
    };
    world.Start(to, reader, {.name = "reader", .essential = false});
    world.Start(from, writer, {.name = "writer"});
    result = world.Run();
    world.RunFor(10s);
  }

  World world;
  HostId from;
  HostId to;
  io::Program reader;
  io::Program writer;
  Seen seen;
  Duration connected{};
  Duration write_ended{};
  absl::Status written;
  absl::Status result;
};

TEST(Trouble, AClogHoldsBytesBackAndLetsThemGoTogether) {
  Pipe pipe;
  pipe.world.At(5ms, [&] { pipe.world.Clog(pipe.from, pipe.to, 1); });
  pipe.world.At(95ms, [&] { pipe.world.Unclog(pipe.from, pipe.to); });
  pipe.Run({"a", "b", "c", "d"});
  EXPECT_EQ(pipe.seen.bytes, "abcd");
  EXPECT_TRUE(pipe.seen.end.ok());
  ASSERT_EQ(pipe.seen.times.size(), 4u);
  EXPECT_LT(pipe.seen.times[0], 5ms);
  for (size_t i = 1; i < 4; ++i) EXPECT_EQ(pipe.seen.times[i], 95ms);
  EXPECT_EQ(pipe.world.bites(1), 4u);  // three writes and the end
}

TEST(Trouble, AConnectionIsResetBehindTheByteThatWasNamed) {
  for (const uint64_t byte : {0, 1, 5, 6, 7}) {
    Pipe pipe;
    pipe.world.ResetAtByte(pipe.from, pipe.to, byte, 1);
    pipe.Run({"abc", "def", "ghi"});
    EXPECT_EQ(pipe.seen.bytes, std::string("abcdefghi").substr(0, byte));
    EXPECT_TRUE(absl::IsUnavailable(pipe.seen.end)) << pipe.seen.end;
    // Who wrote the last bytes before the reset does not hear of it.
    EXPECT_EQ(absl::IsUnavailable(pipe.written), byte <= 6) << pipe.written;
    EXPECT_EQ(pipe.world.bites(1), 1u);
  }
}

TEST(Trouble, LostAcknowledgementsStopTheWriterUntilItsKernelGivesUp) {
  WorldOptions options = Calm();
  options.network.window_bytes = 1024;
  Pipe pipe(options);
  pipe.world.At(5ms, [&] { pipe.world.LoseAcks(pipe.from, pipe.to, 1); });
  pipe.Run({std::string(600, 'a'), std::string(600, 'b'), std::string(600, 'c')});
  // What went out arrived, and was read; the writer never learned of it.
  EXPECT_EQ(pipe.seen.bytes.size(), 600u + 1024u);
  EXPECT_TRUE(absl::IsUnavailable(pipe.written)) << pipe.written;
  EXPECT_GE(pipe.write_ended, Duration(base::kPeerTimeout));
  EXPECT_GT(pipe.world.bites(1), 0u);
}

TEST(Trouble, AcknowledgementsThatComeBackInTimeLetTheWriterGoOn) {
  WorldOptions options = Calm();
  options.network.window_bytes = 1024;
  Pipe pipe(options);
  pipe.world.At(5ms, [&] { pipe.world.LoseAcks(pipe.from, pipe.to, 1); });
  pipe.world.At(2s, [&] { pipe.world.RestoreAcks(pipe.from, pipe.to); });
  pipe.Run({std::string(600, 'a'), std::string(600, 'b'), std::string(600, 'c')});
  EXPECT_EQ(pipe.seen.bytes.size(), 1800u);
  EXPECT_TRUE(pipe.written.ok()) << pipe.written;
  EXPECT_GE(pipe.write_ended, Duration(2s));
}

TEST(Trouble, FlippedBitsArriveAndTheFrameHashCatchesEachOfThem) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    WorldOptions options = Calm();
    options.seed = seed;
    Pipe pipe(options);
    pipe.world.FlipBits(pipe.from, pipe.to, 1, 1, 1);
    std::string frame;
    io::AppendFrame(frame, "what was meant");
    pipe.Run({frame});
    ASSERT_EQ(pipe.seen.bytes.size(), frame.size());
    ASSERT_NE(pipe.seen.bytes, frame);
    EXPECT_EQ(pipe.world.bites(1), 1u);
    io::FrameParser parser(1024);
    const absl::Span<char> into = parser.Prepare(frame.size());
    std::copy(pipe.seen.bytes.begin(), pipe.seen.bytes.end(), into.begin());
    parser.Commit(frame.size());
    EXPECT_FALSE(parser.Next().ok()) << "seed " << seed;
  }
}

TEST(Trouble, ConnectsAreRefusedOrLate) {
  Pipe refused;
  refused.world.RefuseConnects(refused.to, {1, 1}, 1);
  refused.Run({"a"});
  EXPECT_TRUE(absl::IsUnavailable(refused.written)) << refused.written;
  EXPECT_EQ(refused.world.bites(1), 1u);
  Pipe late;
  late.world.DelayConnects(late.to, 700ms, 1);
  late.Run({"a"});
  EXPECT_TRUE(late.written.ok());
  EXPECT_GE(late.connected, Duration(700ms));
  EXPECT_LT(late.connected, Duration(701ms));
}

TEST(Trouble, AStaleNameLeadsNowhereButNotForTheHostItself) {
  Pipe pipe;
  pipe.world.SetStaleName(pipe.to, true, 1);
  pipe.world.SetStaleName(pipe.from, true, 2);
  pipe.Run({"a"});
  EXPECT_TRUE(absl::IsDeadlineExceeded(pipe.written)) << pipe.written;
  EXPECT_EQ(pipe.world.bites(1), 1u);
  EXPECT_EQ(pipe.world.bites(2), 0u);
}

TEST(Trouble, ANarrowLinkTakesItsTime) {
  Pipe pipe;
  pipe.world.SetBandwidth(pipe.from, 1000, 1);
  pipe.Run({std::string(500, 'a')});
  ASSERT_FALSE(pipe.seen.times.empty());
  EXPECT_GE(pipe.seen.times[0], Duration(500ms));
  EXPECT_GT(pipe.world.bites(1), 0u);
}

TEST(Trouble, LatencyFollowsTheGivenRange) {
  Pipe pipe;
  pipe.world.SetLatency(std::pair(Duration(30ms), Duration(40ms)), 1);
  pipe.Run({"a"});
  EXPECT_GE(pipe.connected, Duration(60ms));
  EXPECT_LE(pipe.connected, Duration(80ms));
  EXPECT_GT(pipe.world.bites(1), 0u);
}

TEST(Trouble, AConnectionThatIsClosedIsReadToItsEnd) {
  Pipe pipe;
  pipe.world.At(15ms, [&] { pipe.world.CloseConnections(pipe.from, pipe.to, 1); });
  pipe.Run({"a", "b", "c"});
  EXPECT_EQ(pipe.seen.bytes, "ab");
  EXPECT_TRUE(pipe.seen.end.ok()) << pipe.seen.end;
  EXPECT_TRUE(absl::IsUnavailable(pipe.written)) << pipe.written;
}

// ---------------------------------------------------------------------------------------------------------
// clocks

TEST(Trouble, ADriftingClockMakesTimersEarlyOrLateAndNeverFiresBeforeItsOwnDeadline) {
  for (const int64_t ppm : {-500, -1, 0, 7, 500}) {
    World world(Calm());
    const HostId host = world.AddHost("host");
    const io::Program program = [](io::Env& env) -> absl::Status {
      base::Monotonic last = env.clock.Now();
      for (int i = 0; i < 1000; ++i) {
        const base::Monotonic deadline = env.Deadline(Duration(100ms) + Duration(i));
        env.Sleep(Duration(100ms) + Duration(i));
        if (env.clock.Now() < deadline) return absl::InternalError("woken early");
        if (env.clock.Now() < last) return absl::InternalError("the clock ran backwards");
        last = env.clock.Now();
      }
      return absl::OkStatus();
    };
    const ProcessId process = world.Start(host, program, {.name = "sleeper"});
    world.SetDrift(host, ppm, 1);
    world.At(50s, [&] { world.SetDrift(host, ppm / 2, 1); });
    ASSERT_TRUE(world.Run().ok());
    ASSERT_TRUE(world.exit_message(process).ok()) << world.exit_message(process);
    // 100 s of the host: the first half at the full drift, the rest at half of it.
    const int64_t off = (world.now() - Duration(100s)).count();
    const int64_t expected = -(ppm + ppm / 2) * 50'000;
    EXPECT_NEAR(static_cast<double>(off), static_cast<double>(expected), 3e6) << ppm;
    EXPECT_GT(world.bites(1), 0u);
  }
}

TEST(Trouble, AStepMovesTheDateAndNotTheMonotonicClock) {
  World world(Calm());
  const HostId host = world.AddHost("host");
  Duration wall{};
  Duration monotonic{};
  const io::Program program = [&](io::Env& env) -> absl::Status {
    const base::WallTime wall_before = env.clock.Wall();
    const base::Monotonic before = env.clock.Now();
    env.Sleep(1s);
    wall = env.clock.Wall() - wall_before;
    monotonic = env.clock.Now() - before;
    return absl::OkStatus();
  };
  world.Start(host, program, {});
  world.At(500ms, [&] { world.StepWallClock(host, -1h, 1); });
  ASSERT_TRUE(world.Run().ok());
  EXPECT_EQ(wall, Duration(1s) - Duration(1h));
  EXPECT_EQ(monotonic, Duration(1s));
  EXPECT_EQ(world.bites(1), 1u);
}

// ----------------------------------------------------------------------------------------------------------
// disks

// Runs `program` alone on a host whose disk is in trouble.
absl::Status OnDisk(const DiskTrouble& trouble,
                    const std::function<absl::Status(io::Env&, World&, HostId)>& body,
                    uint64_t seed = 1) {
  WorldOptions options = Calm();
  options.seed = seed;
  World world(options);
  const HostId host = world.AddHost("host");
  const io::Program program = [&](io::Env& env) { return body(env, world, host); };
  const ProcessId process = world.Start(host, program, {.name = "writer"});
  world.disk_trouble(host) = trouble;
  RETURN_IF_ERROR(world.Run());
  return world.exit_message(process);
}

#define REQUIRE(condition) \
  if (!(condition)) return absl::InternalError(absl::StrFormat("%d: %s", __LINE__, #condition))

TEST(Trouble, TheCallsThatAreNamedFailAndNoOther) {
  EXPECT_TRUE(OnDisk({.read_errors = {.skip = 1, .calls = 2, .tag = 1},
                      .write_errors = {.skip = 2, .calls = 1, .tag = 2}},
                     [](io::Env& env, World& world, HostId) -> absl::Status {
                       ASSIGN_OR_RETURN(const std::unique_ptr<io::File> file,
                                        env.disk.Open("f", io::OpenMode::kCreate));
                       REQUIRE(file->Append("abc").ok());
                       REQUIRE(file->Append("def").ok());
                       REQUIRE(absl::IsDataLoss(file->Append("ghi")));
                       REQUIRE(file->Truncate(6).ok());
                       REQUIRE(file->Append("jkl").ok());
                       char chunk[16];
                       REQUIRE(file->Read(0, absl::MakeSpan(chunk)).ok());
                       REQUIRE(absl::IsDataLoss(file->Read(0, absl::MakeSpan(chunk)).status()));
                       REQUIRE(absl::IsDataLoss(file->Read(0, absl::MakeSpan(chunk)).status()));
                       ASSIGN_OR_RETURN(const size_t got, file->Read(0, absl::MakeSpan(chunk)));
                       REQUIRE(std::string_view(chunk, got) == "abcdefjkl");
                       REQUIRE(world.bites(1) == 2);
                       REQUIRE(world.bites(2) == 1);
                       return absl::OkStatus();
                     })
                  .ok());
}

TEST(Trouble, AFailedSyncBreaksTheHandleAndLeavesWhatIsReallyThere) {
  bool lost = false;
  for (uint64_t seed = 1; seed <= 40; ++seed) {
    const absl::Status status = OnDisk(
        {.sync_errors = {.skip = 1, .calls = 1, .tag = 1}},
        [&](io::Env& env, World& world, HostId host) -> absl::Status {
          ASSIGN_OR_RETURN(const std::unique_ptr<io::File> file,
                           env.disk.Open("f", io::OpenMode::kCreate));
          RETURN_IF_ERROR(file->Append("durable"));
          RETURN_IF_ERROR(file->Sync());
          RETURN_IF_ERROR(file->Append(std::string(2000, 'x')));
          REQUIRE(absl::IsDataLoss(file->Sync()));
          REQUIRE(absl::IsDataLoss(file->Sync()));
          // The name that was opened afresh tells the truth, and syncing that makes it last.
          ASSIGN_OR_RETURN(const std::string there, io::ReadFile(env.disk, "f"));
          REQUIRE(there.substr(0, 7) == "durable");
          lost = lost || there != "durable" + std::string(2000, 'x');
          ASSIGN_OR_RETURN(const std::unique_ptr<io::File> again,
                           env.disk.Open("f", io::OpenMode::kReadWrite));
          RETURN_IF_ERROR(again->Sync());
          REQUIRE(world.bites(1) == 1);
          (void)host;
          return absl::OkStatus();
        },
        seed);
    EXPECT_TRUE(status.ok()) << status;
  }
  EXPECT_TRUE(lost) << "in no seed did the disk lose anything";
}

TEST(Trouble, AFullDiskRefusesToGrowFilesAndLetsThemBeOverwritten) {
  EXPECT_TRUE(OnDisk({.free_bytes = 5, .full_by = 1},
                     [](io::Env& env, World& world, HostId) -> absl::Status {
                       ASSIGN_OR_RETURN(const std::unique_ptr<io::File> file,
                                        env.disk.Open("f", io::OpenMode::kCreate));
                       REQUIRE(file->Append("abc").ok());
                       REQUIRE(absl::IsResourceExhausted(file->Append("def")));
                       REQUIRE(file->Write(0, "xyz").ok());
                       REQUIRE(file->Append("de").ok());
                       REQUIRE(world.bites(1) == 1);
                       return absl::OkStatus();
                     })
                  .ok());
}

TEST(Trouble, AHungDiskHoldsItsCallersUntilItIsReleased) {
  World world(Calm());
  const HostId host = world.AddHost("host");
  Duration ended{};
  const io::Program program = [&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::File> file,
                     env.disk.Open("f", io::OpenMode::kCreate));
    RETURN_IF_ERROR(file->Append("abc"));
    RETURN_IF_ERROR(file->Sync());
    ended = world.now();
    return absl::OkStatus();
  };
  const ProcessId process = world.Start(host, program, {});
  world.disk_trouble(host).hung = true;
  world.disk_trouble(host).hung_by = 1;
  world.At(3s, [&] {
    world.disk_trouble(host).hung = false;
    world.WakeDisk(host);
  });
  ASSERT_TRUE(world.Run().ok());
  EXPECT_TRUE(world.exit_message(process).ok());
  EXPECT_EQ(ended, Duration(3s) + Duration(1ms));
  EXPECT_EQ(world.bites(1), 1u);
}

TEST(Trouble, AProcessCanBeKilledWhileItsDiskHangs) {
  World world(Calm());
  const HostId host = world.AddHost("host");
  const io::Program program = [&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::File> file,
                     env.disk.Open("f", io::OpenMode::kOverwrite));
    return file->Sync();
  };
  const ProcessId process = world.Start(host, program, {});
  world.disk_trouble(host).hung = true;
  world.At(1s, [&] { world.Kill(process); });
  ASSERT_TRUE(world.Run().ok());
  EXPECT_EQ(world.now(), Duration(1s));
}

TEST(Trouble, ASlowDiskTakesAMultiple) {
  EXPECT_TRUE(OnDisk({.slow_factor = 50, .slow_by = 1},
                     [](io::Env& env, World& world, HostId) -> absl::Status {
                       ASSIGN_OR_RETURN(const std::unique_ptr<io::File> file,
                                        env.disk.Open("f", io::OpenMode::kCreate));
                       const base::Monotonic before = env.clock.Now();
                       RETURN_IF_ERROR(file->Sync());
                       REQUIRE(env.clock.Now() - before == Duration(50ms));
                       REQUIRE(world.bites(1) == 1);
                       return absl::OkStatus();
                     })
                  .ok());
}

TEST(Trouble, BitsFlipOnTheWayForOnceOrOnThePlatterForGood) {
  const absl::Status status = OnDisk({.flip_bits = 1, .flip_by = 1},
                                     [](io::Env& env, World& world, HostId host) -> absl::Status {
                                       ASSIGN_OR_RETURN(const std::unique_ptr<io::File> file,
                                                        env.disk.Open("f", io::OpenMode::kCreate));
                                       const std::string meant(100, 'm');
                                       RETURN_IF_ERROR(file->Append(meant));
                                       char chunk[100];
                                       REQUIRE(file->Read(0, absl::MakeSpan(chunk)).ok());
                                       REQUIRE(std::string_view(chunk, 100) != meant);
                                       REQUIRE(world.bites(1) == 1);
                                       world.disk_trouble(host).flip_bits = 0;
                                       REQUIRE(file->Read(0, absl::MakeSpan(chunk)).ok());
                                       REQUIRE(std::string_view(chunk, 100) == meant);
                                       REQUIRE(world.FlipStoredBits(host, 1, 0, 2));
                                       REQUIRE(world.bites(2) == 0);
                                       for (int i = 0; i < 2; ++i) {
                                         REQUIRE(file->Read(0, absl::MakeSpan(chunk)).ok());
                                         REQUIRE(std::string_view(chunk, 100) != meant);
                                       }
                                       REQUIRE(world.bites(2) == 2);
                                       return absl::OkStatus();
                                     });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Trouble, AMisdirectedWriteSucceedsAndLandsElsewhere) {
  const absl::Status status =
      OnDisk({.misdirected_writes = {.skip = 2, .calls = 1, .tag = 1}},
             [](io::Env& env, World&, HostId) -> absl::Status {
               ASSIGN_OR_RETURN(const std::unique_ptr<io::File> one,
                                env.disk.Open("one", io::OpenMode::kCreate));
               ASSIGN_OR_RETURN(const std::unique_ptr<io::File> two,
                                env.disk.Open("two", io::OpenMode::kCreate));
               RETURN_IF_ERROR(one->Append(std::string(2048, '1')));
               RETURN_IF_ERROR(two->Append(std::string(2048, '2')));
               RETURN_IF_ERROR(one->Append(std::string(512, 'x')));
               ASSIGN_OR_RETURN(std::string all, io::ReadFile(env.disk, "one"));
               REQUIRE(all.size() == 2560);
               ASSIGN_OR_RETURN(const std::string rest, io::ReadFile(env.disk, "two"));
               REQUIRE(rest.size() == 2048);
               all += rest;
               REQUIRE(std::count(all.begin(), all.end(), 'x') == 512);
               return absl::OkStatus();
             });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(Trouble, ExchangedDisksShowEachProcessTheFilesOfTheOther) {
  World world(Calm());
  const HostId a = world.AddHost("a");
  const HostId b = world.AddHost("b");
  std::vector<std::string> seen;
  const io::Program program = [&](io::Env& env) -> absl::Status {
    const absl::StatusOr<std::string> before = io::ReadFile(env.disk, "who");
    seen.push_back(env.host.name() + " reads " + (before.ok() ? *before : "nothing"));
    RETURN_IF_ERROR(io::ReplaceFile(env.disk, "who", env.host.name()));
    env.Sleep(1h);
    return absl::OkStatus();
  };
  const ProcessId one = world.Start(a, program, {.name = "one"});
  const ProcessId two = world.Start(b, program, {.name = "two"});
  world.RunFor(1s);
  world.PowerOff(a);
  world.PowerOff(b);
  world.RunFor(1s);
  world.SwapDisks(a, b);
  world.PowerOn(a, DiskFate::kKept);
  world.PowerOn(b, DiskFate::kKept);
  world.Restart(one);
  world.Restart(two);
  world.RunFor(1s);
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(seen, (std::vector<std::string>{"a reads b", "a reads nothing", "b reads a",
                                            "b reads nothing"}));
}

// -------------------------------------------------------------------------------------------------
// probes and scopes

TEST(Trouble, TheHookOfAProbeSeesEveryHitAndMayCutThePowerUnderTheTaskThatHitIt) {
  World world(Calm());
  const HostId host = world.AddHost("host");
  int after = 0;
  const io::Program program = [&](io::Env& env) -> absl::Status {
    for (;;) {
      env.trace.Hit(base::Probe::kPingServerUp, {1});
      ++after;
      env.Sleep(10ms);
    }
  };
  const ProcessId process = world.Start(host, program, {.name = "hitter"});
  uint64_t hits = 0;
  world.OnProbe([&](base::Probe probe, ProcessId where) {
    EXPECT_EQ(probe, base::Probe::kPingServerUp);
    EXPECT_EQ(where, process);
    EXPECT_EQ(world.hits(probe, where), ++hits);
    if (hits == 5) world.PowerOff(host);
  });
  ASSERT_TRUE(world.Run().ok());
  EXPECT_EQ(hits, 5u);
  EXPECT_EQ(after, 4);
}

TEST(Trouble, AScopeIsCancelledByNameAndTheRestOfTheProcessGoesOn) {
  World world(Calm());
  const HostId host = world.AddHost("host");
  int ticks = 0;
  const io::Program program = [&](io::Env& env) -> absl::Status {
    return io::WithScope(env, "ticker", [&](io::Scope& ticker) -> absl::Status {
      RETURN_IF_ERROR(ticker.Spawn("tick", [&] {
        for (;; ++ticks) env.Sleep(10ms);
      }));
      env.Sleep(1s);
      return absl::OkStatus();
    });
  };
  const ProcessId process = world.Start(host, program, {.name = "holder"});
  world.At(105ms, [&] {
    EXPECT_EQ(world.CancelScope(process, "no such"), 0u);
    EXPECT_EQ(world.CancelScope(process, "ticker"), 1u);
    EXPECT_EQ(world.CancelScope(process, "ticker"), 0u);
  });
  ASSERT_TRUE(world.Run().ok());
  EXPECT_TRUE(world.exit_message(process).ok());
  EXPECT_EQ(ticks, 10);
  EXPECT_EQ(world.now(), Duration(1s));
}

}  // namespace
}  // namespace weir::sim
