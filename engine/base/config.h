// Configuration: typed keys, each declared once in config_keys.h with its range, default and
// meaning. Reading a key cannot fail: values are checked when they are set. An unknown key, a value
// of the wrong type or out of range is refused with one line that names the key, the value, the
// range and the nearest key there is.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "engine/base/time.h"

namespace weir::base {

// What a value is made of. Durations are written "250ms", "10s", "5min", "1h"; sizes "64kb",
// "16mb", "1gb".
enum class KeyType { kBool, kInt, kDuration, kBytes, kString };

struct KeyInfo {
  std::string_view name;
  KeyType type;
  std::string_view fallback;  // the default, as a user would write it
  int64_t low = 0;            // closed range: nanoseconds for durations, bytes for sizes
  int64_t high = 0;
  std::string_view choices;  // kString: the allowed words, separated by '|'; empty means any text
  std::string_view meaning;  // one sentence
};

// A key whose values are T: bool, int64_t, Duration or std::string. Sizes are int64_t bytes.
template <typename T>
struct Key : KeyInfo {};

class Config {
 public:
  explicit Config(const std::vector<const KeyInfo*>& table);
  Config();  // the project's own table

  absl::Status Set(std::string_view name, std::string_view value);
  // Lines "key: value"; '#' starts a comment. `source` names the text in errors, with the line.
  absl::Status ParseText(std::string_view text, std::string_view source);
  // "key=value", as on a command line (-D key=value).
  absl::Status ParseFlag(std::string_view flag);

  bool Get(const Key<bool>& key) const;
  int64_t Get(const Key<int64_t>& key) const;
  Duration Get(const Key<Duration>& key) const;
  std::string Get(const Key<std::string>& key) const;

  // Every key with its effective value, "key: value" a line, in the order of the table; "# default"
  // behind unset ones.
  std::string ToText() const;

 private:
  struct Value {
    std::string text;
    int64_t number = 0;
    bool is_default = true;
  };
  const Value& Find(std::string_view name) const;

  std::vector<const KeyInfo*> table_;
  std::map<std::string, Value, std::less<>> values_;
};

}  // namespace weir::base
