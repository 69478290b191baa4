// What conformance cannot say of a real disk: who else sees its files, and how it fails.

#include "net/posix_disk.h"

#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/match.h"
#include "engine/base/check.h"
#include "engine/base/status_macros.h"
#include "tests/net/run_real.h"

namespace weir::tests {
namespace {

TEST(PosixDisk, FilesLieBelowTheDataDirectory) {
  const TemporaryDirectory directory;
  const std::string root = directory.path() + "/made/on/the/way";
  const absl::Status status = RunReal(
      [](io::Env& env) -> absl::Status {
        RETURN_IF_ERROR(env.disk.MakeDirectory("a"));
        return io::ReplaceFile(env.disk, "a/file", "content");
      },
      {.data_directory = root});
  ASSERT_TRUE(status.ok()) << status;
  std::ifstream file(root + "/a/file");
  std::string content;
  file >> content;
  EXPECT_EQ(content, "content");
  // The probe of the start has left nothing behind.
  int entries = 0;
  for (const auto& entry : std::filesystem::directory_iterator(root)) {
    EXPECT_EQ(entry.path().filename(), "a");
    ++entries;
  }
  EXPECT_EQ(entries, 1);
}

TEST(PosixDisk, AProcessWithoutADataDirectorySaysSo) {
  absl::Status opened;
  const absl::Status status = net::Run({}, [&](io::Env& env) {
    opened = env.disk.Open("file", io::OpenMode::kCreate).status();
    return absl::OkStatus();
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(opened, absl::FailedPreconditionError("file \"file\": this process was given no data "
                                                  "directory; start it with one"));
}

TEST(PosixDisk, AFailedSyncBreaksTheFile) {
  const TemporaryDirectory directory;
  // The kernel cannot sync a pipe: as good a failure as any.
  ASSERT_EQ(mkfifo((directory.path() + "/pipe").c_str(), 0600), 0);
  absl::Status first, second;
  const absl::Status status = RunReal(
      [&](io::Env& env) -> absl::Status {
        ASSIGN_OR_RETURN(const std::unique_ptr<io::File> file,
                         env.disk.Open("pipe", io::OpenMode::kReadWrite));
        first = file->Sync();
        second = file->Sync();
        return absl::OkStatus();
      },
      {.data_directory = directory.path()});
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(first.code(), absl::StatusCode::kDataLoss) << first;
  EXPECT_EQ(second, absl::DataLossError("file \"pipe\": an earlier sync failed; write the file "
                                        "afresh under another name"));
}

TEST(PosixDisk, LargeWritesAndReadsOnAHelperAreWholeToo) {
  std::string read;
  std::string written(3 << 20, '\0');
  for (size_t i = 0; i < written.size(); ++i) written[i] = static_cast<char>(i * 31 >> 7);
  const absl::Status status = RunReal([&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const std::unique_ptr<io::File> file,
                     env.disk.Open("large", io::OpenMode::kCreate));
    RETURN_IF_ERROR(file->Write(0, written));
    ASSIGN_OR_RETURN(read, io::ReadFile(env.disk, "large"));
    return absl::OkStatus();
  });
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_TRUE(read == written);
}

TEST(PosixDisk, ALockIsFreeWhenItsProcessEnds) {
  const TemporaryDirectory directory;
  absl::Status inside;
  const auto lock_for_ever = [&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(std::unique_ptr<io::FileLock> lock, env.disk.Lock("lock"));
    inside = env.disk.Lock("lock").status();
    return absl::OkStatus();
  };
  for (int life = 0; life < 2; ++life) {
    const absl::Status status = RunReal(lock_for_ever, {.data_directory = directory.path()});
    EXPECT_TRUE(status.ok()) << status;
    EXPECT_EQ(inside, absl::FailedPreconditionError(
                          "file \"lock\": locked by another process; stop that one, or use "
                          "another directory"));
  }
}

}  // namespace
}  // namespace weir::tests
