#include "engine/base/time.h"

#include "absl/strings/str_format.h"
#include "absl/time/time.h"

namespace weir::base {

std::string ToString(Duration d) {
  const int64_t nanos = d.count();
  const uint64_t magnitude =
      nanos < 0 ? uint64_t{0} - static_cast<uint64_t>(nanos) : static_cast<uint64_t>(nanos);
  return absl::StrFormat("%s%d.%06ds", nanos < 0 ? "-" : "", magnitude / 1'000'000'000,
                         magnitude / 1'000 % 1'000'000);
}

std::string ToString(WallTime t) {
  return absl::FormatTime("%Y-%m-%d%ET%H:%M:%E6SZ", absl::FromUnixNanos(Nanos(t)),
                          absl::UTCTimeZone());
}

}  // namespace weir::base
