// Random: a stream of integers that a seed decides for ever, on every compiler and library.
//
// Integers and closed ranges only: std:: distributions and floating point differ between libraries.
// Fork by name gives each concern its own stream, so that a new draw in one place does not move the
// others. Never draw twice in one argument list: the order of evaluation is the compiler's.
#pragma once

#include <cstdint>
#include <string_view>

#include "engine/base/check.h"
#include "engine/base/time.h"

namespace weir::base {

// A probability as a fraction of integers: Ratio{1, 100} is one per cent.
struct Ratio {
  uint64_t numerator = 0;
  uint64_t denominator = 1;
  friend bool operator==(Ratio, Ratio) = default;
};

class Random {
 public:
  // Sees every draw of a stream and of all its forks, in order: the simulator folds them into the
  // identity of a run.
  class Witness {
   public:
    virtual ~Witness() = default;
    virtual void OnDraw(uint64_t value) = 0;
  };

  explicit Random(uint64_t seed, Witness* witness = nullptr);

  // A stream of its own, decided by this stream's seed and `name` alone: forking draws nothing.
  Random Fork(std::string_view name) const;
  Random Fork(uint64_t number) const;

  uint64_t Next() {
    const uint64_t value = Step();
    if (witness_ != nullptr) witness_->OnDraw(value);
    return value;
  }

  // Uniform in the closed range [low, high].
  uint64_t Between(uint64_t low, uint64_t high);
  int64_t Between(int64_t low, int64_t high);
  int Between(int low, int high) { return static_cast<int>(Between(int64_t{low}, int64_t{high})); }
  Duration Between(Duration low, Duration high) {
    return Duration(Between(int64_t{low.count()}, int64_t{high.count()}));
  }
  bool Chance(Ratio ratio);

  // Log-normal around `median`: half the draws lie in [median/2, 2*median], one in a hundred beyond
  // 16 times. Made of integers: the sum of coin flips stands for the normal distribution.
  Duration LogNormal(Duration median);
  // Exponential with the given mean, from a table of powers of two.
  Duration Exponential(Duration mean);

  uint64_t seed() const { return seed_; }

 private:
  uint64_t Step();  // xoshiro256**

  uint64_t seed_;
  Witness* witness_;
  uint64_t state_[4];
};

}  // namespace weir::base
