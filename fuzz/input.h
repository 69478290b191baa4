// Input: the bytes of a fuzz target, taken from the front. Numbers are one byte or a few, so that a
// mutation of one byte is a small change of one decision. What is not there any more reads as 0.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir::fuzz {

class Input {
 public:
  Input(const uint8_t* data, size_t size) : rest_(reinterpret_cast<const char*>(data), size) {}

  bool empty() const { return rest_.empty(); }
  uint8_t Byte() {
    if (rest_.empty()) return 0;
    const auto byte = static_cast<uint8_t>(rest_.front());
    rest_.remove_prefix(1);
    return byte;
  }
  // In the closed range, which holds at most 256 values.
  uint64_t Between(uint64_t low, uint64_t high) { return low + Byte() % (high - low + 1); }
  std::string_view Take(size_t bytes) {
    const std::string_view taken = rest_.substr(0, bytes);
    rest_.remove_prefix(taken.size());
    return taken;
  }
  std::string_view Rest() { return Take(rest_.size()); }

 private:
  std::string_view rest_;
};

}  // namespace weir::fuzz
