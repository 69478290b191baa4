#include "faults/plan.h"

#include <algorithm>
#include <optional>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"
#include "faults/kinds.h"

namespace weir::faults {
namespace {

using base::Duration;

struct Unit {
  std::string_view name;
  int64_t nanos;
};
constexpr Unit kUnits[] = {{"s", 1'000'000'000}, {"ms", 1'000'000}, {"us", 1'000}, {"ns", 1}};

// Exact, in the largest unit of which there is one: "1.25s", "300ms".
std::string Text(Duration time) {
  for (const Unit& unit : kUnits) {
    if (time.count() < unit.nanos) continue;
    std::string text = absl::StrFormat("%d", time.count() / unit.nanos);
    if (const int64_t rest = time.count() % unit.nanos; rest != 0) {
      // As many digits as the unit has zeros.
      std::string digits = absl::StrFormat("%d", unit.nanos + rest).substr(1);
      digits.erase(digits.find_last_not_of('0') + 1);
      text += "." + digits;
    }
    return text + std::string(unit.name);
  }
  return "0s";
}

bool IsPlain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.';
}

std::string Quoted(std::string_view name) {
  if (!name.empty() && std::all_of(name.begin(), name.end(), IsPlain)) return std::string(name);
  std::string text = "\"";
  for (const char c : name) {
    if (c == '"' || c == '\\') text += '\\';
    text += c;
  }
  return text + "\"";
}

std::string NameText(uint32_t index, const std::vector<std::string>& names) {
  if (names.empty()) return absl::StrFormat("#%d", index);
  return Quoted(names[index % names.size()]);
}

struct Word {
  std::string text;
  size_t column = 0;  // of its first character, from 1
  bool quoted = false;
};

// One line of the text form as words. A word is quoted, or reaches to the next blank.
class Line {
 public:
  Line(std::string_view text, std::string_view source, size_t number)
      : source_(source), number_(number), end_column_(text.size() + 1) {
    for (size_t at = 0; at < text.size();) {
      if (text[at] == ' ' || text[at] == '\t' || text[at] == '\r') {
        ++at;
        continue;
      }
      Word word{.text = {}, .column = at + 1, .quoted = text[at] == '"'};
      if (word.quoted) {
        for (++at; at < text.size() && text[at] != '"'; ++at) {
          if (text[at] == '\\' && at + 1 < text.size()) ++at;
          word.text += text[at];
        }
        if (at == text.size()) unclosed_ = word.column;
        ++at;
      } else {
        while (at < text.size() && text[at] != ' ' && text[at] != '\t' && text[at] != '\r') {
          word.text += text[at++];
        }
      }
      words_.push_back(std::move(word));
    }
  }

  size_t number() const { return number_; }
  size_t unclosed() const { return unclosed_; }
  bool empty() const { return words_.empty() || words_[0].text.substr(0, 1) == "#"; }
  bool done() const { return next_ == words_.size(); }
  bool Follows(std::string_view word) const {
    return !done() && !words_[next_].quoted && words_[next_].text == word;
  }
  // Takes the word if it is next.
  bool Take(std::string_view word) {
    if (!Follows(word)) return false;
    ++next_;
    return true;
  }
  absl::StatusOr<Word> Next(std::string_view what) {
    if (done()) return Error(end_column_, absl::StrFormat("%s is missing", base::Abseil(what)));
    return words_[next_++];
  }
  absl::Status Expect(std::string_view word, std::string_view after) {
    if (Take(word)) return absl::OkStatus();
    return Error(column(), absl::StrFormat("\"%s\" is missing after %s", base::Abseil(word),
                                           base::Abseil(after)));
  }
  size_t column() const { return done() ? end_column_ : words_[next_].column; }
  absl::Status Error(size_t column, std::string_view what) const {
    return absl::InvalidArgumentError(absl::StrFormat("%s:%d:%d: %s", base::Abseil(source_),
                                                      number_, column, base::Abseil(what)));
  }

  absl::StatusOr<int64_t> Integer(std::string_view what, int64_t low, int64_t high) {
    ASSIGN_OR_RETURN(const Word word, Next(what));
    int64_t value = 0;
    if (!absl::SimpleAtoi(word.text, &value) || value < low || value > high) {
      return Error(word.column, absl::StrFormat("%s \"%s\": not a whole number from %d to %d",
                                                base::Abseil(what), word.text, low, high));
    }
    return value;
  }

  absl::StatusOr<Duration> Time(std::string_view what, std::string_view prefix = "") {
    ASSIGN_OR_RETURN(const Word word, Next(what));
    std::string_view rest = std::string_view(word.text).substr(prefix.size());
    const size_t digits = std::min(rest.find_first_not_of("0123456789"), rest.size());
    std::string_view fraction;
    std::string_view unit = rest.substr(digits);
    if (unit.substr(0, 1) == ".") {
      const size_t end = std::min(unit.find_first_not_of("0123456789", 1), unit.size());
      fraction = unit.substr(1, end - 1);
      unit = unit.substr(end);
    }
    for (const Unit& known : kUnits) {
      uint64_t whole = 0;
      if (unit != known.name || !absl::SimpleAtoi(base::Abseil(rest.substr(0, digits)), &whole) ||
          whole > static_cast<uint64_t>(kLongestTime.count() / known.nanos)) {
        continue;
      }
      int64_t nanos = static_cast<int64_t>(whole) * known.nanos;
      int64_t place = known.nanos;
      for (const char digit : fraction) nanos += (place /= 10) * (digit - '0');
      return std::min(Duration(nanos), kLongestTime);
    }
    return Error(
        word.column,
        absl::StrFormat("%s \"%s\": not a time from 0s to %s; write it as 250us, 300ms or 1.5s",
                        base::Abseil(what), word.text, Text(kLongestTime)));
  }

  absl::StatusOr<uint32_t> Name(std::string_view what, const std::vector<std::string>& names) {
    ASSIGN_OR_RETURN(const Word word, Next(what));
    uint32_t index = 0;
    if (!word.quoted && word.text.substr(0, 1) == "#" &&
        absl::SimpleAtoi(absl::string_view(word.text).substr(1), &index)) {
      return index;
    }
    const auto it = std::find(names.begin(), names.end(), word.text);
    if (it != names.end()) return static_cast<uint32_t>(it - names.begin());
    std::vector<std::string_view> known(names.begin(), names.end());
    return Error(word.column,
                 absl::StrFormat(
                     "%s \"%s\": the scenario has none of this name; did you mean \"%s\"?",
                     base::Abseil(what), word.text, base::Abseil(base::Nearest(word.text, known))));
  }

  absl::StatusOr<base::Probe> Probe() {
    ASSIGN_OR_RETURN(const Word word, Next("the name of a probe"));
    std::vector<std::string_view> names;
    for (const base::ProbeInfo& info : base::kProbes) {
      if (info.name == word.text) return info.probe;
      names.push_back(info.name);
    }
    return Error(word.column,
                 absl::StrFormat("probe \"%s\": there is none of this name; did you mean \"%s\"? "
                                 "`weir sim probes SCENARIO` lists them",
                                 word.text, base::Abseil(base::Nearest(word.text, names))));
  }

 private:
  std::string_view source_;
  size_t number_;
  size_t end_column_;
  size_t unclosed_ = 0;
  std::vector<Word> words_;
  size_t next_ = 0;
};

absl::StatusOr<When> ParseWhen(Line& line, const Word& word, const Names& names) {
  When when;
  if (word.text == "at") {
    ASSIGN_OR_RETURN(when.offset, line.Time("the time of the event"));
    return when;
  }
  if (word.text == "before") {
    when.form = When::Form::kBefore;
  } else if (word.text == "after") {
    when.form = When::Form::kAfter;
  } else if (word.text == "while") {
    when.form = When::Form::kWhile;
  } else {
    return line.Error(word.column,
                      absl::StrFormat("\"%s\": a line begins with set, at, before, after or while; "
                                      "for example: at 1.5s kill #0 for 300ms",
                                      word.text));
  }
  ASSIGN_OR_RETURN(when.probe, line.Probe());
  ASSIGN_OR_RETURN(const int64_t hit, line.Integer("the number of the hit", 1, kHitsMax));
  when.hit = static_cast<uint64_t>(hit);
  if (line.Take("on")) {
    ASSIGN_OR_RETURN(when.place, line.Name("process", names.processes));
  }
  if (when.form == When::Form::kWhile && line.Take("plus")) {
    ASSIGN_OR_RETURN(when.offset, line.Time("the time since the interval began"));
  }
  return when;
}

absl::StatusOr<Event> ParseEvent(Line& line, const Word& first, const Names& names) {
  Event event;
  ASSIGN_OR_RETURN(event.when, ParseWhen(line, first, names));
  ASSIGN_OR_RETURN(const Word kind, line.Next("the kind of the fault"));
  const Info* const info = FindKind(kind.text);
  if (info == nullptr) {
    return line.Error(
        kind.column,
        absl::StrFormat("kind \"%s\": there is none of this name; did you mean \"%s\"?", kind.text,
                        base::Abseil(NearestKind(kind.text))));
  }
  event.kind = info->kind;
  if (info->target == Target::kProcess) {
    ASSIGN_OR_RETURN(event.target, line.Name("process", names.processes));
  } else if (info->target != Target::kNone) {
    ASSIGN_OR_RETURN(event.target, line.Name("host", names.hosts));
  }
  if (info->target == Target::kHostPair) {
    RETURN_IF_ERROR(line.Expect("->", "the first host of a pair"));
    ASSIGN_OR_RETURN(event.other, line.Name("host", names.hosts));
  }
  for (const Parameter& parameter : info->parameters) {
    if (!parameter.name.empty()) event.parameters.push_back(parameter.fallback);
  }
  while (!line.done()) {
    const size_t column = line.column();
    ASSIGN_OR_RETURN(const Word word, line.Next("a parameter"));
    if (word.text == "for" && info->lasts) {
      ASSIGN_OR_RETURN(event.lasts, line.Time("how long it lasts"));
      continue;
    }
    bool known = false;
    std::string allowed = info->lasts ? "for" : "";
    for (size_t i = 0; i < info->parameter_count(); ++i) {
      const Parameter& parameter = info->parameters[i];
      allowed += (allowed.empty() ? "" : ", ") + std::string(parameter.name);
      if (word.text != parameter.name) continue;
      ASSIGN_OR_RETURN(event.parameters[i],
                       line.Integer(parameter.name, parameter.low, parameter.high));
      known = true;
    }
    if (known) continue;
    return line.Error(column, absl::StrFormat("\"%s\": %s has no such parameter; allowed: %s",
                                              word.text, base::Abseil(info->name),
                                              allowed.empty() ? std::string("none") : allowed));
  }
  return event;
}

absl::Status ParseHeaderLine(Line& line, Plan& plan, Position* position) {
  constexpr std::string_view kForm = "a plan begins with a line like: plan replicated_log seed 7";
  if (!line.Take("plan")) return line.Error(line.column(), kForm);
  ASSIGN_OR_RETURN(const Word scenario, line.Next("the scenario's name"));
  plan.scenario = scenario.text;
  if (position != nullptr) *position = {.line = line.number(), .column = scenario.column};
  RETURN_IF_ERROR(line.Expect("seed", "the scenario's name"));
  ASSIGN_OR_RETURN(const Word seed, line.Next("the seed"));
  if (!absl::SimpleAtoi(seed.text, &plan.seed)) {
    return line.Error(seed.column, absl::StrFormat("seed \"%s\": not a whole number from 0 to %d",
                                                   seed.text, UINT64_MAX));
  }
  if (line.done()) return absl::OkStatus();
  return line.Error(line.column(),
                    std::string("nothing may follow the seed; ") + std::string(kForm));
}

absl::StatusOr<Plan> ParseLines(std::string_view text, std::string_view source, const Names* names,
                                Position* position) {
  Plan plan;
  bool have_header = false;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    Line line(text.substr(0, end), source, number);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty()) continue;
    if (line.unclosed() != 0) {
      return line.Error(line.unclosed(),
                        "a quote opens here and does not close; add the second '\"'");
    }
    if (!have_header) {
      RETURN_IF_ERROR(ParseHeaderLine(line, plan, position));
      have_header = true;
      continue;
    }
    ASSIGN_OR_RETURN(const Word first, line.Next("a line"));
    if (first.text == "set") {
      ASSIGN_OR_RETURN(const Word name, line.Next("the name of a knob"));
      ASSIGN_OR_RETURN(plan.knobs[name.text],
                       line.Integer("the value of the knob", INT64_MIN, INT64_MAX));
      if (!line.done()) return line.Error(line.column(), "nothing may follow the value of a knob");
      continue;
    }
    if (names == nullptr) continue;
    if (plan.events.size() == kEventsMax) {
      return line.Error(first.column,
                        absl::StrFormat("a plan has at most %d events; remove some", kEventsMax));
    }
    ASSIGN_OR_RETURN(Event event, ParseEvent(line, first, *names));
    plan.events.push_back(std::move(event));
  }
  if (!have_header)
    return Line("", source, 1)
        .Error(1, "the plan is empty; a plan begins with a line like: plan replicated_log seed 7");
  return plan;
}

void ClampIndex(uint32_t& index, const std::vector<std::string>& names) {
  if (!names.empty()) index %= static_cast<uint32_t>(names.size());
}

}  // namespace

std::string PrintEvent(const Event& event, const Names& names) {
  const Info& info = InfoOf(event.kind);
  std::string text;
  const When& when = event.when;
  constexpr std::string_view kForms[] = {"at", "before", "after", "while"};
  text += kForms[static_cast<size_t>(when.form)];
  if (when.form == When::Form::kAt) {
    text += " " + Text(when.offset);
  } else {
    absl::StrAppendFormat(&text, " %s %d", base::Abseil(base::Info(when.probe).name), when.hit);
    if (when.place != When::kAnywhere) text += " on " + NameText(when.place, names.processes);
    if (when.form == When::Form::kWhile && when.offset != Duration::zero())
      text += " plus " + Text(when.offset);
  }
  text += " " + std::string(info.name);
  if (info.target == Target::kProcess) text += " " + NameText(event.target, names.processes);
  if (info.target == Target::kHost) text += " " + NameText(event.target, names.hosts);
  if (info.target == Target::kHostPair) {
    text += " " + NameText(event.target, names.hosts) + " -> " + NameText(event.other, names.hosts);
  }
  if (info.lasts) text += " for " + Text(event.lasts);
  for (size_t i = 0; i < info.parameter_count() && i < event.parameters.size(); ++i) {
    absl::StrAppendFormat(&text, " %s %d", base::Abseil(info.parameters[i].name),
                          event.parameters[i]);
  }
  return text;
}

std::string Print(const Plan& plan, const Names& names) {
  std::string text = absl::StrFormat("plan %s seed %d\n", Quoted(plan.scenario), plan.seed);
  for (const auto& [name, value] : plan.knobs)
    absl::StrAppendFormat(&text, "set %s %d\n", Quoted(name), value);
  for (const Event& event : plan.events) text += PrintEvent(event, names) + "\n";
  return text;
}

absl::StatusOr<Plan> Parse(std::string_view text, std::string_view source, const Names& names) {
  ASSIGN_OR_RETURN(Plan plan, ParseLines(text, source, &names, nullptr));
  Clamp(plan, names);
  return plan;
}

absl::StatusOr<Plan> ParseHeader(std::string_view text, std::string_view source,
                                 Position* scenario) {
  return ParseLines(text, source, nullptr, scenario);
}

void Clamp(Plan& plan, const Names& names) {
  if (plan.events.size() > kEventsMax) plan.events.resize(kEventsMax);
  for (Event& event : plan.events) {
    When& when = event.when;
    when.form = static_cast<When::Form>(static_cast<unsigned>(when.form) % 4);
    if (when.form == When::Form::kAt) {
      when.probe = base::Probe{};
      when.hit = 1;
      when.place = When::kAnywhere;
    } else {
      when.probe = static_cast<base::Probe>(static_cast<size_t>(when.probe) % base::kProbes.size());
      when.hit = std::clamp<uint64_t>(when.hit, 1, kHitsMax);
      if (when.place != When::kAnywhere) ClampIndex(when.place, names.processes);
    }
    const bool timed = when.form == When::Form::kAt || when.form == When::Form::kWhile;
    when.offset =
        timed ? std::clamp(when.offset, Duration::zero(), kLongestTime) : Duration::zero();

    event.kind = static_cast<Kind>(static_cast<size_t>(event.kind) % kKinds.size());
    const Info& info = InfoOf(event.kind);
    if (info.target == Target::kNone) event.target = 0;
    ClampIndex(event.target, info.target == Target::kProcess ? names.processes : names.hosts);
    if (info.target != Target::kHostPair) event.other = 0;
    ClampIndex(event.other, names.hosts);
    if (info.target == Target::kHostPair && event.other == event.target) {
      event.other = event.target == 0 ? 1 : 0;  // a pair is of two, if there are two
      ClampIndex(event.other, names.hosts);
    }
    event.lasts =
        info.lasts ? std::clamp(event.lasts, Duration::zero(), kLongestTime) : Duration::zero();
    const size_t given = event.parameters.size();
    event.parameters.resize(info.parameter_count());
    for (size_t i = 0; i < event.parameters.size(); ++i) {
      const Parameter& parameter = info.parameters[i];
      event.parameters[i] = i < given
                                ? std::clamp(event.parameters[i], parameter.low, parameter.high)
                                : parameter.fallback;
    }
  }
}

}  // namespace weir::faults
