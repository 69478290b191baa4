#include "engine/io/disk.h"

#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"

namespace weir::io {

absl::StatusOr<std::string> ReadFile(Disk& disk, std::string_view path) {
  ASSIGN_OR_RETURN(const std::unique_ptr<File> file, disk.Open(path, OpenMode::kRead));
  ASSIGN_OR_RETURN(const uint64_t size, file->Size());
  std::string bytes(size, '\0');
  size_t done = 0;
  while (done < bytes.size()) {
    ASSIGN_OR_RETURN(const size_t got, file->Read(done, absl::MakeSpan(bytes).subspan(done)));
    if (got == 0) break;  // cut shorter since Size
    done += got;
  }
  bytes.resize(done);
  return bytes;
}

absl::Status ReplaceFile(Disk& disk, std::string_view path, std::string_view bytes) {
  const std::string beside = std::string(path) + ".new";
  ASSIGN_OR_RETURN(std::unique_ptr<File> file, disk.Open(beside, OpenMode::kOverwrite));
  RETURN_IF_ERROR(file->Append(bytes));
  RETURN_IF_ERROR(file->Sync());
  file.reset();
  RETURN_IF_ERROR(disk.Rename(beside, path));
  return disk.SyncDirectory(ParentOf(path));
}

absl::Status CheckPath(std::string_view path) {
  const auto bad = [&](const char* why) {
    return absl::InvalidArgumentError(
        absl::StrFormat("path \"%s\": %s; paths are relative to the data directory and stay in it",
                        base::Abseil(path), why));
  };
  if (path.empty() || path == ".") return absl::OkStatus();
  if (path.front() == '/') return bad("is absolute");
  if (path.find('\0') != std::string_view::npos) return bad("holds a zero byte");
  for (const absl::string_view name : absl::StrSplit(base::Abseil(path), '/')) {
    if (name.empty()) return bad("holds an empty name");
    if (name == "." || name == "..") return bad("holds \".\" or \"..\"");
    if (name.size() > 255) return bad("holds a name of more than 255 bytes");
  }
  return absl::OkStatus();
}

std::string_view ParentOf(std::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

}  // namespace weir::io
