// The small programs as processes of their own: started, killed with SIGKILL and started again by a
// parent program, over loopback TCP and real disks in the real world, and the same in the
// simulator.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/io/processes.h"
#include "tests/conformance/worlds.h"
#include "tests/programs.h"

namespace weir::tests {
namespace {

using namespace std::chrono_literals;

WEIR_CONFORMANCE(SmallPrograms);

constexpr auto kPatience = 30s;

// Free at the moment; whoever takes it in between is our bad luck and makes the test fail with
// kAlreadyExists.
absl::StatusOr<std::vector<std::string>> FreeAddresses(io::Env& env, int count) {
  std::vector<std::unique_ptr<io::Listener>> listeners;
  std::vector<std::string> addresses;
  for (int i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(auto listener, env.network.Listen({"127.0.0.1", 0}));
    addresses.push_back(listener->address().ToString());
    listeners.push_back(std::move(listener));
  }
  return addresses;
}

absl::StatusOr<std::unique_ptr<io::Child>> Start(io::Env& env, std::string_view program,
                                                 std::string directory,
                                                 std::vector<std::string> arguments,
                                                 const std::vector<std::string>& addresses = {}) {
  ASSIGN_OR_RETURN(const base::Hash128 self, env.processes.Self());
  arguments.insert(arguments.end(), addresses.begin(), addresses.end());
  return env.processes.Spawn({.program = self,
                              .arguments = ProgramArguments(program, std::move(arguments)),
                              .directory = std::move(directory),
                              .capture_output = true});
}

// What a child that ends by itself says.
absl::StatusOr<std::string> Finish(io::Env& env, io::Child& child) {
  std::string said;
  char room[200];
  for (;;) {
    ASSIGN_OR_RETURN(const size_t got,
                     child.ReadOutput(absl::MakeSpan(room), env.Deadline(kPatience)));
    if (got == 0) break;
    said.append(room, got);
  }
  ASSIGN_OR_RETURN(const io::ExitStatus exit, child.Wait(env.Deadline(kPatience)));
  return said + exit.ToString();
}

absl::Status KillAndWait(io::Env& env, io::Child& child, Found& found) {
  RETURN_IF_ERROR(child.Kill());
  ASSIGN_OR_RETURN(const io::ExitStatus exit, child.Wait(env.Deadline(kPatience)));
  found.Equal(exit.ToString(), std::string("signal 9"));
  return absl::OkStatus();
}

TEST_P(SmallPrograms, PingPongGoesOnWhenItsServerIsKilledAndStartedAgain) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const std::vector<std::string> at, FreeAddresses(env, 1));
    ASSIGN_OR_RETURN(auto server, Start(env, "ping_pong", "server", {"server", at[0]}));
    std::vector<std::unique_ptr<io::Child>> clients;
    for (const std::string number : {"1", "2", "3"}) {
      ASSIGN_OR_RETURN(auto client, Start(env, "ping_pong", "client" + number,
                                          {"client", at[0], number, "3000"}));
      clients.push_back(std::move(client));
    }
    for (int i = 0; i < 2; ++i) {
      env.Sleep(20ms);
      RETURN_IF_ERROR(KillAndWait(env, *server, found));
      ASSIGN_OR_RETURN(server, Start(env, "ping_pong", "server", {"server", at[0]}));
    }
    for (size_t i = 0; i < clients.size(); ++i) {
      ASSIGN_OR_RETURN(const std::string said, Finish(env, *clients[i]));
      found.True(said.starts_with(absl::StrFormat("client %d rounds=3000 connections=", i + 1)),
                 said);
      found.True(said.ends_with("\nexit 0"), said);
    }
    RETURN_IF_ERROR(server->Terminate());
    ASSIGN_OR_RETURN(const std::string said, Finish(env, *server));
    found.Equal(said, std::string("exit 0"));
    return absl::OkStatus();
  });
}

TEST_P(SmallPrograms, TheReplicatedLogKeepsWhatItAcknowledgedThroughKillsOfEveryReplica) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const std::vector<std::string> at, FreeAddresses(env, 3));
    std::vector<std::unique_ptr<io::Child>> replicas(3);
    const auto start = [&](size_t i) -> absl::Status {
      const std::string number = std::to_string(i + 1);
      ASSIGN_OR_RETURN(replicas[i],
                       Start(env, "replicated_log", "replica" + number, {"replica", number}, at));
      return absl::OkStatus();
    };
    for (size_t i = 0; i < 3; ++i) RETURN_IF_ERROR(start(i));
    std::vector<std::unique_ptr<io::Child>> clients;
    for (const std::string number : {"1", "2"}) {
      ASSIGN_OR_RETURN(auto client, Start(env, "replicated_log", "client" + number,
                                          {"client", number, "60"}, at));
      clients.push_back(std::move(client));
    }
    // One after the other, so the leader too; each comes back with its disk.
    for (size_t i = 0; i < 3; ++i) {
      env.Sleep(500ms);
      RETURN_IF_ERROR(KillAndWait(env, *replicas[i], found));
      env.Sleep(50ms);
      RETURN_IF_ERROR(start(i));
    }
    for (size_t i = 0; i < clients.size(); ++i) {
      ASSIGN_OR_RETURN(const std::string said, Finish(env, *clients[i]));
      found.Equal(said, absl::StrFormat("client %d acknowledged=60 seen=60\nexit 0", i + 1));
    }
    // All at once.
    for (const auto& replica : replicas) RETURN_IF_ERROR(KillAndWait(env, *replica, found));
    for (size_t i = 0; i < 3; ++i) RETURN_IF_ERROR(start(i));
    ASSIGN_OR_RETURN(auto reader,
                     Start(env, "replicated_log", "reader", {"reader", "2", "60"}, at));
    ASSIGN_OR_RETURN(const std::string said, Finish(env, *reader));
    found.Equal(said, std::string("reader clients=2 writes=60\nexit 0"));
    for (const auto& replica : replicas) {
      RETURN_IF_ERROR(replica->Terminate());
      ASSIGN_OR_RETURN(const std::string last, Finish(env, *replica));
      found.Equal(last, std::string("exit 0"));
    }
    return absl::OkStatus();
  });
}

TEST_P(SmallPrograms, AReaderThatMissesWritesSaysSo) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const std::vector<std::string> at, FreeAddresses(env, 3));
    std::vector<std::unique_ptr<io::Child>> replicas;
    for (const std::string number : {"1", "2", "3"}) {
      ASSIGN_OR_RETURN(auto replica,
                       Start(env, "replicated_log", "replica" + number, {"replica", number}, at));
      replicas.push_back(std::move(replica));
    }
    ASSIGN_OR_RETURN(auto client, Start(env, "replicated_log", "client", {"client", "1", "3"}, at));
    ASSIGN_OR_RETURN(const std::string written, Finish(env, *client));
    found.Equal(written, std::string("client 1 acknowledged=3 seen=3\nexit 0"));
    ASSIGN_OR_RETURN(auto reader, Start(env, "replicated_log", "reader", {"reader", "1", "4"}, at));
    ASSIGN_OR_RETURN(const std::string said, Finish(env, *reader));
    found.Equal(said, std::string("exit 1"));
    return absl::OkStatus();
  });
}

TEST_P(SmallPrograms, AFewReplicasAreAsGoodAsThree) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    for (const int count : {1, 2}) {
      ASSIGN_OR_RETURN(const std::vector<std::string> at, FreeAddresses(env, count));
      std::vector<std::unique_ptr<io::Child>> replicas;
      for (int number = 1; number <= count; ++number) {
        ASSIGN_OR_RETURN(auto replica,
                         Start(env, "replicated_log", absl::StrFormat("%d.%d", count, number),
                               {"replica", std::to_string(number)}, at));
        replicas.push_back(std::move(replica));
      }
      ASSIGN_OR_RETURN(auto client,
                       Start(env, "replicated_log", "client", {"client", "1", "5"}, at));
      ASSIGN_OR_RETURN(const std::string said, Finish(env, *client));
      found.Equal(said, std::string("client 1 acknowledged=5 seen=5\nexit 0"));
    }
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace weir::tests
