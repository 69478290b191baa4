// Log: lines for the operator of a cluster, levelled, with the time of the world (virtual in the
// simulator), the process and the task. A level that is off costs a comparison.
//
//   env.log.Info("checkpoint", "completed ", id, " in ", base::ToString(took));
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "engine/base/text.h"

namespace weir::io {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError, kOff };

class Log {
 public:
  virtual ~Log() = default;

  bool Enabled(LogLevel level) const { return level >= level_; }
  void set_level(LogLevel level) { level_ = level; }

  // `component` is a word: checkpoint, exchange, rest.
  template <typename... Parts>
  void Debug(std::string_view component, const Parts&... parts) {
    Put(LogLevel::kDebug, component, parts...);
  }
  template <typename... Parts>
  void Info(std::string_view component, const Parts&... parts) {
    Put(LogLevel::kInfo, component, parts...);
  }
  template <typename... Parts>
  void Warn(std::string_view component, const Parts&... parts) {
    Put(LogLevel::kWarn, component, parts...);
  }
  template <typename... Parts>
  void Error(std::string_view component, const Parts&... parts) {
    Put(LogLevel::kError, component, parts...);
  }

 protected:
  // One line, without its end. From any thread.
  virtual void Write(LogLevel level, std::string_view component, std::string_view text) = 0;

 private:
  static absl::AlphaNum Part(std::string_view text) { return base::Abseil(text); }
  static absl::AlphaNum Part(const char* text) { return text; }
  static absl::AlphaNum Part(const std::string& text) { return text; }
  template <typename T>
  static absl::AlphaNum Part(const T& value) {
    return absl::AlphaNum(value);
  }

  template <typename... Parts>
  void Put(LogLevel level, std::string_view component, const Parts&... parts) {
    if (Enabled(level)) Write(level, component, absl::StrCat(Part(parts)...));
  }

  LogLevel level_ = LogLevel::kInfo;
};

// "INFO"; and back: kInfo for "info", kOff for "off". CHECKs that the word is one.
std::string_view ToString(LogLevel level);
LogLevel ParseLogLevel(std::string_view word);

// The line as every world prints it: "12.345678s INFO checkpoint [host/process task] text".
std::string LogLine(std::string_view time, LogLevel level, std::string_view component,
                    std::string_view place, std::string_view text);

}  // namespace weir::io
