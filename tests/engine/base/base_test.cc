// The small pieces of engine/base: checks, ids, texts, times, probes, status macros, locks.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <set>
#include <sstream>
#include <thread>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/ids.h"
#include "engine/base/limits.h"
#include "engine/base/probes.h"
#include "engine/base/spinlock.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"
#include "engine/base/time.h"

namespace weir::base {
namespace {

using namespace std::chrono_literals;

// -------------------------------------------------------------------------------------- checks

TEST(Check, AFailureTellsConditionValuesAndMessage) {
  const int credits = 0;
  EXPECT_DEATH(CHECK_GT(credits, 0) << "frame 7",
               R"(FATAL .*base_test\.cc:[0-9]+: CHECK failed: credits > 0 \(0 vs\. 0\) frame 7)");
  EXPECT_DEATH(CHECK(credits == 1) << "of gate " << 3, "CHECK failed: credits == 1 of gate 3");
  EXPECT_DEATH(CHECK_OK(absl::NotFoundError("no manifest")), "NOT_FOUND: no manifest");
}

TEST(Check, TheContextOfTheWorldIsPrintedBelow) {
  const auto die = [] {
    SetFailureContext([] { return std::string("  in task \"gate\" at 1.000000s"); });
    CHECK(false) << "lost";
  };
  EXPECT_DEATH(die(), "CHECK failed: false lost\n  in task \"gate\" at 1.000000s\n");
}

TEST(Check, AFailureWithinTheContextEndsAllTheSame) {
  const auto die = [] {
    SetFailureContext([]() -> std::string {
      CHECK(false) << "second";
      return "";
    });
    CHECK(false) << "first";
  };
  EXPECT_DEATH(die(), "second");
}

TEST(Check, WhatHoldsCostsNoEvaluationOfTheMessage) {
  int evaluated = 0;
  const auto message = [&] { return ++evaluated; };
  CHECK(true) << message();
  CHECK_EQ(1, 1) << message();
  EXPECT_EQ(evaluated, 0);
}

TEST(StatusMacros, ReturnEarlyWithTheError) {
  int past = 0;
  const auto run = [&](absl::Status status, absl::StatusOr<int> value) -> absl::Status {
    RETURN_IF_ERROR(status);
    ASSIGN_OR_RETURN(const int got, value);
    past += got;
    return absl::OkStatus();
  };
  EXPECT_EQ(run(absl::AbortedError("a"), 1).message(), "a");
  EXPECT_EQ(run(absl::OkStatus(), absl::DataLossError("b")).message(), "b");
  EXPECT_EQ(past, 0);
  EXPECT_TRUE(run(absl::OkStatus(), 5).ok());
  EXPECT_EQ(past, 5);
}

// ----------------------------------------------------------------------------------- ids, text

TEST(Id, KindsDoNotMixAndZeroIsNone) {
  using TaskId = Id<struct TestTaskTag>;
  using JobId = Id<struct TestJobTag>;
  static_assert(!std::is_convertible_v<TaskId, JobId>);
  static_assert(!std::is_convertible_v<uint64_t, TaskId>);
  EXPECT_FALSE(TaskId());
  EXPECT_TRUE(bool(TaskId(1)));
  EXPECT_LT(TaskId(1), TaskId(2));
  std::ostringstream text;
  text << TaskId(42);
  EXPECT_EQ(text.str(), "42");
}

TEST(Text, NearestFindsWhatWasMeant) {
  const std::vector<std::string_view> words = {"log.level", "io.spin", "io.stack.user",
                                               "io.stack.engine"};
  EXPECT_EQ(Nearest("log.levle", words), "log.level");
  EXPECT_EQ(Nearest("stack.user", words), "io.stack.user");
  EXPECT_EQ(Nearest("io.sping", words), "io.spin");
  EXPECT_EQ(Nearest("", {}), "");
  EXPECT_EQ(Nearest("x", {"a", "b"}), "a");  // the first of equals
}

RC_GTEST_PROP(properties_Text, AWordIsNearestToItself, (const std::vector<std::string>& words)) {
  RC_PRE(!words.empty());
  const std::vector<std::string_view> views(words.begin(), words.end());
  for (const std::string& word : words) RC_ASSERT(Nearest(word, views) == word);
}

// ---------------------------------------------------------------------------------------- time

TEST(Time, HasOneFormForEveryValue) {
  EXPECT_EQ(ToString(Duration(0)), "0.000000s");
  EXPECT_EQ(ToString(Duration(999)), "0.000000s");
  EXPECT_EQ(ToString(Duration(1'250'000'000)), "1.250000s");
  EXPECT_EQ(ToString(Duration(-1'500)), "-0.000001s");
  EXPECT_EQ(ToString(Duration::max()), "9223372036.854775s");
  EXPECT_EQ(ToString(Duration::min()), "-9223372036.854775s");
  EXPECT_EQ(ToString(WallTime(Duration(0))), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(ToString(WallTime(Duration(1'763'625'148'000'250'999))), "2025-11-20T07:52:28.000250Z");
}

TEST(Time, AfterNeverPassesTheEndOfTime) {
  EXPECT_EQ(After(Monotonic(5s), 3s), Monotonic(8s));
  EXPECT_EQ(After(Monotonic(5s), Duration::max()), kForever);
  EXPECT_EQ(After(kForever, 0ns), kForever);
  EXPECT_EQ(After(kForever, 1ns), kForever);
  EXPECT_EQ(After(Monotonic(5s), -2s), Monotonic(3s));
}

// -------------------------------------------------------------------------------------- probes

TEST(Probes, NamesAreUniqueAndWellFormed) {
  std::set<std::string_view> names;
  for (const ProbeInfo& info : kProbes) {
    EXPECT_TRUE(names.insert(info.name).second) << info.name;
    EXPECT_NE(info.name.find('.'), std::string_view::npos)
        << info.name << " is not of the form area.moment";
    for (const char c : info.name)
      EXPECT_TRUE((c >= 'a' && c <= 'z') || c == '_' || c == '.') << info.name;
    EXPECT_EQ(&Info(info.probe), &info);
  }
}

TEST(Probes, AnEndNamesABeginningAndSaysAtLeastAsMuch) {
  int pairs = 0;
  for (const ProbeInfo& info : kProbes) {
    if (!info.ends.has_value()) continue;
    ++pairs;
    EXPECT_FALSE(Info(*info.ends).ends.has_value()) << info.name << " ends an end";
    // What it began with tells which beginning it ends.
    EXPECT_TRUE(info.fields.starts_with(Info(*info.ends).fields)) << info.name;
  }
  EXPECT_GT(pairs, 0);
}

// ---------------------------------------------------------------------------------------- lock

TEST(SpinLock, OneAtATime) {
  SpinLock lock;
  int shared = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20'000; ++i) {
        SpinHold hold(lock);
        ++shared;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(shared, 80'000);
}

}  // namespace
}  // namespace weir::base
