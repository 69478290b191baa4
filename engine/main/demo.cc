#include "engine/main/demo.h"

#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"
#include "engine/io/env.h"
#include "net/real_world.h"
#include "net/temporary_directory.h"
#include "scenarios/ping_pong.h"
#include "scenarios/replicated_log.h"
#include "sim/world.h"

namespace weir::main {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view kRoleFlag = "--program=";
constexpr int kRounds = 1000;
constexpr int kClients = 2;
constexpr int kWrites = 300;
constexpr int kReplicas = 3;

absl::Status Demo(io::Env& env);

// The one program of all processes of the demo: what it does is told by its first argument.
absl::Status Dispatch(io::Env& env) {
  const std::vector<std::string>& words = env.processes.arguments();
  const std::string_view role = words.empty() ? std::string_view() : words.front();
  if (role == "--program=ping_pong") return scenarios::PingPong(env);
  if (role == "--program=replicated_log") return scenarios::ReplicatedLog(env);
  return Demo(env);
}

// A port that was free a moment ago, for a process that is told its address before it starts.
absl::StatusOr<std::string> FreeAddress(io::Env& env) {
  ASSIGN_OR_RETURN(const std::unique_ptr<io::Listener> listener,
                   env.network.Listen({"127.0.0.1", 0}));
  return listener->address().ToString();
}

class Cast {
 public:
  explicit Cast(io::Env& env, base::Hash128 program) : env_(env), program_(program) {}

  absl::StatusOr<std::unique_ptr<io::Child>> Start(std::string_view program,
                                                   std::vector<std::string> words,
                                                   std::string_view directory) {
    io::SpawnOptions options;
    options.program = program_;
    options.arguments = std::move(words);
    options.arguments.insert(options.arguments.begin(), std::string(kRoleFlag).append(program));
    options.directory = directory;
    return env_.processes.Spawn(options);
  }

  // Waits for a child that must end well.
  absl::Status Finish(io::Child& child, std::string_view who) {
    ASSIGN_OR_RETURN(const io::ExitStatus exit, child.Wait(env_.Deadline(120s)));
    if (exit.ok()) return absl::OkStatus();
    return absl::InternalError(absl::StrFormat("%s, process %d: %s", base::Abseil(who),
                                               child.id().value(), exit.ToString()));
  }

  absl::Status Retire(io::Child& child, std::string_view who) {
    RETURN_IF_ERROR(child.Terminate());
    return Finish(child, who);
  }

 private:
  io::Env& env_;
  const base::Hash128 program_;
};

absl::Status PlayPingPong(io::Env& env, Cast& cast) {
  ASSIGN_OR_RETURN(const std::string address, FreeAddress(env));
  ASSIGN_OR_RETURN(const std::unique_ptr<io::Child> server,
                   cast.Start("ping_pong", {"server", address}, "ping"));
  std::vector<std::unique_ptr<io::Child>> clients;
  for (int i = 1; i <= kClients; ++i) {
    ASSIGN_OR_RETURN(
        clients.emplace_back(),
        cast.Start("ping_pong", {"client", address, std::to_string(i), std::to_string(kRounds)},
                   "ping"));
  }
  for (const auto& client : clients) RETURN_IF_ERROR(cast.Finish(*client, "ping_pong client"));
  return cast.Retire(*server, "ping_pong server");
}

absl::Status PlayReplicatedLog(io::Env& env, Cast& cast) {
  std::vector<std::string> addresses;
  for (int i = 0; i < kReplicas; ++i) {
    ASSIGN_OR_RETURN(addresses.emplace_back(), FreeAddress(env));
  }
  const auto with_addresses = [&](std::vector<std::string> words) {
    words.insert(words.end(), addresses.begin(), addresses.end());
    return words;
  };
  std::vector<std::unique_ptr<io::Child>> replicas(kReplicas);
  const auto start = [&](int i) -> absl::Status {
    ASSIGN_OR_RETURN(
        replicas[static_cast<size_t>(i)],
        cast.Start("replicated_log", with_addresses({"replica", std::to_string(i + 1)}),
                   absl::StrFormat("replica%d", i + 1)));
    return absl::OkStatus();
  };
  for (int i = 0; i < kReplicas; ++i) RETURN_IF_ERROR(start(i));
  io::ProcessId killed;
  for (int i = 1; i <= kClients; ++i) {
    ASSIGN_OR_RETURN(
        const std::unique_ptr<io::Child> client,
        cast.Start("replicated_log",
                   with_addresses({"client", std::to_string(i), std::to_string(kWrites)}),
                   "client"));
    if (i == kClients) {
      io::Child& victim = *replicas.front();
      killed = victim.id();
      RETURN_IF_ERROR(victim.Kill());
      ASSIGN_OR_RETURN(const io::ExitStatus exit, victim.Wait(env.Deadline(10s)));
      env.console.Out(absl::StrFormat(
          "replica 1, process %d: killed while a client writes, %s; started again\n",
          killed.value(), exit.ToString()));
      RETURN_IF_ERROR(start(0));
    }
    RETURN_IF_ERROR(cast.Finish(*client, "replicated_log client"));
  }
  ASSIGN_OR_RETURN(
      const std::unique_ptr<io::Child> reader,
      cast.Start("replicated_log",
                 with_addresses({"reader", std::to_string(kClients), std::to_string(kWrites)}),
                 "client"));
  // The reader ends in an error if a write is missing, doubled or out of order.
  RETURN_IF_ERROR(cast.Finish(*reader, "replicated_log reader"));
  for (const auto& replica : replicas) RETURN_IF_ERROR(cast.Retire(*replica, "replica"));
  env.console.Out(absl::StrFormat("records_in=%d committed=%d lost=0 duplicated=0 killed_pid=%d\n",
                                  kClients * kWrites, kClients * kWrites, killed.value()));
  return absl::OkStatus();
}

absl::Status Demo(io::Env& env) {
  ASSIGN_OR_RETURN(const base::Hash128 program, env.processes.Self());
  Cast cast(env, program);
  RETURN_IF_ERROR(PlayPingPong(env, cast));
  return PlayReplicatedLog(env, cast);
}

void Print(std::string_view text) {
  std::fwrite(text.data(), 1, text.size(), stdout);
  std::fflush(stdout);
}

}  // namespace

bool IsDemoRole(const char* argument) {
  return std::string_view(argument).substr(0, kRoleFlag.size()) == kRoleFlag;
}

int RunDemoRole(int argc, char** argv) { return net::Main(argc, argv, Dispatch); }

int RunDemo() {
  const io::Program program = Dispatch;
  Print("--- in a simulated world of seed 1: the same program, virtual time\n");
  {
    sim::WorldOptions options;
    options.seed = 1;
    options.console = Print;
    options.log = Print;
    sim::World world(options);
    const sim::ProcessId process = world.Start(world.AddHost("host"), program, {.name = "demo"});
    absl::Status status = world.Run();
    if (status.ok()) status = world.exit_message(process);
    if (!status.ok()) {
      std::fprintf(stderr, "weir demo: simulated: %s\n", status.ToString().c_str());
      return 1;
    }
    const sim::WorldCounts counts = world.counts();
    Print(absl::StrFormat("virtual time %s, %d events, %d messages, hash %016x\n",
                          base::ToString(world.now()), counts.events, counts.messages,
                          world.hash()));
  }
  Print("--- as real processes over loopback TCP\n");
  const absl::StatusOr<net::TemporaryDirectory> directory =
      net::TemporaryDirectory::Make("weir-demo");
  if (!directory.ok()) {
    std::fprintf(stderr, "weir demo: %s\n", std::string(directory.status().message()).c_str());
    return 1;
  }
  net::RealOptions options;
  options.process_name = "demo";
  options.data_directory = directory->path();
  const absl::Status status = net::Run(options, program);
  if (!status.ok()) {
    std::fprintf(stderr, "weir demo: %s\n", status.ToString().c_str());
    return 1;
  }
  return 0;
}

}  // namespace weir::main
