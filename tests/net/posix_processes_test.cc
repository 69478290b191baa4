// What conformance cannot say of real processes: what they inherit, and how they die.

#include "net/posix_processes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "engine/base/check.h"
#include "engine/base/status_macros.h"
#include "net/posix.h"
#include "tests/net/net_programs.h"
#include "tests/net/run_real.h"
#include "tests/programs.h"

namespace weir::tests {
namespace {

using namespace std::chrono_literals;

absl::StatusOr<std::unique_ptr<io::Child>> SpawnSelf(io::Env& env, std::string_view name,
                                                     std::vector<std::string> arguments = {}) {
  ASSIGN_OR_RETURN(const base::Hash128 self, env.processes.Self());
  return env.processes.Spawn({.program = self,
                              .arguments = ProgramArguments(name, std::move(arguments)),
                              .capture_output = true});
}

// Reads until the child has printed `count` lines.
absl::StatusOr<std::string> ReadLines(io::Env& env, io::Child& child, int count) {
  std::string text;
  while (count > 0) {
    char byte = 0;
    ASSIGN_OR_RETURN(const size_t got,
                     child.ReadOutput(absl::MakeSpan(&byte, 1), env.Deadline(30s)));
    if (got == 0) return absl::OutOfRangeError("the child printed no more than: " + text);
    text += byte;
    if (byte == '\n') --count;
  }
  return text;
}

TEST(PosixProcesses, AGrandchildEndsByItsLeaseWhenItsParentIsKilled) {
  bool ended = false;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Child> parent, SpawnSelf(env, "net_parent"));
    ASSIGN_OR_RETURN(const std::string line, ReadLines(env, *parent, 1));
    int pid = 0;
    CHECK(absl::SimpleAtoi(line, &pid)) << line;
    const net::Fd grandchild(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
    CHECK(grandchild) << "the grandchild is gone before its parent";
    pollfd watched = {grandchild.get(), POLLIN, 0};
    CHECK_EQ(poll(&watched, 1, 0), 0);
    RETURN_IF_ERROR(parent->Kill());
    ended = poll(&watched, 1, 30'000) == 1;
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_TRUE(ended);
}

TEST(PosixProcesses, AChildInheritsNoDescriptors) {
  // Not close-on-exec, as libraries make them.
  const net::Fd careless(fcntl(STDERR_FILENO, F_DUPFD, 150));
  ASSERT_GE(careless.get(), 150);
  const std::string number = std::to_string(careless.get());
  std::string said;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::Child> child,
                     SpawnSelf(env, "net_inherited", {"2", number}));
    ASSIGN_OR_RETURN(said, ReadLines(env, *child, 2));
    return absl::OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(said, "2 is open\n" + number + " is shut\n");
}

TEST(PosixProcesses, AProgramThatWasReplacedIsNotRun) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/program";
  std::filesystem::copy_file("/bin/true", path);
  absl::Status replaced, missing;
  io::ExitStatus exit;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const base::Hash128 hash, env.processes.Install(path));
    {
      ASSIGN_OR_RETURN(const auto child, env.processes.Spawn({.program = hash}));
      ASSIGN_OR_RETURN(exit, child->Wait(env.Deadline(30s)));
    }
    std::filesystem::remove(path);
    missing = env.processes.Spawn({.program = hash}).status();
    std::filesystem::copy_file("/bin/false", path);
    replaced = env.processes.Spawn({.program = hash}).status();
    return absl::OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(exit.ok()) << exit.ToString();
  EXPECT_EQ(missing, absl::NotFoundError("program \"" + path +
                                         "\": No such file or directory; "
                                         "give the path of an executable"));
  EXPECT_EQ(replaced.code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(absl::StrContains(replaced.message(), "was replaced by")) << replaced;
}

TEST(PosixProcesses, WhatIsNoProgramIsRefused) {
  const TemporaryDirectory directory;
  absl::Status plain, folder, missing;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    RETURN_IF_ERROR(io::ReplaceFile(env.disk, "text", "no program"));
    plain = env.processes.Install("/etc/passwd").status();
    folder = env.processes.Install("/tmp").status();
    missing = env.processes.Install("/no/such/program").status();
    return absl::OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(plain, absl::PermissionDeniedError("program \"/etc/passwd\": Permission denied; give "
                                               "the path of an executable"));
  EXPECT_EQ(folder.code(), absl::StatusCode::kPermissionDenied) << folder;
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound) << missing;
}

TEST(PosixProcesses, NoChildIsLeftBehindNotEvenDead) {
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    for (int i = 0; i < 5; ++i) {
      ASSIGN_OR_RETURN(const auto child, SpawnSelf(env, "net_interrupted"));
      RETURN_IF_ERROR(ReadLines(env, *child, 1).status());
      if (i % 2 == 0) RETURN_IF_ERROR(child->Pause());
    }
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(PosixProcesses, TheSecondInterruptKills) {
  io::ExitStatus exit;
  std::string said;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const auto child, SpawnSelf(env, "net_interrupted"));
    ASSIGN_OR_RETURN(said, ReadLines(env, *child, 1));
    const auto pid = static_cast<pid_t>(child->id().value());
    CHECK_EQ(kill(pid, SIGINT), 0);
    ASSIGN_OR_RETURN(const std::string more, ReadLines(env, *child, 1));
    said += more;
    CHECK_EQ(kill(pid, SIGINT), 0);
    ASSIGN_OR_RETURN(exit, child->Wait(env.Deadline(30s)));
    return absl::OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(said, "ready\nasked\n");
  EXPECT_EQ(exit, (io::ExitStatus{.by_signal = true, .code = SIGINT}));
}

}  // namespace
}  // namespace weir::tests
