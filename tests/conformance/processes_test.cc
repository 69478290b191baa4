// The chapter of processes (engine/io/processes.h): real children, and their simulated twins.

#include "engine/io/processes.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/status_macros.h"
#include "engine/io/framing.h"
#include "engine/io/scope.h"
#include "tests/conformance/worlds.h"
#include "tests/programs.h"

namespace weir::tests {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;

WEIR_CONFORMANCE(Processes);

constexpr auto kPatience = 20s;

absl::StatusOr<std::unique_ptr<io::Child>> Spawn(io::Env& env, std::string_view program,
                                                 std::vector<std::string> rest = {},
                                                 bool capture = false) {
  ASSIGN_OR_RETURN(const base::Hash128 self, env.processes.Self());
  return env.processes.Spawn({.program = self,
                              .arguments = ProgramArguments(program, std::move(rest)),
                              .directory = "child",
                              .capture_output = capture});
}

absl::StatusOr<std::string> Exit(io::Env& env, io::Child& child) {
  ASSIGN_OR_RETURN(const io::ExitStatus exit, child.Wait(env.Deadline(kPatience)));
  return exit.ToString();
}

// To the end, or until `until` was said.
absl::StatusOr<std::string> Output(io::Env& env, io::Child& child, std::string_view until = {}) {
  std::string said;
  char room[100];
  for (;;) {
    ASSIGN_OR_RETURN(const size_t got,
                     child.ReadOutput(absl::MakeSpan(room), env.Deadline(kPatience)));
    if (got == 0) return said;
    said.append(room, got);
    if (!until.empty() && said.find(until) != std::string::npos) return said;
  }
}

TEST_P(Processes, AChildRunsAndItsExitIsSeen) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto good, Spawn(env, "child_ok"));
    ASSIGN_OR_RETURN(const auto bad, Spawn(env, "child_fail"));
    found.True(good->id() != bad->id() && good->id() != env.processes.self(), "ids differ");
    ASSIGN_OR_RETURN(const std::string first, Exit(env, *good));
    found.Equal(first, std::string("exit 0"));
    ASSIGN_OR_RETURN(const std::string second, Exit(env, *bad));
    found.Equal(second, std::string("exit 1"));
    // As often as one asks.
    ASSIGN_OR_RETURN(const std::string again, Exit(env, *bad));
    found.Equal(again, std::string("exit 1"));
    return absl::OkStatus();
  });
}

TEST_P(Processes, AChildGetsItsArgumentsAsTheyAre) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    const std::vector<std::string> words = {"two words", "", "--flag=value", "$HOME \"quoted\" \\",
                                            "r\xc3\xa9sum\xc3\xa9"};
    ASSIGN_OR_RETURN(const auto child, Spawn(env, "child_say", words, true));
    ASSIGN_OR_RETURN(const std::string said, Output(env, *child));
    std::string expected = "--program=child_say\n";
    for (const std::string& word : words) expected += word + "\n";
    found.Equal(said, expected);
    ASSIGN_OR_RETURN(const std::string exit, Exit(env, *child));
    found.Equal(exit, std::string("exit 0"));
    return absl::OkStatus();
  });
}

TEST_P(Processes, AProgramIsKnownByItsContentAlone) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const base::Hash128 self, env.processes.Self());
    ASSIGN_OR_RETURN(const base::Hash128 again, env.processes.Self());
    found.Equal(self.ToHex(), again.ToHex());
    base::Hash128 other = self;
    other.low ^= 1;
    found.Error(env.processes.Spawn({.program = other, .directory = "child"}).status(),
                StatusCode::kNotFound, other.ToHex());
    found.Error(env.processes.Install("no/such/program").status(), StatusCode::kNotFound,
                "no/such/program");
    return absl::OkStatus();
  });
}

TEST_P(Processes, ADirectoryOutsideIsRefused) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const base::Hash128 self, env.processes.Self());
    const std::vector<std::string> arguments = ProgramArguments("child_ok");
    found.Error(
        env.processes.Spawn({.program = self, .arguments = arguments, .directory = "../out"})
            .status(),
        StatusCode::kInvalidArgument, "../out");
    return absl::OkStatus();
  });
}

TEST_P(Processes, WaitHasADeadline) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto child, Spawn(env, "child_wait"));
    found.Code(child->Wait(env.Deadline(20ms)), StatusCode::kDeadlineExceeded);
    found.Ok(child->Kill());
    ASSIGN_OR_RETURN(const std::string exit, Exit(env, *child));
    found.Equal(exit, std::string("signal 9"));
    return absl::OkStatus();
  });
}

TEST_P(Processes, KillAndTerminateOfOneThatEndedAreFine) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto child, Spawn(env, "child_ok"));
    found.Ok(Exit(env, *child));
    found.Ok(child->Kill());
    found.Ok(child->Terminate());
    ASSIGN_OR_RETURN(const std::string exit, Exit(env, *child));
    found.Equal(exit, std::string("exit 0"));
    return absl::OkStatus();
  });
}

TEST_P(Processes, TerminateIsAnEventForTheChild) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto child, Spawn(env, "child_terminate", {}, true));
    ASSIGN_OR_RETURN(const std::string ready, Output(env, *child, "ready\n"));
    found.Code(child->Wait(env.Deadline(10ms)), StatusCode::kDeadlineExceeded);
    found.Ok(child->Terminate());
    ASSIGN_OR_RETURN(const std::string rest, Output(env, *child));
    found.Equal(ready + rest, std::string("ready\nasked\n"));
    ASSIGN_OR_RETURN(const std::string exit, Exit(env, *child));
    found.Equal(exit, std::string("exit 0"));
    return absl::OkStatus();
  });
}

// What a child's frames say about it.
class Watch {
 public:
  static absl::StatusOr<std::unique_ptr<Watch>> Start(io::Env& env) {
    ASSIGN_OR_RETURN(auto listener, env.network.Listen({"127.0.0.1", 0}));
    return std::unique_ptr<Watch>(new Watch(env, std::move(listener)));
  }
  std::string address() const { return listener_->address().ToString(); }
  absl::Status Accept() {
    ASSIGN_OR_RETURN(auto stream, listener_->Accept(env_.Deadline(kPatience)));
    stream_ = std::make_unique<io::FramedStream>(std::move(stream));
    return absl::OkStatus();
  }
  // OK if a beat comes within `patience`.
  absl::Status Beat(io::Duration patience) {
    return stream_->Read(env_.Deadline(patience)).status();
  }
  // Takes beats until none comes.
  absl::Status UntilSilent(io::Duration patience) {
    absl::Status status;
    while (status.ok()) status = Beat(patience);
    return status;
  }

 private:
  Watch(io::Env& env, std::unique_ptr<io::Listener> listener)
      : env_(env), listener_(std::move(listener)) {}
  io::Env& env_;
  std::unique_ptr<io::Listener> listener_;
  std::unique_ptr<io::FramedStream> stream_;
};

TEST_P(Processes, APausedChildStandsStillAndGoesOn) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto watch, Watch::Start(env));
    ASSIGN_OR_RETURN(const auto child, Spawn(env, "child_heartbeat", {watch->address()}));
    RETURN_IF_ERROR(watch->Accept());
    for (int i = 0; i < 3; ++i) found.Ok(watch->Beat(kPatience));
    found.Ok(child->Pause());
    // Not an end: silence.
    found.Code(watch->UntilSilent(100ms), StatusCode::kDeadlineExceeded);
    found.Ok(child->Resume());
    for (int i = 0; i < 3; ++i) found.Ok(watch->Beat(kPatience));
    found.Ok(child->Pause());
    // A paused one can be killed.
    found.Ok(child->Kill());
    ASSIGN_OR_RETURN(const std::string exit, Exit(env, *child));
    found.Equal(exit, std::string("signal 9"));
    return absl::OkStatus();
  });
}

TEST_P(Processes, AKilledProcessesConnectionsAreClosed) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto watch, Watch::Start(env));
    ASSIGN_OR_RETURN(const auto child, Spawn(env, "child_heartbeat", {watch->address()}));
    RETURN_IF_ERROR(watch->Accept());
    found.Ok(watch->Beat(kPatience));
    found.Ok(child->Kill());
    const absl::Status end = watch->UntilSilent(kPatience);
    found.True(end.code() != StatusCode::kDeadlineExceeded, "the stream ends: " + end.ToString());
    return absl::OkStatus();
  });
}

TEST_P(Processes, AChildDiesWithItsHandle) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto watch, Watch::Start(env));
    ASSIGN_OR_RETURN(auto child, Spawn(env, "child_heartbeat", {watch->address()}));
    RETURN_IF_ERROR(watch->Accept());
    found.Ok(watch->Beat(kPatience));
    child.reset();
    const absl::Status end = watch->UntilSilent(kPatience);
    found.True(end.code() != StatusCode::kDeadlineExceeded, "the stream ends: " + end.ToString());
    return absl::OkStatus();
  });
}

TEST_P(Processes, AGrandchildDiesWithTheChild) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto watch, Watch::Start(env));
    ASSIGN_OR_RETURN(const auto child, Spawn(env, "child_parent", {watch->address()}));
    RETURN_IF_ERROR(watch->Accept());
    found.Ok(watch->Beat(kPatience));
    found.Ok(child->Kill());
    const absl::Status end = watch->UntilSilent(kPatience);
    found.True(end.code() != StatusCode::kDeadlineExceeded, "the stream ends: " + end.ToString());
    return absl::OkStatus();
  });
}

TEST_P(Processes, AWaiterIsWokenByTheExit) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto child, Spawn(env, "child_wait"));
    return io::WithScope(env, "waiter", [&](io::Scope& scope) -> absl::Status {
      std::string exit;
      RETURN_IF_ERROR(scope.Spawn("waiter", [&] { exit = Exit(env, *child).value_or("none"); }));
      env.Sleep(10ms);
      found.Equal(exit, std::string());
      found.Ok(child->Kill());
      scope.Join();
      found.Equal(exit, std::string("signal 9"));
      return absl::OkStatus();
    });
  });
}

TEST_P(Processes, OutputHasADeadlineAndAnEnd) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto child, Spawn(env, "child_terminate", {}, true));
    ASSIGN_OR_RETURN(const std::string ready, Output(env, *child, "ready\n"));
    char byte = 0;
    found.Code(child->ReadOutput(absl::MakeSpan(&byte, 1), env.Deadline(10ms)),
               StatusCode::kDeadlineExceeded);
    found.Ok(child->Kill());
    ASSIGN_OR_RETURN(const std::string rest, Output(env, *child));
    found.Equal(rest, std::string());
    return absl::OkStatus();
  });
}

TEST_P(Processes, ManyChildrenOneAfterTheOtherLeaveNothingBehind) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    for (int i = 0; i < 12; ++i) {
      ASSIGN_OR_RETURN(const auto child, Spawn(env, i % 3 == 0 ? "child_wait" : "child_ok"));
      if (i % 3 == 0) found.Ok(child->Kill());
      if (i % 2 == 0) found.Ok(Exit(env, *child));
    }
    return absl::OkStatus();
  });
}

TEST_P(Processes, EachHasItsOwnDraws) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    std::vector<std::string> draws;
    for (int i = 0; i < 2; ++i) {
      ASSIGN_OR_RETURN(const auto child, Spawn(env, "child_draw", {}, true));
      ASSIGN_OR_RETURN(const std::string said, Output(env, *child));
      draws.push_back(said);
    }
    draws.push_back(std::to_string(env.random.Next()) + "\n");
    found.True(draws[0] != draws[1] && draws[1] != draws[2] && draws[0] != draws[2],
               "all three differ");
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace weir::tests
