#include "engine/base/check.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>

namespace weir::base {
namespace {

std::atomic<FailureContext> failure_context{nullptr};

}  // namespace

void SetFailureContext(FailureContext context) { failure_context.store(context); }

void Die(const char* file, int line, const std::string& message) {
  // A CHECK inside the context's own code must not come back here for more context.
  const FailureContext context = failure_context.exchange(nullptr);
  std::string report =
      std::string("FATAL ") + file + ":" + std::to_string(line) + ": " + message + "\n";
  if (context != nullptr) report += context();
  if (report.back() != '\n') report += '\n';
  std::fflush(nullptr);  // what was printed so far is part of the report
  std::fwrite(report.data(), 1, report.size(), stderr);
  std::fflush(stderr);
  std::abort();
}

namespace internal {

CheckFailure::CheckFailure(const char* file, int line, const char* condition)
    : file_(file), line_(line) {
  stream_ << "CHECK failed: " << condition;
}

CheckFailure::~CheckFailure() { Die(file_, line_, stream_.str()); }

}  // namespace internal
}  // namespace weir::base
