// Small helpers for words: Debian's absl::string_view is not std::string_view, and a message that
// names the nearest valid word saves its reader a search.
#pragma once

#include <string_view>
#include <vector>

#include "absl/strings/string_view.h"

namespace weir::base {

inline absl::string_view Abseil(std::string_view text) {
  return absl::string_view(text.data(), text.size());
}
inline std::string_view Std(absl::string_view text) {
  return std::string_view(text.data(), text.size());
}

// The word of `words` with the smallest edit distance to `word`; "" if there are none.
std::string_view Nearest(std::string_view word, const std::vector<std::string_view>& words);

}  // namespace weir::base
