// TemporaryDirectory: a fresh, empty directory of the real file system, gone with the object. For
// demos, benches and tests; what must last has a directory of its own.
#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace weir::net {

class TemporaryDirectory {
 public:
  // Below $TMPDIR or /tmp, named after `purpose`.
  static absl::StatusOr<TemporaryDirectory> Make(const std::string& purpose);
  TemporaryDirectory(TemporaryDirectory&& other) noexcept : path_(std::move(other.path_)) {
    other.path_.clear();
  }
  TemporaryDirectory& operator=(TemporaryDirectory&&) = delete;
  ~TemporaryDirectory();

  const std::string& path() const { return path_; }

 private:
  explicit TemporaryDirectory(std::string path) : path_(std::move(path)) {}
  std::string path_;
};

}  // namespace weir::net
