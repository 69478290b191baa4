// Bad input to the real world: each gives one clear line with the thing, the value, the limit and
// the remedy; nothing hangs, and what was there before is still there. The words are golden: people
// search for them.

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "engine/base/check.h"
#include "engine/base/status_macros.h"
#include "tests/net/net_programs.h"
#include "tests/net/run_real.h"

namespace weir::tests {
namespace {

using namespace std::chrono_literals;

absl::Status Nothing(io::Env&) { return absl::OkStatus(); }

TEST(NetBadInput, APortInUse) {
  absl::Status refused;
  std::string at;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const auto listener, env.network.Listen({"127.0.0.1", 0}));
    at = listener->address().ToString();
    refused = env.network.Listen(listener->address()).status();
    return absl::OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(refused, absl::AlreadyExistsError("listen at " + at +
                                              ": the port is in use; stop the process that holds "
                                              "it, or choose another port (0: any free one)"));
}

TEST(NetBadInput, AnAddressOfAnotherHost) {
  absl::Status refused;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    refused = env.network.Listen({"192.0.2.1", 8081}).status();
    return absl::OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(refused, absl::InvalidArgumentError(
                         "listen at 192.0.2.1:8081: no interface of this host has this address; "
                         "choose one that has, or 0.0.0.0"));
}

TEST(NetBadInput, NobodyListens) {
  absl::Status refused;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    refused = env.network.Connect({"127.0.0.1", 1}, env.Deadline(10s)).status();
    return absl::OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(refused,
            absl::UnavailableError("connect to 127.0.0.1:1: refused; nothing listens there"));
}

TEST(NetBadInput, AnUnresolvableName) {
  absl::Status connect, resolve, listen, empty;
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    connect = env.network.Connect({"nobody.invalid", 80}, env.Deadline(10s)).status();
    resolve = env.network.Resolve("nobody.invalid", env.Deadline(10s)).status();
    listen = env.network.Listen({"nobody.invalid", 80}).status();
    empty = env.network.Resolve("", env.Deadline(10s)).status();
    return absl::OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status;
  const absl::Status unknown = absl::NotFoundError(
      "name \"nobody.invalid\": nobody knows it; check the spelling, /etc/hosts and the name "
      "server");
  EXPECT_EQ(connect, unknown);
  EXPECT_EQ(resolve, unknown);
  EXPECT_EQ(listen, unknown);
  EXPECT_EQ(empty, absl::InvalidArgumentError("name \"\": is empty or holds a zero byte; write a "
                                              "host name or an address, such as 127.0.0.1"));
}

// ------------------------------------------------------------------------------- directories

TEST(NetBadInput, ADataDirectoryThatIsAFile) {
  EXPECT_EQ(RunReal(Nothing, {.data_directory = "/etc/passwd"}),
            absl::InvalidArgumentError(
                "data directory \"/etc/passwd\": cannot open it: Not a directory; give a "
                "directory on a disk with space that this user may write"));
  EXPECT_EQ(RunReal(Nothing, {.data_directory = "/etc/passwd/below"}),
            absl::InvalidArgumentError(
                "data directory \"/etc/passwd/below\": cannot make it: Not a directory; give a "
                "directory on a disk with space that this user may write"));
}

// A small disk of its own, for root only.
class SmallDisk {
 public:
  explicit SmallDisk(const char* options)
      : mounted_(mount("none", directory_.path().c_str(), "tmpfs", 0, options) == 0) {}
  ~SmallDisk() {
    if (mounted_) umount2(directory_.path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  const std::string& path() const { return directory_.path(); }

 private:
  const TemporaryDirectory directory_;
  const bool mounted_;
};

TEST(NetBadInput, AnUnwritableDataDirectory) {
  const SmallDisk disk("size=64k");
  if (!disk.mounted() && geteuid() != 0) {
    // Without the right to mount, a directory that nobody may write will do.
    const TemporaryDirectory locked;
    ASSERT_EQ(chmod(locked.path().c_str(), 0555), 0);
    const absl::Status status = RunReal(Nothing, {.data_directory = locked.path() + "/weir"});
    EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied) << status;
    return;
  }
  ASSERT_TRUE(disk.mounted());
  ASSERT_EQ(mount("none", disk.path().c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr), 0);
  EXPECT_EQ(RunReal(Nothing, {.data_directory = disk.path()}),
            absl::PermissionDeniedError(
                "data directory \"" + disk.path() +
                "\": cannot write to it: Read-only file "
                "system; give a directory on a disk with space that this user may write"));
}

TEST(NetBadInput, AFullDataDirectory) {
  const SmallDisk disk("size=64k");
  if (!disk.mounted()) GTEST_SKIP() << "needs the right to mount";
  absl::Status refused, synced, replaced;
  std::string kept;
  const absl::Status status = RunReal(
      [&](io::Env& env) -> absl::Status {
        RETURN_IF_ERROR(io::ReplaceFile(env.disk, "state", "precious"));
        ASSIGN_OR_RETURN(const auto file, env.disk.Open("log", io::OpenMode::kCreate));
        while (refused.ok()) refused = file->Append(std::string(1'000, 'x'));
        synced = file->Sync();
        // A replacement that fails leaves what it should have replaced.
        replaced = io::ReplaceFile(env.disk, "state", std::string(10'000, 'y'));
        ASSIGN_OR_RETURN(kept, io::ReadFile(env.disk, "state"));
        return absl::OkStatus();
      },
      {.data_directory = disk.path()});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(refused, absl::ResourceExhaustedError(
                         "file \"log\": no space left on the disk (0 of 65536 bytes free); free "
                         "some, or use another disk"));
  EXPECT_TRUE(synced.ok()) << synced;
  EXPECT_EQ(replaced.code(), absl::StatusCode::kResourceExhausted) << replaced;
  EXPECT_EQ(kept, "precious");
  // And one that is full at the start is named at the start.
  EXPECT_EQ(RunReal(Nothing, {.data_directory = disk.path()}),
            absl::ResourceExhaustedError(
                "data directory \"" + disk.path() +
                "\": cannot write to it: No space left on "
                "device; give a directory on a disk with space that this user may write"));
}

// ------------------------------------------------------------------------------------ limits

absl::StatusOr<Ended> RunOne(std::string_view name) {
  absl::StatusOr<Ended> ended = absl::InternalError("not run");
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    ended = RunProgram(env, name);
    return absl::OkStatus();
  });
  return status.ok() ? std::move(ended) : status;
}

// Numbers of descriptors and ports differ from run to run.
std::string WithoutNumbers(absl::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c < '0' || c > '9') {
      out += c;
    } else if (out.empty() || out.back() != '#') {
      out += '#';
    }
  }
  return out;
}

// UndefinedBehaviorSanitizer looks at memory through a pipe and sees bugs everywhere if it gets
// none.
#if defined(__has_feature)
#if __has_feature(undefined_behavior_sanitizer)
#define WEIR_SANITIZER_NEEDS_DESCRIPTORS 1
#endif
#endif
#if defined(WEIR_SANITIZER_NEEDS_DESCRIPTORS)
constexpr bool kSanitizerNeedsDescriptors = true;
#else
constexpr bool kSanitizerNeedsDescriptors = false;
#endif

TEST(NetBadInput, OutOfDescriptors) {
  if (kSanitizerNeedsDescriptors) GTEST_SKIP() << "the sanitizer needs descriptors of its own";
  const absl::StatusOr<Ended> ended = RunOne("net_descriptors");
  ASSERT_TRUE(ended.ok()) << ended.status();
  const std::vector<std::string> lines =
      absl::StrSplit(WithoutNumbers(ended->output), '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), 5u) << ended->output;
  const std::string used_up = "file descriptors: # in use, limit #; raise `ulimit -n`";
  EXPECT_EQ(lines[0], "connect: RESOURCE_EXHAUSTED: connect to #.#.#.#:#: " + used_up);
  EXPECT_EQ(lines[1], "open: RESOURCE_EXHAUSTED: file \"file\": " + used_up);
  EXPECT_EQ(lines[2], "spawn: RESOURCE_EXHAUSTED: " + used_up);
  EXPECT_EQ(lines[3], "accept was refused a few times");
  EXPECT_EQ(lines[4], "accept: OK");
  EXPECT_TRUE(ended->exit.ok()) << ended->exit.ToString();
}

TEST(NetBadInput, NoDescriptorForAnEventLoop) {
  if (kSanitizerNeedsDescriptors) GTEST_SKIP() << "the sanitizer needs descriptors of its own";
  const absl::StatusOr<Ended> ended = RunOne("net_no_descriptors");
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(WithoutNumbers(ended->output),
            "run: RESOURCE_EXHAUSTED: file descriptors: # in use, limit #; raise `ulimit -n`\n");
}

TEST(NetBadInput, AFileBeyondItsLimit) {
  const absl::StatusOr<Ended> ended = RunOne("net_file_size");
  ASSERT_TRUE(ended.ok()) << ended.status();
  EXPECT_EQ(ended->output,
            "append: RESOURCE_EXHAUSTED: file \"large\": larger than this disk or `ulimit -f` "
            "allows; raise the limit\nnothing lost\n");
  EXPECT_TRUE(ended->exit.ok()) << ended->exit.ToString();
}

}  // namespace
}  // namespace weir::tests
