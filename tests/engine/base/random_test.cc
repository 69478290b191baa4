// Streams of a seed: the first draws are for ever, ranges are closed, forks stand apart.

#include "engine/base/random.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <sstream>
#include <vector>

#include "absl/strings/str_format.h"
#include "tests/golden.h"

namespace weir::base {
namespace {

using namespace std::chrono_literals;

TEST(Random, DrawsWhatItDrewInEveryEarlierVersion) {
  std::istringstream golden(tests::GoldenText("random.txt"));
  const auto expect = [&](const std::string& drawn) {
    std::string word;
    ASSERT_TRUE(golden >> word);
    EXPECT_EQ(drawn, word);
  };
  const auto hex = [](uint64_t value) { return absl::StrFormat("%016x", value); };

  Random one(1);
  for (int i = 0; i < 6; ++i) expect(hex(one.Next()));
  expect(hex(Random(0).Next()));
  expect(hex(Random(1).Fork("network").Next()));
  expect(hex(Random(1).Fork(uint64_t{7}).Next()));
  Random two(2);
  for (int i = 0; i < 5; ++i) expect(std::to_string(two.Between(uint64_t{10}, uint64_t{99})));
  Random three(3);
  for (int i = 0; i < 5; ++i) expect(std::to_string(three.LogNormal(1ms).count()));
  Random four(4);
  for (int i = 0; i < 5; ++i) expect(std::to_string(four.Exponential(1ms).count()));
  Random five(5);
  for (int i = 0; i < 3; ++i) expect(std::to_string(five.Between(int64_t{-5}, int64_t{5})));
  std::string rest;
  EXPECT_FALSE(golden >> rest) << "the golden file holds more: " << rest;
}

TEST(Random, AForkDrawsNothingFromItsParent) {
  Random forked(7);
  Random plain(7);
  Random child = forked.Fork("child");
  child.Next();
  Random grandchild = child.Fork(uint64_t{3});
  grandchild.Next();
  EXPECT_EQ(forked.Next(), plain.Next());
}

TEST(Random, ForksByNameAndNumberAreApart) {
  std::map<uint64_t, int> first_draws;
  const Random root(1);
  for (uint64_t number = 0; number < 1000; ++number) {
    ++first_draws[root.Fork(number).Next()];
    ++first_draws[root.Fork("stream " + std::to_string(number)).Next()];
  }
  EXPECT_EQ(first_draws.size(), 2000u);
}

TEST(Random, AWitnessSeesTheDrawsOfAllForksInOrder) {
  struct Recorder : Random::Witness {
    void OnDraw(uint64_t value) override { seen.push_back(value); }
    std::vector<uint64_t> seen;
  } witness;
  Random root(9, &witness);
  Random fork = root.Fork("fork");
  std::vector<uint64_t> drawn;
  for (int i = 0; i < 5; ++i) {
    drawn.push_back(root.Next());
    drawn.push_back(fork.Next());
  }
  EXPECT_EQ(witness.seen, drawn);
}

TEST(Random, EveryValueOfASmallRangeComesAboutEquallyOften) {
  Random random(11);
  std::map<int, int> counts;
  for (int i = 0; i < 60'000; ++i) ++counts[random.Between(1, 6)];
  ASSERT_EQ(counts.size(), 6u);
  for (const auto& [face, count] : counts) {
    EXPECT_GT(count, 9'500) << face;
    EXPECT_LT(count, 10'500) << face;
  }
}

TEST(Random, ChanceKeepsItsRatio) {
  Random random(12);
  int hits = 0;
  for (int i = 0; i < 100'000; ++i) hits += random.Chance({1, 20});
  EXPECT_GT(hits, 4'700);
  EXPECT_LT(hits, 5'300);
  for (int i = 0; i < 100; ++i) {
    EXPECT_FALSE(random.Chance({0, 1}));
    EXPECT_TRUE(random.Chance({1, 1}));
  }
}

TEST(Random, LogNormalHasItsMedianAndALongTail) {
  Random random(13);
  std::vector<int64_t> draws;
  for (int i = 0; i < 50'000; ++i) draws.push_back(random.LogNormal(1ms).count());
  std::sort(draws.begin(), draws.end());
  const int64_t median = draws[draws.size() / 2];
  EXPECT_GT(median, 800'000);
  EXPECT_LT(median, 1'300'000);
  // As the header says: about half within a factor of two, about one in a hundred beyond sixteen.
  const auto within = std::count_if(draws.begin(), draws.end(),
                                    [](int64_t d) { return d >= 500'000 && d <= 2'000'000; });
  EXPECT_GT(within, 20'000);
  EXPECT_LT(within, 35'000);
  const auto beyond =
      std::count_if(draws.begin(), draws.end(), [](int64_t d) { return d > 16'000'000; });
  EXPECT_GT(beyond, 50);
  EXPECT_LT(beyond, 1'000);
  EXPECT_GT(draws.front(), 0);
}

TEST(Random, ExponentialHasItsMean) {
  Random random(14);
  int64_t sum = 0;
  int64_t least = INT64_MAX;
  int below_mean = 0;
  constexpr int kDraws = 50'000;
  for (int i = 0; i < kDraws; ++i) {
    const int64_t draw = random.Exponential(1ms).count();
    sum += draw;
    least = std::min(least, draw);
    below_mean += draw < 1'000'000;
  }
  EXPECT_GE(least, 0);
  EXPECT_GT(sum / kDraws, 950'000);
  EXPECT_LT(sum / kDraws, 1'100'000);
  EXPECT_GT(below_mean, kDraws * 58 / 100);  // 1 - 1/e is 63 %
  EXPECT_LT(below_mean, kDraws * 68 / 100);
}

TEST(Random, ExtremesDoNotOverflow) {
  Random random(15);
  for (int i = 0; i < 1000; ++i) {
    EXPECT_GE(random.LogNormal(Duration::max()).count(), 0);
    EXPECT_GE(random.Exponential(Duration::max() / 100).count(), 0);
  }
  EXPECT_EQ(random.LogNormal(0ns), 0ns);
  EXPECT_EQ(random.Exponential(0ns), 0ns);
}

RC_GTEST_PROP(properties_Random, BetweenStaysInItsClosedRange,
              (uint64_t seed, uint64_t a, uint64_t b)) {
  const uint64_t low = std::min(a, b);
  const uint64_t high = std::max(a, b);
  Random random(seed);
  for (int i = 0; i < 20; ++i) {
    const uint64_t draw = random.Between(low, high);
    RC_ASSERT(low <= draw && draw <= high);
  }
}

RC_GTEST_PROP(properties_Random, SignedBetweenStaysInItsClosedRange,
              (uint64_t seed, int64_t a, int64_t b)) {
  const int64_t low = std::min(a, b);
  const int64_t high = std::max(a, b);
  Random random(seed);
  for (int i = 0; i < 20; ++i) {
    const int64_t draw = random.Between(low, high);
    RC_ASSERT(low <= draw && draw <= high);
  }
}

RC_GTEST_PROP(properties_Random, TheWholeRangeIsARange, (uint64_t seed)) {
  Random whole(seed);
  Random plain(seed);
  RC_ASSERT(whole.Between(uint64_t{0}, UINT64_MAX) == plain.Next());
  (void)whole.Between(INT64_MIN, INT64_MAX);
}

RC_GTEST_PROP(properties_Random, OneCallIsOneDraw, (uint64_t seed, uint64_t bound)) {
  // So that the values drawn in one place never move the draws of another.
  Random counted(seed);
  counted.Between(uint64_t{0}, bound);
  counted.Chance({1, 3});
  counted.LogNormal(1ms);
  counted.Exponential(1ms);
  Random plain(seed);
  for (int i = 0; i < 4; ++i) plain.Next();
  RC_ASSERT(counted.Next() == plain.Next());
}

}  // namespace
}  // namespace weir::base
