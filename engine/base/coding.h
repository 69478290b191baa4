// Fixed little-endian and varint integers, the alphabet of every format of ours. Get* take from the
// front of `from` and return false, leaving nothing usable, if it is cut or malformed.
#pragma once

#include <bit>
#include <concepts>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace weir::base {

static_assert(std::endian::native == std::endian::little,
              "formats are little-endian; add byte swaps here");

template <std::unsigned_integral T>
void PutFixed(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}
template <std::unsigned_integral T>
void StoreFixed(char* at, T value) {
  std::memcpy(at, &value, sizeof(value));
}
template <std::unsigned_integral T>
T LoadFixed(const char* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}
template <std::unsigned_integral T>
[[nodiscard]] bool GetFixed(std::string_view& from, T& value) {
  if (from.size() < sizeof(T)) return false;
  value = LoadFixed<T>(from.data());
  from.remove_prefix(sizeof(T));
  return true;
}

inline void PutVarint(std::string& out, uint64_t value) {
  while (value >= 0x80) {
    out.push_back(static_cast<char>(value | 0x80));
    value >>= 7;
  }
  out.push_back(static_cast<char>(value));
}
[[nodiscard]] inline bool GetVarint(std::string_view& from, uint64_t& value) {
  value = 0;
  for (int shift = 0; shift < 64 && !from.empty(); shift += 7) {
    const auto byte = static_cast<uint8_t>(from.front());
    from.remove_prefix(1);
    if (shift == 63 && byte > 1) return false;  // does not fit 64 bits
    value |= uint64_t{byte & 0x7fu} << shift;
    if (byte < 0x80) return true;
  }
  return false;
}

// A length as varint, then the bytes. The view lives as long as what it was taken from.
inline void PutBytes(std::string& out, std::string_view bytes) {
  PutVarint(out, bytes.size());
  out.append(bytes);
}
[[nodiscard]] inline bool GetBytes(std::string_view& from, std::string_view& bytes) {
  uint64_t size = 0;
  if (!GetVarint(from, size) || size > from.size()) return false;
  bytes = from.substr(0, size);
  from.remove_prefix(size);
  return true;
}

}  // namespace weir::base
