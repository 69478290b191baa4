#include "engine/base/metrics.h"

#include <algorithm>
#include <bit>

#include "absl/strings/str_format.h"
#include "engine/base/check.h"
#include "engine/base/coding.h"

namespace weir::base {
namespace {

constexpr char kVersion = 1;

}  // namespace

int Histogram::BucketOf(uint64_t value) {
  if (value < 16) return static_cast<int>(value);
  const int octave = std::bit_width(value) - 5;  // 0 for 16..31
  return 16 + octave * kSubBuckets + static_cast<int>((value >> octave) & (kSubBuckets - 1));
}

uint64_t Histogram::UpperEdge(int bucket) {
  if (bucket < 16) return static_cast<uint64_t>(bucket);
  const int octave = (bucket - 16) / kSubBuckets;
  const uint64_t base = static_cast<uint64_t>(16 + (bucket - 16) % kSubBuckets);
  return ((base + 1) << octave) - 1;
}

void Histogram::Record(uint64_t value) {
  ++count_;
  sum_ += value;
  min_ = std::min(min_, value);
  max_ = std::max(max_, value);
  ++buckets_[static_cast<size_t>(BucketOf(value))];
}

void Histogram::Merge(const Histogram& other) {
  count_ += other.count_;
  sum_ += other.sum_;
  min_ = std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  for (size_t i = 0; i < buckets_.size(); ++i) buckets_[i] += other.buckets_[i];
}

uint64_t Histogram::Quantile(int per_mille) const {
  CHECK_GE(per_mille, 0);
  CHECK_LE(per_mille, 1000);
  if (count_ == 0) return 0;
  const auto wide = static_cast<unsigned __int128>(count_) * static_cast<unsigned>(per_mille) + 999;
  const uint64_t rank = std::max<uint64_t>(1, static_cast<uint64_t>(wide / 1000));
  uint64_t seen = 0;
  for (int i = 0; i < kBuckets; ++i) {
    seen += buckets_[static_cast<size_t>(i)];
    if (seen >= rank) return std::clamp(UpperEdge(i), min_, max_);
  }
  return max_;
}

// version, count, sum, min, max, then (bucket, count) pairs of the non-empty buckets in order; all
// but the version are varints.
std::string Histogram::Encode() const {
  std::string out(1, kVersion);
  for (const uint64_t value : {count_, sum_, min_, max_}) PutVarint(out, value);
  for (size_t i = 0; i < buckets_.size(); ++i) {
    if (buckets_[i] == 0) continue;
    PutVarint(out, i);
    PutVarint(out, buckets_[i]);
  }
  return out;
}

absl::StatusOr<Histogram> Histogram::Decode(std::string_view bytes) {
  if (bytes.empty() || bytes[0] != kVersion) {
    return absl::DataLossError(absl::StrFormat("histogram: version %d, this build reads version %d",
                                               bytes.empty() ? -1 : int{bytes[0]}, int{kVersion}));
  }
  bytes.remove_prefix(1);
  Histogram result;
  uint64_t total = 0;
  bool good = GetVarint(bytes, result.count_) && GetVarint(bytes, result.sum_) &&
              GetVarint(bytes, result.min_) && GetVarint(bytes, result.max_);
  int first = -1;
  int last = -1;
  while (good && !bytes.empty()) {
    uint64_t bucket = 0;
    uint64_t count = 0;
    good = GetVarint(bytes, bucket) && GetVarint(bytes, count) && bucket < uint64_t{kBuckets} &&
           static_cast<int>(bucket) > last && count > 0 &&
           !__builtin_add_overflow(total, count, &total);
    if (!good) break;
    result.buckets_[bucket] = count;
    last = static_cast<int>(bucket);
    if (first < 0) first = last;
  }
  // The extremes lie where the buckets say, so that every quantile lies between them.
  if (good && total > 0) {
    good = result.min_ <= result.max_ && BucketOf(result.min_) == first &&
           BucketOf(result.max_) == last;
  } else if (good) {
    good = result.min_ == UINT64_MAX && result.max_ == 0 && result.sum_ == 0;
  }
  if (!good || total != result.count_) {
    return absl::DataLossError(absl::StrFormat(
        "histogram: cut or corrupt, %d values counted of %d declared", total, result.count_));
  }
  return result;
}

std::string Registry::ToText() const {
  std::map<std::string, std::string> lines;
  for (const auto& [name, counter] : counters_)
    lines[name] = absl::StrFormat("%s %d\n", name, counter.value());
  for (const auto& [name, gauge] : gauges_)
    lines[name] = absl::StrFormat("%s %d\n", name, gauge.value());
  for (const auto& [name, h] : histograms_) {
    lines[name] = absl::StrFormat("%s count=%d mean=%d p50=%d p99=%d p999=%d max=%d\n", name,
                                  h.count(), h.count() == 0 ? 0 : h.sum() / h.count(),
                                  h.Quantile(500), h.Quantile(990), h.Quantile(999), h.max());
  }
  std::string text;
  for (const auto& [name, line] : lines) text += line;
  return text;
}

}  // namespace weir::base
