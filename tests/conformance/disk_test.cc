// The chapter of the disk (engine/io/disk.h), in both worlds.

#include "engine/io/disk.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_format.h"
#include "engine/base/hash.h"
#include "engine/base/status_macros.h"
#include "engine/io/scope.h"
#include "tests/conformance/worlds.h"
#include "tests/programs.h"

namespace weir::tests {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;
using io::OpenMode;
using Names = std::vector<std::string>;

WEIR_CONFORMANCE_DECORATED(Disk);

// Makes a file with this content.
absl::Status Put(io::Env& env, std::string_view path, std::string_view bytes) {
  ASSIGN_OR_RETURN(const auto file, env.disk.Open(path, OpenMode::kOverwrite));
  return file->Append(bytes);
}

std::string Text(io::Env& env, std::string_view path) {
  const absl::StatusOr<std::string> text = io::ReadFile(env.disk, path);
  return text.ok() ? *text : text.status().ToString();
}

Names NamesOf(io::Env& env, std::string_view path = "") {
  const absl::StatusOr<Names> names = env.disk.List(path);
  return names.ok() ? *names : Names{names.status().ToString()};
}

TEST_P(Disk, AFileIsWrittenAndRead) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto file, env.disk.Open("file", OpenMode::kCreate));
    found.Ok(file->Write(0, "hello world"));
    found.Ok(file->Write(6, "there"));
    found.Ok(file->Append("!"));
    found.Ok(file->Sync());
    ASSIGN_OR_RETURN(const uint64_t size, file->Size());
    found.Equal(size, uint64_t{12});
    char room[5];
    ASSIGN_OR_RETURN(const size_t got, file->Read(6, absl::MakeSpan(room)));
    found.Equal(std::string(room, got), std::string("there"));
    found.Equal(Text(env, "file"), std::string("hello there!"));
    return absl::OkStatus();
  });
}

TEST_P(Disk, TheFourWaysToOpen) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    found.Error(env.disk.Open("f", OpenMode::kRead).status(), StatusCode::kNotFound, "f");
    found.Error(env.disk.Open("f", OpenMode::kReadWrite).status(), StatusCode::kNotFound, "f");
    found.Ok(env.disk.Open("f", OpenMode::kCreate));
    found.Error(env.disk.Open("f", OpenMode::kCreate).status(), StatusCode::kAlreadyExists, "f");
    RETURN_IF_ERROR(Put(env, "f", "old content"));
    {
      ASSIGN_OR_RETURN(const auto file, env.disk.Open("f", OpenMode::kReadWrite));
      found.Ok(file->Write(0, "OLD"));
      found.Ok(file->Append("."));
    }
    found.Equal(Text(env, "f"), std::string("OLD content."));
    {
      ASSIGN_OR_RETURN(const auto file, env.disk.Open("f", OpenMode::kRead));
      char room[3];
      ASSIGN_OR_RETURN(const size_t got, file->Read(0, absl::MakeSpan(room)));
      found.Equal(std::string(room, got), std::string("OLD"));
      found.True(!file->Append("x").ok(), "no write through a file opened for reading");
    }
    found.Ok(env.disk.Open("f", OpenMode::kOverwrite));
    found.Equal(Text(env, "f"), std::string());
    found.Ok(env.disk.Open("g", OpenMode::kOverwrite));
    found.Equal(NamesOf(env), Names({"f", "g"}));
    return absl::OkStatus();
  });
}

TEST_P(Disk, ReadsEndAtTheEnd) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    RETURN_IF_ERROR(Put(env, "f", "0123456789"));
    ASSIGN_OR_RETURN(const auto file, env.disk.Open("f", OpenMode::kRead));
    char room[8];
    for (const auto& [offset, expected] : std::vector<std::pair<uint64_t, size_t>>{
             {0, 8}, {2, 8}, {3, 7}, {9, 1}, {10, 0}, {11, 0}, {1 << 30, 0}}) {
      ASSIGN_OR_RETURN(const size_t got, file->Read(offset, absl::MakeSpan(room)));
      found.Equal(got, expected);
    }
    ASSIGN_OR_RETURN(const size_t nothing, file->Read(0, absl::Span<char>()));
    found.Equal(nothing, size_t{0});
    return absl::OkStatus();
  });
}

TEST_P(Disk, AWriteBeyondTheEndLeavesZeros) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto file, env.disk.Open("f", OpenMode::kCreate));
    found.Ok(file->Append("ab"));
    found.Ok(file->Write(5, "z"));
    found.Equal(Text(env, "f"), std::string("ab\0\0\0z", 6));
    return absl::OkStatus();
  });
}

TEST_P(Disk, TruncateCutsAndExtends) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const auto file, env.disk.Open("f", OpenMode::kCreate));
    found.Ok(file->Append("0123456789"));
    found.Ok(file->Truncate(4));
    found.Equal(Text(env, "f"), std::string("0123"));
    found.Ok(file->Append("x"));  // at the new end
    found.Equal(Text(env, "f"), std::string("0123x"));
    found.Ok(file->Truncate(7));
    found.Equal(Text(env, "f"), std::string("0123x\0\0", 7));
    found.Ok(file->Sync());
    return absl::OkStatus();
  });
}

TEST_P(Disk, AMegabyteInPiecesComesBack) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    base::Random random(4);
    std::string all;
    ASSIGN_OR_RETURN(const auto file, env.disk.Open("f", OpenMode::kCreate));
    while (all.size() < 1 << 20) {
      const size_t bytes = random.Between(uint64_t{1}, uint64_t{100'000});
      const std::string piece(bytes, static_cast<char>('a' + all.size() % 26));
      RETURN_IF_ERROR(file->Append(piece));
      all += piece;
    }
    found.Ok(file->Sync());
    found.Equal(base::Hash64(Text(env, "f")), base::Hash64(all));
    return absl::OkStatus();
  });
}

TEST_P(Disk, RenameReplacesAFileInOneStep) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    RETURN_IF_ERROR(Put(env, "old", "old"));
    RETURN_IF_ERROR(Put(env, "new", "new"));
    ASSIGN_OR_RETURN(const auto open, env.disk.Open("old", OpenMode::kRead));
    found.Ok(env.disk.Rename("new", "old"));
    found.Ok(env.disk.SyncDirectory(""));
    found.Equal(Text(env, "old"), std::string("new"));
    found.Equal(NamesOf(env), Names({"old"}));
    // Who had the replaced file open still reads it.
    char room[8];
    ASSIGN_OR_RETURN(const size_t got, open->Read(0, absl::MakeSpan(room)));
    found.Equal(std::string(room, got), std::string("old"));
    found.Error(env.disk.Rename("nothing", "x"), StatusCode::kNotFound, "nothing");
    return absl::OkStatus();
  });
}

TEST_P(Disk, RenameMovesBetweenDirectoriesAndMovesDirectories) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    RETURN_IF_ERROR(env.disk.MakeDirectory("a"));
    RETURN_IF_ERROR(env.disk.MakeDirectory("b"));
    RETURN_IF_ERROR(Put(env, "a/f", "f"));
    found.Ok(env.disk.Rename("a/f", "b/g"));
    found.Equal(NamesOf(env, "a"), Names());
    found.Equal(Text(env, "b/g"), std::string("f"));
    found.Ok(env.disk.Rename("b", "c"));
    found.Equal(Text(env, "c/g"), std::string("f"));
    found.Equal(NamesOf(env), Names({"a", "c"}));
    found.Error(env.disk.Rename("c/g", "nowhere/g"), StatusCode::kNotFound, "nowhere");
    return absl::OkStatus();
  });
}

TEST_P(Disk, ALinkIsASecondNameForTheSameFile) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    RETURN_IF_ERROR(Put(env, "one", "text"));
    found.Ok(env.disk.Link("one", "two"));
    {
      ASSIGN_OR_RETURN(const auto file, env.disk.Open("two", OpenMode::kReadWrite));
      found.Ok(file->Append("!"));
    }
    found.Equal(Text(env, "one"), std::string("text!"));
    found.Ok(env.disk.Remove("one"));
    found.Equal(Text(env, "two"), std::string("text!"));
    found.Error(env.disk.Link("nothing", "x"), StatusCode::kNotFound, "nothing");
    RETURN_IF_ERROR(Put(env, "three", ""));
    found.Error(env.disk.Link("two", "three"), StatusCode::kAlreadyExists, "three");
    return absl::OkStatus();
  });
}

TEST_P(Disk, RemoveOfWhatIsNotThereIsFine) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    found.Ok(env.disk.Remove("nothing"));
    found.Ok(env.disk.RemoveDirectory("nothing"));
    found.Ok(env.disk.Remove("nowhere/nothing"));
    RETURN_IF_ERROR(Put(env, "f", "f"));
    ASSIGN_OR_RETURN(const auto open, env.disk.Open("f", OpenMode::kReadWrite));
    found.Ok(env.disk.Remove("f"));
    found.Code(env.disk.Open("f", OpenMode::kRead), StatusCode::kNotFound);
    // An open file lives on without a name.
    found.Ok(open->Append("g"));
    char room[8];
    ASSIGN_OR_RETURN(const size_t got, open->Read(0, absl::MakeSpan(room)));
    found.Equal(std::string(room, got), std::string("fg"));
    return absl::OkStatus();
  });
}

TEST_P(Disk, DirectoriesAreMadeOneByOneAndRemovedWhenEmpty) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    found.Error(env.disk.MakeDirectory("a/b"), StatusCode::kNotFound, "a");
    found.Ok(env.disk.MakeDirectory("a"));
    found.Ok(env.disk.MakeDirectory("a"));
    found.Ok(env.disk.MakeDirectory("a/b"));
    RETURN_IF_ERROR(Put(env, "a/b/f", "f"));
    found.Error(env.disk.RemoveDirectory("a/b"), StatusCode::kFailedPrecondition, "a/b");
    found.Error(env.disk.Open("nowhere/f", OpenMode::kCreate).status(), StatusCode::kNotFound,
                "nowhere");
    found.Error(env.disk.MakeDirectory("a/b/f"), StatusCode::kAlreadyExists, "a/b/f");
    found.Ok(env.disk.Remove("a/b/f"));
    found.Ok(env.disk.SyncDirectory("a/b"));
    found.Ok(env.disk.RemoveDirectory("a/b"));
    found.Ok(env.disk.SyncDirectory("a"));
    found.Equal(NamesOf(env, "a"), Names());
    found.Error(env.disk.SyncDirectory("a/b"), StatusCode::kNotFound, "a/b");
    return absl::OkStatus();
  });
}

TEST_P(Disk, ListIsSorted) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    for (const char* const name : {"b", "a", "ab", "Z", "10", "9", "_", "~"})
      RETURN_IF_ERROR(Put(env, name, ""));
    RETURN_IF_ERROR(env.disk.MakeDirectory("d"));
    RETURN_IF_ERROR(Put(env, "d/inside", ""));
    found.Equal(NamesOf(env), Names({"10", "9", "Z", "_", "a", "ab", "b", "d", "~"}));
    found.Equal(NamesOf(env, "."), NamesOf(env, ""));
    found.Equal(NamesOf(env, "d"), Names({"inside"}));
    found.Error(env.disk.List("nowhere").status(), StatusCode::kNotFound, "nowhere");
    return absl::OkStatus();
  });
}

TEST_P(Disk, StatTellsFilesFromDirectories) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    RETURN_IF_ERROR(env.disk.MakeDirectory("d"));
    RETURN_IF_ERROR(Put(env, "d/f", "12345"));
    ASSIGN_OR_RETURN(const io::FileInfo directory, env.disk.Stat("d"));
    found.True(directory.is_directory, "d is a directory");
    ASSIGN_OR_RETURN(const io::FileInfo file, env.disk.Stat("d/f"));
    found.True(!file.is_directory, "d/f is a file");
    found.Equal(file.size, uint64_t{5});
    ASSIGN_OR_RETURN(const io::FileInfo root, env.disk.Stat(""));
    found.True(root.is_directory, "the root is a directory");
    found.Error(env.disk.Stat("d/g").status(), StatusCode::kNotFound, "d/g");
    return absl::OkStatus();
  });
}

TEST_P(Disk, PathsThatLeaveTheDataDirectoryAreRefused) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    RETURN_IF_ERROR(env.disk.MakeDirectory("d"));
    for (const std::string path :
         {"/etc/passwd", "../x", "d/../../x", "d/..", "d//x", "d/", "d/./x"}) {
      found.Error(env.disk.Open(path, OpenMode::kRead).status(), StatusCode::kInvalidArgument,
                  path);
      found.Error(env.disk.Open(path, OpenMode::kOverwrite).status(), StatusCode::kInvalidArgument,
                  path);
      found.Code(env.disk.Rename("d", path), StatusCode::kInvalidArgument);
      found.Code(env.disk.Rename(path, "e"), StatusCode::kInvalidArgument);
      found.Code(env.disk.Link(path, "e"), StatusCode::kInvalidArgument);
      found.Code(env.disk.Remove(path), StatusCode::kInvalidArgument);
      found.Code(env.disk.MakeDirectory(path), StatusCode::kInvalidArgument);
      found.Code(env.disk.RemoveDirectory(path), StatusCode::kInvalidArgument);
      found.Code(env.disk.SyncDirectory(path), StatusCode::kInvalidArgument);
      found.Code(env.disk.List(path), StatusCode::kInvalidArgument);
      found.Code(env.disk.Stat(path), StatusCode::kInvalidArgument);
      found.Code(env.disk.Lock(path), StatusCode::kInvalidArgument);
    }
    found.Equal(NamesOf(env), Names({"d"}));
    return absl::OkStatus();
  });
}

TEST_P(Disk, ALockIsHeldByOne) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(auto lock, env.disk.Lock("LOCK"));
    found.Error(env.disk.Lock("LOCK").status(), StatusCode::kFailedPrecondition, "LOCK");
    found.Ok(env.disk.Lock("OTHER"));
    lock.reset();
    found.Ok(env.disk.Lock("LOCK"));
    return absl::OkStatus();
  });
}

TEST_P(Disk, SpaceIsPlausible) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const io::DiskSpace space, env.disk.Space());
    found.True(space.total_bytes > 0, "total > 0");
    found.True(space.free_bytes <= space.total_bytes, "free <= total");
    return absl::OkStatus();
  });
}

TEST_P(Disk, ReadFileAndReplaceFileAreWholeFiles) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    found.Error(io::ReadFile(env.disk, "f").status(), StatusCode::kNotFound, "f");
    found.Ok(io::ReplaceFile(env.disk, "f", "one"));
    found.Equal(Text(env, "f"), std::string("one"));
    found.Ok(io::ReplaceFile(env.disk, "f", ""));
    found.Equal(Text(env, "f"), std::string());
    const std::string large(300'000, 'l');
    found.Ok(io::ReplaceFile(env.disk, "f", large));
    found.True(Text(env, "f") == large, "the large content came back");
    found.Equal(NamesOf(env), Names({"f"}));
    RETURN_IF_ERROR(env.disk.MakeDirectory("d"));
    found.Ok(io::ReplaceFile(env.disk, "d/g", "two"));
    found.Equal(Text(env, "d/g"), std::string("two"));
    return absl::OkStatus();
  });
}

TEST_P(Disk, ADirectoryIsNoFile) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    RETURN_IF_ERROR(env.disk.MakeDirectory("d"));
    RETURN_IF_ERROR(Put(env, "f", "f"));
    found.True(!env.disk.Open("d", OpenMode::kReadWrite).ok(),
               "a directory is not opened for writing");
    found.True(!env.disk.Remove("d").ok(), "Remove does not remove a directory");
    found.True(!env.disk.RemoveDirectory("f").ok(), "RemoveDirectory does not remove a file");
    found.True(!env.disk.List("f").ok(), "a file has no list");
    found.True(!env.disk.Open("f/g", OpenMode::kCreate).ok(), "nothing lies below a file");
    found.Equal(NamesOf(env), Names({"d", "f"}));
    return absl::OkStatus();
  });
}

TEST_P(Disk, ManyTasksAppendToTheirOwnFiles) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    return io::WithScope(env, "writers", [&](io::Scope& scope) -> absl::Status {
      for (int i = 0; i < 8; ++i) {
        RETURN_IF_ERROR(scope.Spawn("writer", [&, i] {
          const auto file = env.disk.Open(absl::StrFormat("f%d", i), OpenMode::kCreate);
          if (!found.Ok(file)) return;
          for (int n = 0; n < 20; ++n) {
            found.Ok((*file)->Append(absl::StrFormat("%d:%d;", i, n)));
            if (n % 7 == 0) found.Ok((*file)->Sync());
          }
        }));
      }
      scope.Join();
      for (int i = 0; i < 8; ++i) {
        std::string expected;
        for (int n = 0; n < 20; ++n) expected += absl::StrFormat("%d:%d;", i, n);
        found.Equal(Text(env, absl::StrFormat("f%d", i)), expected);
      }
      return absl::OkStatus();
    });
  });
}

TEST_P(Disk, AChildsFilesLieBelowItsDirectory) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const base::Hash128 self, env.processes.Self());
    ASSIGN_OR_RETURN(
        const auto child,
        env.processes.Spawn({.program = self,
                             .arguments = ProgramArguments("child_write", {"of the child"}),
                             .directory = "child"}));
    ASSIGN_OR_RETURN(const io::ExitStatus exit, child->Wait(env.Deadline(20s)));
    found.Equal(exit.ToString(), std::string("exit 0"));
    found.Equal(Text(env, "child/said"), std::string("--program=child_write\nof the child\n"));
    return absl::OkStatus();
  });
}

}  // namespace
}  // namespace weir::tests
