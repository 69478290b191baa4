#include "engine/io/log.h"

#include <array>

#include "absl/strings/str_format.h"
#include "engine/base/check.h"

namespace weir::io {
namespace {

struct LevelWords {
  std::string_view shown;
  std::string_view key;
};
constexpr std::array<LevelWords, 5> kWords = {
    {{"DEBUG", "debug"}, {"INFO", "info"}, {"WARN", "warn"}, {"ERROR", "error"}, {"OFF", "off"}}};

}  // namespace

std::string_view ToString(LogLevel level) { return kWords[static_cast<size_t>(level)].shown; }

LogLevel ParseLogLevel(std::string_view word) {
  for (size_t i = 0; i < kWords.size(); ++i) {
    if (kWords[i].key == word) return static_cast<LogLevel>(i);
  }
  CHECK(false) << "log level \"" << word << "\" passed the configuration's check";
  return LogLevel::kInfo;
}

std::string LogLine(std::string_view time, LogLevel level, std::string_view component,
                    std::string_view place, std::string_view text) {
  return absl::StrFormat("%s %-5s %s [%s] %s\n", base::Abseil(time), base::Abseil(ToString(level)),
                         base::Abseil(component), base::Abseil(place), base::Abseil(text));
}

}  // namespace weir::io
