// The few things that every part of net/ asks of the kernel in the same way: descriptors that
// close themselves, clocks, and errno as a Status of one line.
#pragma once

#include <string>
#include <string_view>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/time.h"

namespace weir::net {

// Owns a file descriptor. Everything here is opened close-on-exec: a child inherits nothing.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Fd() { Reset(); }

  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  void Reset();

 private:
  int fd_ = -1;
};

base::Monotonic MonotonicNow();
base::WallTime WallNow();

// "Connection refused".
const char* ErrorWords(int error);

// "file descriptors: 1024 in use, limit 1024; raise `ulimit -n`": what EMFILE means. ENFILE names
// the limit of the host.
std::string DescriptorsUsedUp(int error);

// Out of descriptors, of this process or of the host.
bool IsDescriptorLimit(int error);

// The whole of a small file of /proc or /sys.
absl::StatusOr<std::string> ReadSmallFile(const std::string& path);

// Writes all of `text`, in one write if the kernel takes it; what cannot be written is dropped.
void WriteAll(int fd, std::string_view text);

}  // namespace weir::net
