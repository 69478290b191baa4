// Counters, gauges and histograms: bounds of quantiles, and the durable form.

#include "engine/base/metrics.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <vector>

#include "tests/golden.h"

namespace weir::base {
namespace {

Histogram Of(const std::vector<uint64_t>& values) {
  Histogram histogram;
  for (const uint64_t value : values) histogram.Record(value);
  return histogram;
}

// Values of all magnitudes, not only large ones.
rc::Gen<std::vector<uint64_t>> Values() {
  return rc::gen::container<std::vector<uint64_t>>(
      rc::gen::map(rc::gen::pair(rc::gen::arbitrary<uint64_t>(), rc::gen::inRange(0, 64)),
                   [](const std::pair<uint64_t, int>& draw) { return draw.first >> draw.second; }));
}

TEST(Metrics, CountersAndGaugesCount) {
  Registry registry;
  registry.counter("records").Add();
  registry.counter("records").Add(41);
  registry.gauge("open").Set(7);
  registry.gauge("open").Add(-9);
  for (const uint64_t value : {1, 2, 3}) registry.histogram("latency").Record(value);
  EXPECT_EQ(registry.ToText(),
            "latency count=3 mean=2 p50=2 p99=3 p999=3 max=3\n"
            "open -2\n"
            "records 42\n");
}

TEST(Metrics, AnInstrumentStaysWhereItIs) {
  Registry registry;
  Counter& first = registry.counter("a");
  for (int i = 0; i < 100; ++i) registry.counter("counter " + std::to_string(i));
  EXPECT_EQ(&registry.counter("a"), &first);
}

TEST(Metrics, AnEmptyHistogramSaysNothing) {
  const Histogram histogram;
  EXPECT_EQ(histogram.count(), 0u);
  EXPECT_EQ(histogram.min(), 0u);
  EXPECT_EQ(histogram.max(), 0u);
  EXPECT_EQ(histogram.Quantile(500), 0u);
  const auto back = Histogram::Decode(histogram.Encode());
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(back->min(), 0u);
}

TEST(Metrics, SmallValuesAreExact) {
  std::vector<uint64_t> values;
  for (uint64_t value = 0; value < 32; ++value) values.push_back(value);
  const Histogram histogram = Of(values);
  EXPECT_EQ(histogram.Quantile(0), 0u);
  EXPECT_EQ(histogram.Quantile(500), 15u);
  EXPECT_EQ(histogram.Quantile(1000), 31u);
}

TEST(Metrics, AHistogramOfEveryEarlierVersionIsRead) {
  const std::string golden = tests::Golden("histogram_v1.hex");
  const Histogram expected = Of({0, 1, 15, 16, 17, 31, 32, 1000, 1000, 1'000'000, UINT64_MAX >> 1});
  EXPECT_EQ(tests::Hex(expected.Encode()), tests::Hex(golden));
  const auto read = Histogram::Decode(golden);
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->count(), 11u);
  EXPECT_EQ(read->max(), UINT64_MAX >> 1);
  for (const int per_mille : {0, 250, 500, 750, 900, 1000}) {
    EXPECT_EQ(read->Quantile(per_mille), expected.Quantile(per_mille));
  }
}

TEST(Metrics, AnotherVersionIsRefusedByItsNumber) {
  std::string bytes = Of({1}).Encode();
  bytes[0] = 2;
  EXPECT_EQ(std::string(Histogram::Decode(bytes).status().message()),
            "histogram: version 2, this build reads version 1");
  EXPECT_EQ(Histogram::Decode("").status().code(), absl::StatusCode::kDataLoss);
}

RC_GTEST_PROP(properties_Histogram, AQuantileIsOffByAtMostASixteenth, ()) {
  std::vector<uint64_t> values = *Values();
  RC_PRE(!values.empty());
  const Histogram histogram = Of(values);
  std::sort(values.begin(), values.end());
  RC_ASSERT(histogram.min() == values.front());
  RC_ASSERT(histogram.max() == values.back());
  for (const uint64_t per_mille : {0, 1, 10, 500, 900, 990, 999, 1000}) {
    const size_t rank = std::max<size_t>(1, (values.size() * per_mille + 999) / 1000);
    const uint64_t exact = values[rank - 1];
    const uint64_t told = histogram.Quantile(static_cast<int>(per_mille));
    RC_ASSERT(told >= exact);
    RC_ASSERT(told - exact <= exact / 16);
    RC_ASSERT(told <= histogram.max());
  }
}

RC_GTEST_PROP(properties_Histogram, QuantilesGrow, ()) {
  const Histogram histogram = Of(*Values());
  uint64_t last = 0;
  for (int per_mille = 0; per_mille <= 1000; per_mille += 50) {
    const uint64_t told = histogram.Quantile(per_mille);
    RC_ASSERT(told >= last);
    last = told;
  }
}

RC_GTEST_PROP(properties_Histogram, AMergeIsTheHistogramOfBoth, ()) {
  const std::vector<uint64_t> some = *Values();
  std::vector<uint64_t> all = *Values();
  Histogram merged = Of(all);
  merged.Merge(Of(some));
  all.insert(all.end(), some.begin(), some.end());
  RC_ASSERT(merged.Encode() == Of(all).Encode());
}

RC_GTEST_PROP(properties_Histogram, WhatIsEncodedIsDecoded, ()) {
  const Histogram histogram = Of(*Values());
  const std::string bytes = histogram.Encode();
  const auto back = Histogram::Decode(bytes);
  RC_ASSERT(back.ok());
  RC_ASSERT(back->Encode() == bytes);
}

RC_GTEST_PROP(properties_Histogram, WhatIsCutIsRefused, ()) {
  const std::vector<uint64_t> values = *Values();
  RC_PRE(!values.empty());
  const std::string bytes = Of(values).Encode();
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    RC_ASSERT(Histogram::Decode(std::string_view(bytes).substr(0, cut)).status().code() ==
              absl::StatusCode::kDataLoss);
  }
}

RC_GTEST_PROP(properties_Histogram, AnyBytesAreDecodedOrRefused, (const std::string& bytes)) {
  const auto result = Histogram::Decode("\x01" + bytes);
  RC_ASSERT(result.ok() || result.status().code() == absl::StatusCode::kDataLoss);
  if (result.ok()) (void)result->Quantile(990);
}

}  // namespace
}  // namespace weir::base
