#include "tests/net/net_programs.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "engine/base/check.h"
#include "engine/base/status_macros.h"
#include "engine/io/scope.h"
#include "net/real_world.h"
#include "tests/programs.h"

namespace weir::tests {
namespace {

using namespace std::chrono_literals;

// Leaves room for `more` descriptors beyond those in use.
void LimitDescriptors(int more) {
  const int next = dup(STDOUT_FILENO);
  CHECK_GE(next, 0);
  close(next);
  const rlimit limit = {static_cast<rlim_t>(next + more), static_cast<rlim_t>(next + more)};
  CHECK_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

void Say(io::Env& env, std::string_view what, const absl::Status& status) {
  env.console.Out(
      absl::StrFormat("%s: %s\n", absl::string_view(what.data(), what.size()), status.ToString()));
}

absl::Status WaitForEver(io::Env& env) {
  for (;;) env.tasks.Park(base::kForever, {"the end"});
}

}  // namespace

absl::Status NetDescriptors(io::Env& env) {
  ASSIGN_OR_RETURN(const std::unique_ptr<io::Listener> listener,
                   env.network.Listen({"127.0.0.1", 0}));
  LimitDescriptors(8);
  std::vector<std::unique_ptr<io::Stream>> clients, served;
  // Six at this end wait to be accepted; two can be.
  for (int i = 0; i < 6; ++i) {
    ASSIGN_OR_RETURN(clients.emplace_back(),
                     env.network.Connect(listener->address(), env.Deadline(5s)));
  }
  for (int i = 0; i < 2; ++i) {
    ASSIGN_OR_RETURN(served.emplace_back(), listener->Accept(env.Deadline(5s)));
  }
  Say(env, "connect", env.network.Connect(listener->address(), env.Deadline(5s)).status());
  Say(env, "open", env.disk.Open("file", io::OpenMode::kCreate).status());
  Say(env, "spawn", env.processes.Spawn({.program = {}}).status());
  // Whoever tries again at once is slowed down and not sent round and round.
  int refusals = 0;
  const base::Monotonic until = env.Deadline(300ms);
  absl::Status refused;
  while (env.clock.Now() < until) {
    refused = listener->Accept(until).status();
    if (absl::IsResourceExhausted(refused)) ++refusals;
  }
  env.console.Out(refusals >= 2 && refusals <= 20
                      ? "accept was refused a few times\n"
                      : absl::StrFormat("accept was refused %d times\n", refusals));
  // The listener is none the worse for it.
  served.clear();
  Say(env, "accept", listener->Accept(env.Deadline(5s)).status());
  return absl::OkStatus();
}

absl::Status NetNoDescriptors(io::Env& env) {
  LimitDescriptors(0);
  absl::Status status;
  std::thread([&] { status = net::Run({}, [](io::Env&) { return absl::OkStatus(); }); }).join();
  Say(env, "run", status);
  return absl::OkStatus();
}

absl::Status NetFileSize(io::Env& env) {
  const rlimit limit = {64 << 10, 64 << 10};
  CHECK_EQ(setrlimit(RLIMIT_FSIZE, &limit), 0);
  ASSIGN_OR_RETURN(const std::unique_ptr<io::File> file,
                   env.disk.Open("large", io::OpenMode::kCreate));
  RETURN_IF_ERROR(file->Append(std::string(60 << 10, 'a')));
  RETURN_IF_ERROR(file->Sync());
  Say(env, "append", file->Append(std::string(60 << 10, 'b')));
  ASSIGN_OR_RETURN(const std::string bytes, io::ReadFile(env.disk, "large"));
  env.console.Out(bytes.substr(0, 60 << 10) == std::string(60 << 10, 'a') ? "nothing lost\n"
                                                                          : "lost\n");
  return absl::OkStatus();
}

absl::Status NetNeverEnds(io::Env& env) {
  ASSIGN_OR_RETURN(const io::Executor slot, env.tasks.AddExecutor({.name = "slot 7"}));
  // On the heap, so that this may return while its task runs.
  auto* const scope = new io::Scope(env.tasks, "stuck", slot);
  RETURN_IF_ERROR(scope->Spawn("counts sheep", [] {
    for (;;) std::this_thread::sleep_for(1ms);
  }));
  auto* const patient = new io::Scope(env.tasks, "patient");
  return patient->Spawn("waits", [&env] { WaitForEver(env).IgnoreError(); });
}

absl::Status NetInterrupted(io::Env& env) {
  env.console.Out("ready\n");
  if (env.signals.WaitForTermination(base::kForever) == io::Wake::kUnparked) {
    env.console.Out("asked\n");
  }
  return WaitForEver(env);
}

absl::Status NetParent(io::Env& env) {
  ASSIGN_OR_RETURN(const base::Hash128 self, env.processes.Self());
  ASSIGN_OR_RETURN(
      const std::unique_ptr<io::Child> child,
      env.processes.Spawn(
          {.program = self, .arguments = ProgramArguments("net_leased"), .capture_output = true}));
  char ready = 0;
  ASSIGN_OR_RETURN(const size_t got, child->ReadOutput(absl::MakeSpan(&ready, 1), base::kForever));
  CHECK_EQ(got, 1u);
  env.console.Out(absl::StrFormat("%d\n", child->id().value()));
  return WaitForEver(env);
}

absl::Status NetLeased(io::Env& env) {
  CHECK_EQ(prctl(PR_SET_PDEATHSIG, 0), 0);
  env.console.Out("r");
  return WaitForEver(env);
}

absl::Status NetInherited(io::Env& env) {
  for (const std::string& argument : env.processes.arguments()) {
    int fd = -1;
    if (!absl::SimpleAtoi(argument, &fd)) continue;
    env.console.Out(absl::StrFormat("%d is %s\n", fd, fcntl(fd, F_GETFD) < 0 ? "shut" : "open"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Ended> RunProgram(io::Env& env, std::string_view name,
                                 std::vector<std::string> arguments) {
  ASSIGN_OR_RETURN(const base::Hash128 shell, env.processes.Install("/bin/sh"));
  std::vector<std::string> all = {"-c", "exec \"$0\" \"$@\" 2>&1",
                                  std::filesystem::read_symlink("/proc/self/exe").string()};
  for (std::string& argument : ProgramArguments(name, std::move(arguments))) {
    all.push_back(std::move(argument));
  }
  ASSIGN_OR_RETURN(
      const std::unique_ptr<io::Child> child,
      env.processes.Spawn({.program = shell, .arguments = all, .capture_output = true}));
  Ended ended;
  char buffer[4096];
  for (;;) {
    ASSIGN_OR_RETURN(const size_t got,
                     child->ReadOutput(absl::MakeSpan(buffer), env.Deadline(60s)));
    if (got == 0) break;
    ended.output.append(buffer, got);
  }
  ASSIGN_OR_RETURN(ended.exit, child->Wait(env.Deadline(60s)));
  return ended;
}

}  // namespace weir::tests
