// Hashes whose values are for ever: XXH3 with fixed seeds. What is written to disk, sent to a peer,
// or folded into the identity of a run uses these and never std::hash or absl::Hash, which differ
// between processes and libraries.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace weir::base {

uint64_t Hash64(std::string_view bytes, uint64_t seed = 0);

struct Hash128 {
  uint64_t high = 0;
  uint64_t low = 0;
  friend auto operator<=>(const Hash128&, const Hash128&) = default;
  std::string ToHex() const;  // 32 digits
};
Hash128 HashContent(std::string_view bytes);

// Streaming form of HashContent for what does not fit into memory.
class ContentHasher {
 public:
  ContentHasher();
  ~ContentHasher();
  ContentHasher(const ContentHasher&) = delete;
  ContentHasher& operator=(const ContentHasher&) = delete;
  void Add(std::string_view bytes);
  Hash128 Finish() const;

 private:
  void* state_;
};

// An order-sensitive running hash of 64-bit words: the identity of a simulated run. Two
// multiplications a word.
class RollingHash {
 public:
  void Add(uint64_t word) {
    value_ = (value_ ^ word) * 0x9fb21c651e98df25;
    value_ ^= value_ >> 32;
  }
  void Add(std::string_view bytes) { Add(Hash64(bytes)); }
  uint64_t value() const { return value_; }

 private:
  uint64_t value_ = 0x57656972;  // "Weir"
};

}  // namespace weir::base
