#include "engine/base/random.h"

#include <bit>

#include "engine/base/hash.h"

namespace weir::base {
namespace {

uint64_t SplitMix(uint64_t& state) {
  uint64_t z = (state += 0x9e3779b97f4a7c15);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(uint64_t seed, Witness* witness) : seed_(seed), witness_(witness) {
  uint64_t state = seed;
  for (uint64_t& word : state_) word = SplitMix(state);
}

Random Random::Fork(std::string_view name) const { return Random(Hash64(name, seed_), witness_); }

Random Random::Fork(uint64_t number) const {
  uint64_t state = seed_ ^ (number * 0xd6e8feb86659fd93);
  return Random(SplitMix(state), witness_);
}

uint64_t Random::Step() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t t = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= t;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

uint64_t Random::Between(uint64_t low, uint64_t high) {
  CHECK_LE(low, high);
  const uint64_t span = high - low + 1;  // 0 means all 2^64
  const uint64_t draw = Next();
  if (span == 0) return draw;
  // Multiply-shift: one draw a call, so that the number of draws never depends on the values drawn.
  // The bias is below span / 2^64.
  return low + static_cast<uint64_t>((static_cast<unsigned __int128>(draw) * span) >> 64);
}

int64_t Random::Between(int64_t low, int64_t high) {
  CHECK_LE(low, high);
  // Two's complement: shifting both ends by 2^63 keeps their order and their distance.
  constexpr uint64_t kShift = uint64_t{1} << 63;
  return static_cast<int64_t>(
      Between(static_cast<uint64_t>(low) + kShift, static_cast<uint64_t>(high) + kShift) - kShift);
}

bool Random::Chance(Ratio ratio) {
  CHECK_GT(ratio.denominator, 0u);
  return Between(uint64_t{0}, ratio.denominator - 1) < ratio.numerator;
}

Duration Random::LogNormal(Duration median) {
  // 36 fair coins: mean 18, deviation 3. A step of one coin is a factor of sqrt(2), so a deviation
  // is a factor 2.8.
  const uint64_t draw = Next();
  const int steps = std::popcount(draw & ((uint64_t{1} << 36) - 1)) - 18;
  const __int128 nanos = median.count();
  // sqrt(2) to five places as a fraction, for odd steps.
  __int128 scaled = steps % 2 == 0 ? nanos
                    : steps > 0    ? nanos * 141421 / 100000
                                   : nanos * 100000 / 141421;
  const int halvings = steps / 2;
  scaled = halvings >= 0 ? scaled << halvings : scaled >> -halvings;
  // A place within the step, so that the values are not a lattice.
  const __int128 within = static_cast<__int128>(draw >> 40);  // 24 bits
  scaled += (scaled * within * 41421 / 100000) >> 24;
  constexpr __int128 kLongest = Duration::max().count() / 2;
  return Duration(static_cast<int64_t>(scaled < kLongest ? scaled : kLongest));
}

Duration Random::Exponential(Duration mean) {
  // The number of leading zeros of a uniform word is geometric with ratio 1/2: whole multiples of
  // mean * ln 2. The fraction below is taken as uniform, which errs by at most 4 % of the density.
  const uint64_t draw = Next();
  const int zeros = std::countl_zero(draw | 1);
  const uint64_t rest = draw << (zeros + 1 > 63 ? 63 : zeros + 1) >> 32;  // 32 bits of fraction
  const __int128 unit = static_cast<__int128>(mean.count()) * 693147 / 1000000;
  return Duration(
      static_cast<int64_t>(unit * zeros + ((unit * static_cast<__int128>(rest)) >> 32)));
}

}  // namespace weir::base
