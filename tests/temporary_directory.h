// TemporaryDirectory: net's, for a test, which has nobody to tell if there is none.
#pragma once

#include <string>

#include "engine/base/check.h"
#include "net/temporary_directory.h"

namespace weir::tests {

class TemporaryDirectory {
 public:
  const std::string& path() const { return directory_.path(); }

 private:
  static net::TemporaryDirectory Make() {
    absl::StatusOr<net::TemporaryDirectory> made = net::TemporaryDirectory::Make("weir_test");
    CHECK(made.ok()) << made.status();
    return *std::move(made);
  }
  const net::TemporaryDirectory directory_ = Make();
};

}  // namespace weir::tests
