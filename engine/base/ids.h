// Id<Tag>: a number that cannot be mixed up with another kind of number. Ids are handed out in
// order and never reused within a world, so they sort, hash and print the same in every run.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>
#include <ostream>

namespace weir::base {

template <typename Tag, typename Rep = uint64_t>
class Id {
 public:
  constexpr Id() = default;  // the invalid id, 0
  constexpr explicit Id(Rep value) : value_(value) {}
  constexpr Rep value() const { return value_; }
  constexpr explicit operator bool() const { return value_ != 0; }
  friend constexpr auto operator<=>(Id, Id) = default;
  friend std::ostream& operator<<(std::ostream& out, Id id) { return out << id.value_; }
  template <typename H>
  friend H AbslHashValue(H h, Id id) {
    return H::combine(std::move(h), id.value_);
  }

 private:
  Rep value_ = 0;
};

}  // namespace weir::base
