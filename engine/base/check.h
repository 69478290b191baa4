// CHECK: what only a bug can break. Always on, in every build. A failed CHECK prints the condition,
// the message, and whatever the running world knows (task, process, virtual time, the line that
// replays the run), then aborts.
//
// What the world may do (a peer, a disk, a user's input) is never a CHECK but an absl::Status.
#pragma once

#include <sstream>
#include <string>

#include "absl/status/status.h"

namespace weir::base {

// Called once while a failed CHECK is being reported; returns lines to print below the message. The
// only process-wide hook of the project: a CHECK has no Env at hand. Set by the world that is
// running, reset to null when it ends.
using FailureContext = std::string (*)();
void SetFailureContext(FailureContext context);

// Prints `message` in the form of a failed CHECK and aborts. For places where the message is built
// by hand.
[[noreturn]] void Die(const char* file, int line, const std::string& message);

namespace internal {

class CheckFailure {
 public:
  CheckFailure(const char* file, int line, const char* condition);
  template <typename A, typename B>
  CheckFailure(const char* file, int line, const char* condition, const A& a, const B& b)
      : CheckFailure(file, line, condition) {
    stream_ << " (" << a << " vs. " << b << ")";
  }
  [[noreturn]] ~CheckFailure();
  std::ostream& stream() { return stream_; }

 private:
  const char* file_;
  int line_;
  std::ostringstream stream_;
};

// Lets `cond ? void : Voidify() & stream` type-check with a streamed message.
struct Voidify {
  void operator&(std::ostream&) const {}
};

}  // namespace internal
}  // namespace weir::base

#define CHECK(condition)                    \
  __builtin_expect(!!(condition), 1)        \
      ? (void)0                             \
      : ::weir::base::internal::Voidify() & \
            ::weir::base::internal::CheckFailure(__FILE__, __LINE__, #condition).stream() << " "

#define WEIR_CHECK_OP_(a, op, b)                                                              \
  __builtin_expect(!!((a)op(b)), 1)                                                           \
      ? (void)0                                                                               \
      : ::weir::base::internal::Voidify() &                                                   \
            ::weir::base::internal::CheckFailure(__FILE__, __LINE__, #a " " #op " " #b, a, b) \
                    .stream()                                                                 \
                << " "

#define CHECK_EQ(a, b) WEIR_CHECK_OP_(a, ==, b)
#define CHECK_NE(a, b) WEIR_CHECK_OP_(a, !=, b)
#define CHECK_LT(a, b) WEIR_CHECK_OP_(a, <, b)
#define CHECK_LE(a, b) WEIR_CHECK_OP_(a, <=, b)
#define CHECK_GT(a, b) WEIR_CHECK_OP_(a, >, b)
#define CHECK_GE(a, b) WEIR_CHECK_OP_(a, >=, b)

// For a Status that only a bug can make an error.
#define CHECK_OK(expression)                                       \
  do {                                                             \
    const absl::Status weir_check_status = (expression);           \
    CHECK(weir_check_status.ok()) << weir_check_status.ToString(); \
  } while (false)
