#include "net/posix.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_format.h"

namespace weir::net {
namespace {

base::Duration ReadClock(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec);
}

}  // namespace

void Fd::Reset() {
  // Linux frees the number even if close reports an error, so there is nothing to try again.
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

base::Monotonic MonotonicNow() { return base::Monotonic(ReadClock(CLOCK_MONOTONIC)); }
base::WallTime WallNow() { return base::WallTime(ReadClock(CLOCK_REALTIME)); }

const char* ErrorWords(int error) {
  const char* const words = strerrordesc_np(error);
  return words == nullptr ? "unknown error" : words;
}

bool IsDescriptorLimit(int error) { return error == EMFILE || error == ENFILE; }

std::string DescriptorsUsedUp(int error) {
  if (error == ENFILE) return "file descriptors: the host has no more; raise fs.file-max";
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  // The kernel says EMFILE when every number below the limit is taken. Counting them would need
  // one more.
  return absl::StrFormat("file descriptors: %d in use, limit %d; raise `ulimit -n`", limit.rlim_cur,
                         limit.rlim_cur);
}

absl::StatusOr<std::string> ReadSmallFile(const std::string& path) {
  const Fd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return absl::NotFoundError(absl::StrFormat("%s: %s", path, ErrorWords(errno)));
  std::string text;
  char buffer[4096];
  for (;;) {
    const ssize_t got = read(fd.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return absl::UnavailableError(absl::StrFormat("%s: %s", path, ErrorWords(errno)));
    if (got == 0) return text;
    text.append(buffer, static_cast<size_t>(got));
  }
}

void WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    const ssize_t done = write(fd, text.data(), text.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return;
    text.remove_prefix(static_cast<size_t>(done));
  }
}

}  // namespace weir::net
