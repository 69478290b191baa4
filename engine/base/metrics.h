// Counters, gauges and histograms as plain integers, owned by the executor that counts, folded into
// a Registry by name when somebody asks. Counting costs an addition; nothing is atomic, nothing is
// looked up per event.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace weir::base {

class Counter {
 public:
  void Add(uint64_t n = 1) { value_ += n; }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0;
};

class Gauge {
 public:
  void Set(int64_t value) { value_ = value; }
  void Add(int64_t n) { value_ += n; }
  int64_t value() const { return value_; }

 private:
  int64_t value_ = 0;
};

// A log-linear histogram of non-negative integers: 16 buckets an octave, so a quantile is off by at
// most 6.25 %. Fixed buckets merge across processes and versions; Encode is a durable format, held
// by a golden file.
class Histogram {
 public:
  static constexpr int kSubBuckets = 16;
  static constexpr int kBuckets = 16 + 60 * kSubBuckets;

  void Record(uint64_t value);
  void Merge(const Histogram& other);

  uint64_t count() const { return count_; }
  uint64_t sum() const { return sum_; }
  uint64_t min() const { return count_ == 0 ? 0 : min_; }
  uint64_t max() const { return max_; }
  // The upper edge of the bucket that holds the given rank, never above max(). `per_mille` in [0,
  // 1000].
  uint64_t Quantile(int per_mille) const;

  std::string Encode() const;
  static absl::StatusOr<Histogram> Decode(std::string_view bytes);

 private:
  static int BucketOf(uint64_t value);
  static uint64_t UpperEdge(int bucket);

  uint64_t count_ = 0;
  uint64_t sum_ = 0;
  uint64_t min_ = UINT64_MAX;
  uint64_t max_ = 0;
  std::array<uint64_t, kBuckets> buckets_{};
};

// Names to the instruments of one process or task. Instruments live as long as the registry; a name
// asked twice is the same instrument. One executor uses one registry.
class Registry {
 public:
  Counter& counter(std::string_view name) { return Find(counters_, name); }
  Gauge& gauge(std::string_view name) { return Find(gauges_, name); }
  Histogram& histogram(std::string_view name) { return Find(histograms_, name); }

  // A line each, sorted by name: "name 42", histograms with count, mean and quantiles.
  std::string ToText() const;

 private:
  template <typename T>
  static T& Find(std::map<std::string, T, std::less<>>& of, std::string_view name) {
    const auto it = of.find(name);
    return it != of.end() ? it->second : of[std::string(name)];
  }

  std::map<std::string, Counter, std::less<>> counters_;
  std::map<std::string, Gauge, std::less<>> gauges_;
  std::map<std::string, Histogram, std::less<>> histograms_;
};

}  // namespace weir::base
