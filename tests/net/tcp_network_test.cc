// What conformance cannot say of TCP: peers that vanish, names that hang, threads that change.

#include "net/tcp_network.h"

#include <gtest/gtest.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <thread>

#include "absl/strings/match.h"
#include "engine/base/check.h"
#include "engine/base/status_macros.h"
#include "engine/io/scope.h"
#include "net/posix.h"
#include "tests/net/run_real.h"

namespace weir::tests {
namespace {

using namespace std::chrono_literals;

struct Pair {
  std::unique_ptr<io::Stream> client;
  std::unique_ptr<io::Stream> server;
};

absl::StatusOr<Pair> Connect(io::Env& env, base::Duration peer_timeout) {
  ASSIGN_OR_RETURN(
      const std::unique_ptr<io::Listener> listener,
      env.network.Listen({"127.0.0.1", 0}, {.stream = {.peer_timeout = peer_timeout}}));
  Pair pair;
  ASSIGN_OR_RETURN(pair.client, env.network.Connect(listener->address(), env.Deadline(10s),
                                                    {.peer_timeout = peer_timeout}));
  ASSIGN_OR_RETURN(pair.server, listener->Accept(env.Deadline(10s)));
  return pair;
}

// ------------------------------------------------------------------------- peers that vanish

void SetLoopback(bool up) {
  const net::Fd socket_of_this_network(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request = {};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = static_cast<short>(up ? IFF_UP | IFF_RUNNING : 0);
  CHECK_EQ(ioctl(socket_of_this_network.get(), SIOCSIFFLAGS, &request), 0);
}

// Runs `program` on a thread in a network of its own. False: not allowed here.
bool RunInOwnNetwork(const io::Program& program) {
  bool allowed = false;
  absl::Status status;
  std::thread([&] {
    allowed = unshare(CLONE_NEWNET) == 0;
    if (!allowed) return;
    SetLoopback(true);
    status = RunReal(program);
  }).join();
  EXPECT_TRUE(status.ok()) << status;
  return allowed;
}

constexpr char kNotAllowed[] = "needs the right to make a network namespace";

TEST(TcpNetwork, ASilentPeerIsFoundWhileBytesAreUnderWay) {
  absl::Status read, written;
  base::Duration took{};
  if (!RunInOwnNetwork([&](io::Env& env) -> absl::Status {
        ASSIGN_OR_RETURN(const Pair pair, Connect(env, 1s));
        SetLoopback(false);  // from now on every packet is lost and nobody is told
        const base::Monotonic start = env.clock.Now();
        written = pair.client->Write("anybody there?", env.Deadline(20s));
        char byte = 0;
        read = pair.client->Read(absl::MakeSpan(&byte, 1), env.Deadline(20s)).status();
        took = env.clock.Now() - start;
        return absl::OkStatus();
      })) {
    GTEST_SKIP() << kNotAllowed;
  }
  EXPECT_TRUE(written.ok()) << written;
  EXPECT_EQ(read.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::EndsWith(read.message(), ": no sign of life for 1.000000s")) << read;
  EXPECT_GE(took, 1s);
  EXPECT_LT(took, 5s);
}

TEST(TcpNetwork, ASilentPeerIsFoundWhileNothingIsUnderWay) {
  absl::Status read;
  base::Duration took{};
  if (!RunInOwnNetwork([&](io::Env& env) -> absl::Status {
        ASSIGN_OR_RETURN(const Pair pair, Connect(env, 2s));
        SetLoopback(false);
        const base::Monotonic start = env.clock.Now();
        char byte = 0;
        read = pair.server->Read(absl::MakeSpan(&byte, 1), env.Deadline(20s)).status();
        took = env.clock.Now() - start;
        return absl::OkStatus();
      })) {
    GTEST_SKIP() << kNotAllowed;
  }
  EXPECT_EQ(read.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::EndsWith(read.message(), ": no sign of life for 2.000000s")) << read;
  EXPECT_GE(took, 1s);
  EXPECT_LT(took, 10s);
}

TEST(TcpNetwork, APeerThatDoesNotReadForLongIsNotTakenForDead) {
  constexpr size_t kBytes = 32 << 20;  // more than both kernels buffer
  size_t read = 0;
  absl::Status written;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const Pair pair, Connect(env, 1s));
    return io::WithScope(env, "scope", [&](io::Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("writes", [&] {
        written = pair.client->Write(std::string(kBytes, 'x'), env.Deadline(60s));
      }));
      env.Sleep(3500ms);  // the window is shut all this time
      std::vector<char> buffer(1 << 20);
      while (read < kBytes) {
        ASSIGN_OR_RETURN(const size_t got,
                         pair.server->Read(absl::MakeSpan(buffer), env.Deadline(20s)));
        if (got == 0) break;
        read += got;
      }
      scope.Join();
      return absl::OkStatus();
    });
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(written.ok()) << written;
  EXPECT_EQ(read, kBytes);
}

TEST(TcpNetwork, APeerThatVanishesBehindAShutWindowIsFound) {
  absl::Status written;
  base::Duration took{};
  if (!RunInOwnNetwork([&](io::Env& env) -> absl::Status {
        ASSIGN_OR_RETURN(const Pair pair, Connect(env, 1s));
        return io::WithScope(env, "scope", [&](io::Scope& scope) -> absl::Status {
          base::Monotonic start{};
          RETURN_IF_ERROR(scope.Spawn("writes", [&] {
            written = pair.client->Write(std::string(64 << 20, 'x'), env.Deadline(30s));
            took = env.clock.Now() - start;
          }));
          env.Sleep(200ms);  // now the window is shut
          SetLoopback(false);
          start = env.clock.Now();
          scope.Join();
          return absl::OkStatus();
        });
      })) {
    GTEST_SKIP() << kNotAllowed;
  }
  EXPECT_EQ(written.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::EndsWith(written.message(), ": no sign of life for 1.000000s")) << written;
  EXPECT_GE(took, 500ms);  // its last sign of life came before
  EXPECT_LT(took, 20s);
}

TEST(TcpNetwork, AnIdleConnectionOutlivesItsPeerTimeout) {
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const Pair pair, Connect(env, 1s));
    char byte = 0;
    const absl::Status waited =
        pair.server->Read(absl::MakeSpan(&byte, 1), env.Deadline(3s)).status();
    CHECK(absl::IsDeadlineExceeded(waited)) << waited;
    RETURN_IF_ERROR(pair.client->Write("x", env.Deadline(5s)));
    return pair.server->Read(absl::MakeSpan(&byte, 1), env.Deadline(5s)).status();
  });
  EXPECT_TRUE(status.ok()) << status;
}

TEST(TcpNetwork, AResetIsNoCleanEndEvenIfAWriteNoticedItFirst) {
  absl::Status read;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(Pair pair, Connect(env, 30s));
    pair.server->Abort();
    while (pair.client->Write("x", env.Deadline(5s)).ok()) env.Sleep(1ms);
    char byte = 0;
    read = pair.client->Read(absl::MakeSpan(&byte, 1), env.Deadline(5s)).status();
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(read.code(), absl::StatusCode::kUnavailable) << read;
}

TEST(TcpNetwork, AWriterThatIsCancelledInTheMiddleBreaksItsStream) {
  absl::Status next;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const Pair pair, Connect(env, 30s));
    RETURN_IF_ERROR(io::WithScope(env, "scope", [&](io::Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("writes", [&] {
        pair.client->Write(std::string(64 << 20, 'x'), base::kForever).IgnoreError();
      }));
      env.Sleep(20ms);
      return absl::OkStatus();
    }));
    next = pair.client->Write("the next message", env.Deadline(5s));
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(next.code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(absl::EndsWith(next.message(), ": a write was cut off in the middle")) << next;
}

// -------------------------------------------------------------------------------- executors

TEST(TcpNetwork, AStreamMayEndOnAnotherExecutorThanItsOwn) {
  constexpr int kRounds = 50;
  int ends = 0;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const io::Executor slot, env.tasks.AddExecutor({.name = "slot 0"}));
    for (int round = 0; round < kRounds; ++round) {
      ASSIGN_OR_RETURN(Pair pair, Connect(env, 30s));
      io::Scope scope(env.tasks, "scope", slot);
      RETURN_IF_ERROR(
          scope.Spawn("uses", [&] { CHECK_OK(pair.server->Write("hello", env.Deadline(10s))); }));
      scope.Join();
      pair.server = nullptr;  // here, although it belongs to the slot
      char buffer[16];
      for (;;) {
        ASSIGN_OR_RETURN(const size_t got,
                         pair.client->Read(absl::MakeSpan(buffer), env.Deadline(10s)));
        if (got == 0) break;
      }
      ++ends;
    }
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(ends, kRounds);
}

TEST(TcpNetwork, AStreamUsedByTwoExecutorsIsABug) {
  const io::Program program = [](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const io::Executor slot, env.tasks.AddExecutor({.name = "slot 0"}));
    ASSIGN_OR_RETURN(const Pair pair, Connect(env, 30s));
    RETURN_IF_ERROR(pair.server->Write("hello", env.Deadline(10s)));
    io::Scope scope(env.tasks, "scope", slot);
    RETURN_IF_ERROR(scope.Spawn(
        "meddles", [&] { pair.server->Write("world", env.Deadline(10s)).IgnoreError(); }));
    scope.Join();
    return absl::OkStatus();
  };
  EXPECT_DEATH(RunWithoutDisk(program).IgnoreError(),
               "a connection of executor \"control\" is used on \"slot 0\"");
}

// ------------------------------------------------------------------------------------- names

std::atomic<bool> name_server_answers{false};

absl::StatusOr<std::vector<std::string>> SlowLookup(const std::string&) {
  name_server_answers.wait(false);
  return std::vector<std::string>{"127.0.0.1"};
}

TEST(TcpNetwork, ANameThatHangsKeepsNobodyWaitingBeyondTheDeadline) {
  name_server_answers = false;
  absl::Status resolved, connected;
  base::Duration took{};
  int beats = 0;
  absl::Status cancelled;
  {
    const auto tasks = net::RealTasks::Make(base::Config());
    ASSERT_TRUE(tasks.ok()) << tasks.status();
    net::TcpNetwork network(**tasks);
    network.set_lookup(&SlowLookup);
    cancelled = (*tasks)->Run("names", [&] {
      io::TaskGroup* const group = (*tasks)->OpenGroup("beats", io::kHere);
      CHECK_OK((*tasks)->Spawn(group, {.name = "beats"}, [&] {
        for (;; ++beats) (*tasks)->Park(net::MonotonicNow() + 1ms, {"the next beat"});
      }));
      const base::Monotonic start = net::MonotonicNow();
      resolved = network.Resolve("slow.example", start + 50ms).status();
      connected = network.Connect({"slow.example", 1}, start + 100ms).status();
      took = net::MonotonicNow() - start;
      (*tasks)->CancelGroup(group);
      (*tasks)->JoinGroup(group, base::kForever);
      (*tasks)->CloseGroup(group);
    });
  }  // the world ends although two lookups hang
  name_server_answers = true;
  name_server_answers.notify_all();
  EXPECT_TRUE(cancelled.ok()) << cancelled;
  EXPECT_EQ(resolved, absl::DeadlineExceededError("name \"slow.example\": no answer within the "
                                                  "deadline; check the name server"));
  EXPECT_EQ(connected.code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_GE(took, 100ms);
  EXPECT_LT(took, 2s);
  EXPECT_GT(beats, 5);
}

absl::StatusOr<std::vector<std::string>> TwoAddresses(const std::string&) {
  return std::vector<std::string>{"127.0.0.2", "127.0.0.1"};
}

TEST(TcpNetwork, TheAddressesOfANameAreTriedInOrder) {
  std::string peer;
  const auto tasks = net::RealTasks::Make(base::Config());
  ASSERT_TRUE(tasks.ok()) << tasks.status();
  net::TcpNetwork network(**tasks);
  network.set_lookup(&TwoAddresses);
  const absl::Status status = (*tasks)->Run("names", [&] {
    const auto listener = network.Listen(io::Address{"127.0.0.1", 0});
    CHECK_OK(listener.status());
    const auto stream = network.Connect(io::Address{"two.example", (*listener)->address().port},
                                        net::MonotonicNow() + 10s);
    CHECK_OK(stream.status());
    peer = (*stream)->peer().host;
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(peer, "127.0.0.1");  // nobody listens at the first
}

}  // namespace
}  // namespace weir::tests
