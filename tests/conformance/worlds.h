// The conformance suites: one a chapter of engine/io, every test run in both worlds with the same
// expectations.
//
// A test's body is a program. It runs as a process of the real world, in this process and over a
// fresh directory, and as a process of a simulated world, once for each of some seeds. What it
// finds wrong it writes into `found`, as GoogleTest's own forms leave by exception or return and
// know nothing of fibers; that is judged after the run.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <source_location>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/spinlock.h"
#include "engine/io/env.h"

namespace weir::tests {

// What a body saw that should not be. From any executor.
class Found {
 public:
  using Where = std::source_location;

  // Each returns whether all is well.
  bool True(bool condition, std::string_view what, Where where = Where::current()) {
    return condition || Fail(std::string(what) + " is false", where);
  }
  template <typename A, typename B>
  bool Equal(const A& got, const B& expected, Where where = Where::current()) {
    return got == expected || Fail("got " + testing::PrintToString(got) + ", expected " +
                                       testing::PrintToString(expected),
                                   where);
  }
  bool Ok(const absl::Status& status, Where where = Where::current()) {
    return status.ok() || Fail("got " + status.ToString() + ", expected OK", where);
  }
  template <typename T>
  bool Ok(const absl::StatusOr<T>& result, Where where = Where::current()) {
    return Ok(result.status(), where);
  }
  bool Code(const absl::Status& status, absl::StatusCode expected, Where where = Where::current()) {
    return status.code() == expected ||
           Fail("got " + status.ToString() + ", expected " + absl::StatusCodeToString(expected),
                where);
  }
  template <typename T>
  bool Code(const absl::StatusOr<T>& result, absl::StatusCode expected,
            Where where = Where::current()) {
    return Code(result.status(), expected, where);
  }
  // An error of this code whose message is one line and holds `part`.
  bool Error(const absl::Status& status, absl::StatusCode expected, std::string_view part,
             Where where = Where::current());

  bool Fail(std::string text, Where where = Where::current());

  struct Failure {
    Where where;
    std::string text;
  };
  const std::vector<Failure>& failures() const { return failures_; }

 private:
  base::SpinLock lock_;
  std::vector<Failure> failures_;
};

enum class Kind {
  kReal,
  kSimulated,
  // The same, with the body over the decorators of faults/, which have no rules.
  kRealDecorated,
  kSimulatedDecorated,
};

using Body = std::function<absl::Status(io::Env&, Found&)>;

// Runs `body` as a program and gives what it returned, or how the world ended it. Children that it
// spawns by its own hash run Dispatch of tests/programs.h. `seed` is for the simulated world.
absl::Status RunBody(Kind kind, uint64_t seed, const Body& body, Found& found);

// Fails the current test by what `body` finds, or by the status that it returns.
void Conform(Kind kind, const Body& body);
// The same for bodies that end the process in an error of `code` whose message holds `part`.
void ConformError(Kind kind, absl::StatusCode code, std::string_view part, const Body& body);

// While it lives, what is allocated may be leaked: what a task owns that refused to end, and was
// given up, is.
class LeaksAreExpected {
 public:
  LeaksAreExpected();
  ~LeaksAreExpected();
  LeaksAreExpected(const LeaksAreExpected&) = delete;
  LeaksAreExpected& operator=(const LeaksAreExpected&) = delete;
};

class Both : public testing::TestWithParam<Kind> {};

// The names of tests of a chapter: one for each Kind.
inline std::string KindName(const testing::TestParamInfo<Kind>& info) {
  static constexpr const char* kNames[] = {"real", "simulated", "real_decorated",
                                           "simulated_decorated"};
  return kNames[static_cast<size_t>(info.param)];
}

// Makes the test fixture of a chapter and runs it in both worlds.
#define WEIR_CONFORMANCE(Chapter)                                                     \
  class Chapter : public ::weir::tests::Both {};                                      \
  INSTANTIATE_TEST_SUITE_P(                                                           \
      Conformance, Chapter,                                                           \
      ::testing::Values(::weir::tests::Kind::kReal, ::weir::tests::Kind::kSimulated), \
      ::weir::tests::KindName)

// The same for a chapter whose interface has a decorator, and so over that, too.
#define WEIR_CONFORMANCE_DECORATED(Chapter)                                          \
  class Chapter : public ::weir::tests::Both {};                                     \
  INSTANTIATE_TEST_SUITE_P(                                                          \
      Conformance, Chapter,                                                          \
      ::testing::Values(::weir::tests::Kind::kReal, ::weir::tests::Kind::kSimulated, \
                        ::weir::tests::Kind::kRealDecorated,                         \
                        ::weir::tests::Kind::kSimulatedDecorated),                   \
      ::weir::tests::KindName)

}  // namespace weir::tests
