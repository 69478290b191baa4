#include "tests/conformance/child_programs.h"

#include <chrono>

#include "engine/base/status_macros.h"
#include "engine/io/framing.h"
#include "tests/programs.h"

namespace weir::tests {

using namespace std::chrono_literals;

absl::Status ChildOk(io::Env&) { return absl::OkStatus(); }

absl::Status ChildFail(io::Env&) {
  return absl::FailedPreconditionError("child_fail fails, as it should");
}

absl::Status ChildWait(io::Env& env) {
  for (;;) env.tasks.Park(base::kForever, {"the end"});
}

absl::Status ChildTerminate(io::Env& env) {
  env.console.Out("ready\n");
  if (env.signals.WaitForTermination(base::kForever) != io::Wake::kUnparked)
    return absl::InternalError("not asked");
  if (!env.signals.termination_requested()) return absl::InternalError("asked and not requested");
  env.console.Out("asked\n");
  return absl::OkStatus();
}

absl::Status ChildSay(io::Env& env) {
  for (const std::string& word : env.processes.arguments()) env.console.Out(word + "\n");
  return absl::OkStatus();
}

absl::Status ChildWrite(io::Env& env) {
  ASSIGN_OR_RETURN(const std::unique_ptr<io::File> file,
                   env.disk.Open("said", io::OpenMode::kOverwrite));
  for (const std::string& word : env.processes.arguments())
    RETURN_IF_ERROR(file->Append(word + "\n"));
  return file->Sync();
}

absl::Status ChildHeartbeat(io::Env& env) {
  ASSIGN_OR_RETURN(const io::Address to, io::Address::Parse(env.processes.arguments().at(1)));
  ASSIGN_OR_RETURN(std::unique_ptr<io::Stream> stream, env.network.Connect(to, env.Deadline(10s)));
  io::FramedStream framed(std::move(stream));
  for (;;) {
    RETURN_IF_ERROR(framed.Write("beat", base::kForever));
    env.Sleep(5ms);
  }
}

absl::Status ChildParent(io::Env& env) {
  ASSIGN_OR_RETURN(const base::Hash128 self, env.processes.Self());
  ASSIGN_OR_RETURN(const std::unique_ptr<io::Child> child,
                   env.processes.Spawn({.program = self,
                                        .arguments = ProgramArguments(
                                            "child_heartbeat", {env.processes.arguments().at(1)}),
                                        .directory = "grandchild"}));
  return ChildWait(env);
}

absl::Status ChildDraw(io::Env& env) {
  const uint64_t draw = env.random.Next();
  env.console.Out(std::to_string(draw) + "\n");
  return absl::OkStatus();
}

}  // namespace weir::tests
