#include "engine/base/config.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "engine/base/check.h"
#include "engine/base/config_keys.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"

namespace weir::base {
namespace {

struct Unit {
  std::string_view suffix;
  int64_t factor;
};
constexpr std::array<Unit, 7> kTimeUnits = {{{"ns", 1},
                                             {"us", 1'000},
                                             {"ms", 1'000'000},
                                             {"s", 1'000'000'000},
                                             {"min", 60'000'000'000},
                                             {"h", 3'600'000'000'000},
                                             {"d", 86'400'000'000'000}}};
constexpr std::array<Unit, 5> kByteUnits = {
    {{"b", 1}, {"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}, {"tb", int64_t{1} << 40}}};

// "10s" -> 10 * 10^9. Nothing is guessed: a number without a unit is refused by giving nullopt.
template <size_t N>
std::optional<int64_t> ParseWithUnit(std::string_view text, const std::array<Unit, N>& units) {
  int64_t number = 0;
  const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return std::nullopt;
  std::string_view suffix(rest, static_cast<size_t>(text.data() + text.size() - rest));
  while (!suffix.empty() && suffix.front() == ' ') suffix.remove_prefix(1);
  if (suffix.empty() && number == 0) return 0;
  for (const Unit& unit : units) {
    int64_t product = 0;
    if (suffix == unit.suffix && !__builtin_mul_overflow(number, unit.factor, &product))
      return product;
  }
  return std::nullopt;
}

template <size_t N>
std::string WithUnit(int64_t number, const std::array<Unit, N>& units) {
  const Unit* best = &units[0];
  for (const Unit& unit : units) {
    if (number != 0 && number % unit.factor == 0) best = &unit;
  }
  return absl::StrFormat("%d%s", number / best->factor, Abseil(best->suffix));
}

std::optional<int64_t> ParseNumber(const KeyInfo& key, std::string_view text) {
  switch (key.type) {
    case KeyType::kBool:
      if (text == "true") return 1;
      if (text == "false") return 0;
      return std::nullopt;
    case KeyType::kInt: {
      int64_t number = 0;
      const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
      if (error != std::errc() || rest != text.data() + text.size()) return std::nullopt;
      return number;
    }
    case KeyType::kDuration:
      return ParseWithUnit(text, kTimeUnits);
    case KeyType::kBytes:
      return ParseWithUnit(text, kByteUnits);
    case KeyType::kString:
      return 0;
  }
  return std::nullopt;
}

// What a user may write, in words.
std::string Allowed(const KeyInfo& key) {
  switch (key.type) {
    case KeyType::kBool:
      return "true or false";
    case KeyType::kInt:
      return absl::StrFormat("a whole number from %d to %d", key.low, key.high);
    case KeyType::kDuration:
      return absl::StrFormat("a duration from %s to %s, such as %s", WithUnit(key.low, kTimeUnits),
                             WithUnit(key.high, kTimeUnits), Abseil(key.fallback));
    case KeyType::kBytes:
      return absl::StrFormat("a size from %s to %s, such as %s", WithUnit(key.low, kByteUnits),
                             WithUnit(key.high, kByteUnits), Abseil(key.fallback));
    case KeyType::kString:
      return key.choices.empty()
                 ? "any text"
                 : "one of " + absl::StrJoin(absl::StrSplit(Abseil(key.choices), '|'), ", ");
  }
  return "";
}

bool InRange(const KeyInfo& key, std::string_view text, int64_t number) {
  if (key.type == KeyType::kBool) return true;
  if (key.type != KeyType::kString) return key.low <= number && number <= key.high;
  if (key.choices.empty()) return true;
  for (const absl::string_view choice : absl::StrSplit(Abseil(key.choices), '|')) {
    if (text == Std(choice)) return true;
  }
  return false;
}

}  // namespace

Config::Config() : Config(AllKeys()) {}

Config::Config(const std::vector<const KeyInfo*>& table) : table_(table) {
  for (const KeyInfo* key : table_) {
    CHECK_OK(Set(key->name, key->fallback));
    values_.find(key->name)->second.is_default = true;
  }
}

absl::Status Config::Set(std::string_view name, std::string_view value) {
  const auto it = std::find_if(table_.begin(), table_.end(),
                               [&](const KeyInfo* key) { return key->name == name; });
  if (it == table_.end()) {
    std::vector<std::string_view> names;
    for (const KeyInfo* key : table_) names.push_back(key->name);
    return absl::InvalidArgumentError(absl::StrFormat(
        "unknown configuration key \"%s\"; did you mean \"%s\"? `weir config` lists all keys",
        Abseil(name), Abseil(Nearest(name, names))));
  }
  const KeyInfo& key = **it;
  const std::optional<int64_t> number = ParseNumber(key, value);
  if (!number.has_value() || !InRange(key, value, *number)) {
    return absl::InvalidArgumentError(
        absl::StrFormat("configuration key \"%s\": value \"%s\" is not %s", Abseil(name),
                        Abseil(value), Allowed(key)));
  }
  values_[std::string(name)] = Value{std::string(value), *number, false};
  return absl::OkStatus();
}

absl::Status Config::ParseText(std::string_view text, std::string_view source) {
  int line_number = 0;
  for (absl::string_view line : absl::StrSplit(Abseil(text), '\n')) {
    ++line_number;
    // A '#' inside a value stays, as in YAML: a comment starts the line, follows a space, or stands
    // where the value would begin.
    const size_t value_begin = line.find(':') + 1;
    for (size_t at = line.find('#'); at != absl::string_view::npos; at = line.find('#', at + 1)) {
      if (at == 0 || at == value_begin || line[at - 1] == ' ') {
        line = line.substr(0, at);
        break;
      }
    }
    line = absl::StripAsciiWhitespace(line);
    if (line.empty()) continue;
    const size_t colon = line.find(':');
    absl::Status status;
    if (colon == absl::string_view::npos) {
      status = absl::InvalidArgumentError(
          absl::StrFormat("\"%s\" is not of the form `key: value`", line));
    } else {
      status = Set(Std(absl::StripAsciiWhitespace(line.substr(0, colon))),
                   Std(absl::StripAsciiWhitespace(line.substr(colon + 1))));
    }
    if (!status.ok()) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s:%d: %s", Abseil(source), line_number, status.message()));
    }
  }
  return absl::OkStatus();
}

absl::Status Config::ParseFlag(std::string_view flag) {
  const size_t equals = flag.find('=');
  if (equals == std::string_view::npos) {
    return absl::InvalidArgumentError(
        absl::StrFormat("-D \"%s\" is not of the form key=value", Abseil(flag)));
  }
  return Set(flag.substr(0, equals), flag.substr(equals + 1));
}

const Config::Value& Config::Find(std::string_view name) const {
  const auto it = values_.find(name);
  CHECK(it != values_.end()) << "key " << name << " is not in this configuration's table";
  return it->second;
}

bool Config::Get(const Key<bool>& key) const { return Find(key.name).number != 0; }
int64_t Config::Get(const Key<int64_t>& key) const { return Find(key.name).number; }
Duration Config::Get(const Key<Duration>& key) const { return Duration(Find(key.name).number); }
std::string Config::Get(const Key<std::string>& key) const { return Find(key.name).text; }

std::string Config::ToText() const {
  std::string text;
  for (const KeyInfo* key : table_) {
    const Value& value = Find(key->name);
    absl::StrAppendFormat(&text, "%s: %s%s\n", Abseil(key->name), value.text,
                          value.is_default ? "  # default" : "");
  }
  return text;
}

}  // namespace weir::base
