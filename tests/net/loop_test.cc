// What conformance cannot say of the real world's tasks: threads, processor time, and deaths.

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <thread>

#include "absl/strings/match.h"
#include "engine/base/check.h"
#include "engine/base/status_macros.h"
#include "engine/io/scope.h"
#include "engine/io/sync.h"
#include "tests/net/net_programs.h"
#include "tests/net/run_real.h"

namespace weir::tests {
namespace {

using namespace std::chrono_literals;

// ----------------------------------------------------------------------------------- deaths

int Recurse(int depth) {
  volatile char frame[1024] = {};
  frame[0] = static_cast<char>(depth);
  return depth == 0 ? 0 : Recurse(depth - 1) + frame[0];
}

TEST(NetLoop, AStackOverflowDiesWithTheNameOfTheTask) {
  const io::Program program = [](io::Env& env) {
    return io::WithScope(env, "scope", [&](io::Scope& scope) {
      RETURN_IF_ERROR(scope.Spawn("digs too deep", [] { Recurse(1'000'000); }));
      scope.Join();
      return absl::OkStatus();
    });
  };
  EXPECT_DEATH(RunWithoutDisk(program).IgnoreError(),
               "FATAL stack overflow in task \"digs too deep\": its stack of 64 KiB is used up; "
               "raise io.stack.user");
}

TEST(NetLoop, AFailedCheckNamesExecutorAndTask) {
  const io::Program program = [](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const io::Executor slot, env.tasks.AddExecutor({.name = "slot 3"}));
    io::Scope scope(env.tasks, "scope", slot);
    RETURN_IF_ERROR(scope.Spawn("breaks", [] { CHECK_EQ(1 + 1, 3) << "arithmetic"; }));
    scope.Join();
    return absl::OkStatus();
  };
  EXPECT_DEATH(RunWithoutDisk(program).IgnoreError(),
               "CHECK failed: 1 \\+ 1 == 3 \\(2 vs. 3\\) arithmetic\n"
               "  in process [0-9]+, executor \"slot 3\", task \"breaks\"");
}

TEST(NetLoop, AFailedCheckOnAHelperNamesTheWork) {
  const io::Program program = [](io::Env& env) {
    env.tasks.Offload("counting", [] { CHECK(false) << "miscounted"; });
    return absl::OkStatus();
  };
  EXPECT_DEATH(RunWithoutDisk(program).IgnoreError(), "a helper thread, for \"counting\"");
}

TEST(NetLoop, AnOffloadedExceptionComesBackToTheTask) {
  std::string caught;
  const absl::Status status = RunReal([&](io::Env& env) {
    try {
      env.tasks.Offload("throwing", [] { throw std::runtime_error("from afar"); });
    } catch (const std::exception& error) {
      caught = error.what();
    }
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(caught, "from afar");
}

TEST(slow_NetLoop, AProcessThatDoesNotEndSaysWhoHoldsIt) {
  Ended ended;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(ended, RunProgram(env, "net_never_ends"));
    return absl::OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(ended.exit, (io::ExitStatus{.by_signal = false, .code = 1}));
  EXPECT_TRUE(absl::StrContains(ended.output, "does not end: after 10.000000s there still run"))
      << ended.output;
  EXPECT_TRUE(absl::StrContains(
      ended.output, "executor \"slot 7\": task \"counts sheep\" runs and does not wait\n"))
      << ended.output;
  // The other one cannot end before what was started after it.
  EXPECT_TRUE(absl::StrContains(ended.output,
                                "executor \"control\": task \"waits\" waits for its turn to end"))
      << ended.output;
}

// -------------------------------------------------------------------------------- executors

TEST(NetLoop, ACoreThatIsNotThereIsRefusedByName) {
  const absl::Status status = RunReal([](io::Env& env) {
    return env.tasks.AddExecutor({.name = "slot 0", .core = 1'000}).status();
  });
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(absl::StartsWith(
      status.message(), "executor \"slot 0\": cannot be pinned to core 1000; allowed are cores 0"))
      << status;
}

TEST(NetLoop, ExecutorsAreThreadsAndRunAtTheSameTime) {
  // Two tasks that look at each other without ever waiting: on one thread neither would end.
  std::array<std::atomic<bool>, 2> here{};
  std::array<std::thread::id, 2> threads;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    std::vector<std::unique_ptr<io::Scope>> scopes;
    for (int i = 0; i < 2; ++i) {
      ASSIGN_OR_RETURN(const io::Executor slot,
                       env.tasks.AddExecutor({.name = "slot " + std::to_string(i)}));
      scopes.push_back(std::make_unique<io::Scope>(env.tasks, "scope", slot));
      RETURN_IF_ERROR(scopes.back()->Spawn("task", [&, i] {
        threads[i] = std::this_thread::get_id();
        here[i] = true;
        while (!here[1 - i]) std::this_thread::yield();
      }));
    }
    for (const auto& scope : scopes) scope->Join();
    return absl::OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_NE(threads[0], threads[1]);
  EXPECT_NE(threads[0], std::this_thread::get_id());
}

// A tree of scopes that crosses between three executors at every level. Counts what lives in it.
void Grow(io::Env& env, const std::array<io::Executor, 3>& executors, int depth, int at,
          std::atomic<int>& alive, std::atomic<int>& grown) {
  struct Alive {
    std::atomic<int>& count;
    explicit Alive(std::atomic<int>& counted) : count(counted) { ++count; }
    ~Alive() { --count; }
  } counted(alive);
  ++grown;
  if (depth == 0) {
    for (;;) env.tasks.Park(base::kForever, {"a cancel"});
  }
  io::Scope scope(env.tasks, "branch", executors[at % 3]);
  const auto grow = [&] {
    for (int i = 0; i < 3; ++i) {
      const absl::Status status = scope.Spawn(
          "leaf", [&, i] { Grow(env, executors, depth - 1, at + i + 1, alive, grown); });
      if (!status.ok()) break;  // cancelled on the way
    }
    scope.Join();
  };
  try {
    grow();
  } catch (...) {
    io::NoThrowWaits no_throw(env.tasks);
    scope.Cancel();
    scope.Join();
    throw;
  }
}

TEST(NetLoop, ACancelReachesScopesAcrossExecutorsAtAnyMoment) {
  constexpr int kRounds = 100;
  std::atomic<int> alive{0}, grown{0};
  bool was_alive = false;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    std::array<io::Executor, 3> executors = {io::kControl};
    ASSIGN_OR_RETURN(executors[1], env.tasks.AddExecutor({.name = "slot 0"}));
    ASSIGN_OR_RETURN(executors[2], env.tasks.AddExecutor({.name = "slot 1"}));
    for (int round = 0; round < kRounds; ++round) {
      io::Scope scope(env.tasks, "tree", executors[round % 3]);
      RETURN_IF_ERROR(scope.Spawn("root", [&] { Grow(env, executors, 3, round, alive, grown); }));
      env.Sleep(env.random.Between(base::Duration(0), base::Duration(2ms)));
      was_alive = was_alive || alive > 0;
      scope.Cancel();
      scope.Join();
      CHECK_EQ(alive.load(), 0) << "in round " << round;
    }
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(was_alive);
  EXPECT_GT(grown.load(), kRounds);
}

TEST(NetLoop, ATaskWokenFromManyThreadsMissesNothing) {
  constexpr int kSenders = 3;
  constexpr int kMessages = 20'000;
  int64_t sum = 0;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    io::Mailbox<int> mailbox(env.tasks, "numbers", 16, io::kControl);
    return io::WithScope(env, "senders", [&](io::Scope&) -> absl::Status {
      std::vector<std::unique_ptr<io::Scope>> scopes;
      for (int i = 0; i < kSenders; ++i) {
        ASSIGN_OR_RETURN(const io::Executor slot,
                         env.tasks.AddExecutor({.name = "sender", .may_spin = i % 2 == 0}));
        scopes.push_back(std::make_unique<io::Scope>(env.tasks, "sender", slot));
        RETURN_IF_ERROR(scopes.back()->Spawn("sender", [&] {
          for (int number = 1; number <= kMessages; ++number) {
            CHECK_OK(mailbox.Send(number));
          }
        }));
      }
      for (int i = 0; i < kSenders * kMessages; ++i) {
        ASSIGN_OR_RETURN(const int number, mailbox.Receive(env.Deadline(30s)));
        sum += number;
      }
      for (const auto& scope : scopes) scope->Join();
      return absl::OkStatus();
    });
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(sum, int64_t{kSenders} * kMessages * (kMessages + 1) / 2);
}

// -------------------------------------------------------------------------------- fairness

TEST(NetLoop, ATaskThatOnlyYieldsKeepsNobodyFromTimersAndSockets) {
  bool answered = false;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Listener> listener,
                     env.network.Listen({"127.0.0.1", 0}));
    return io::WithScope(env, "scope", [&](io::Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("yields", [&] {
        for (;;) env.tasks.Yield();
      }));
      RETURN_IF_ERROR(scope.Spawn("accepts", [&] {
        const auto stream = listener->Accept(base::kForever);
        CHECK_OK(stream.status());
        CHECK_OK((*stream)->Write("x", base::kForever));
      }));
      ASSIGN_OR_RETURN(const std::unique_ptr<io::Stream> stream,
                       env.network.Connect(listener->address(), env.Deadline(10s)));
      char byte = 0;
      ASSIGN_OR_RETURN(const size_t got, stream->Read(absl::MakeSpan(&byte, 1), env.Deadline(10s)));
      answered = got == 1;
      env.Sleep(1ms);
      return absl::OkStatus();
    });
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(answered);
}

TEST(NetLoop, AReaderThatAlwaysFindsBytesGivesWay) {
  constexpr int kBytes = 30'000;
  int turns = 0;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Listener> listener,
                     env.network.Listen({"127.0.0.1", 0}));
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Stream> out,
                     env.network.Connect(listener->address(), env.Deadline(10s)));
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Stream> in, listener->Accept(env.Deadline(10s)));
    RETURN_IF_ERROR(out->Write(std::string(kBytes, 'x'), env.Deadline(10s)));
    return io::WithScope(env, "scope", [&](io::Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("sibling", [&] {
        for (;; ++turns) env.tasks.Yield();
      }));
      for (int i = 0; i < kBytes; ++i) {
        char byte = 0;
        ASSIGN_OR_RETURN(const size_t got, in->Read(absl::MakeSpan(&byte, 1), env.Deadline(10s)));
        CHECK_EQ(got, 1u);
      }
      return absl::OkStatus();
    });
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_GT(turns, kBytes / 100);
}

// ---------------------------------------------------------------------------------- idleness

base::Duration ProcessorTime() {
  rusage usage = {};
  CHECK_EQ(getrusage(RUSAGE_SELF, &usage), 0);
  const auto duration = [](const timeval& time) {
    return std::chrono::seconds(time.tv_sec) + std::chrono::microseconds(time.tv_usec);
  };
  return duration(usage.ru_utime) + duration(usage.ru_stime);
}

TEST(NetLoop, AnIdleProcessUsesLessThanAHundredthOfACore) {
  base::Duration used{};
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    // Two slots that may spin, with a task that waits on each.
    std::vector<std::unique_ptr<io::Scope>> scopes;
    for (int i = 0; i < 2; ++i) {
      ASSIGN_OR_RETURN(const io::Executor slot,
                       env.tasks.AddExecutor({.name = "slot", .may_spin = true}));
      scopes.push_back(std::make_unique<io::Scope>(env.tasks, "scope", slot));
      RETURN_IF_ERROR(scopes.back()->Spawn("waits", [&] { env.Sleep(base::Duration(1h)); }));
    }
    env.Sleep(50ms);
    const base::Duration before = ProcessorTime();
    env.Sleep(500ms);
    used = ProcessorTime() - before;
    for (const auto& scope : scopes) {
      scope->Cancel();
      scope->Join();
    }
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_LT(used, 5ms);
}

}  // namespace
}  // namespace weir::tests
