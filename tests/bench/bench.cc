#include "tests/bench/bench.h"

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_format.h"
#include "engine/base/check.h"
#include "engine/base/text.h"

namespace weir::bench {
namespace {

struct Summary {
  double median = 0;
  double min = 0;
  double max = 0;
};

Summary Summarize(const std::vector<double>& values) {
  return {Median(values), *std::min_element(values.begin(), values.end()),
          *std::max_element(values.begin(), values.end())};
}

std::string InWords(const Summary& summary) {
  return absl::StrFormat("%.4g (%.4g to %.4g)", summary.median, summary.min, summary.max);
}

std::string InJson(const Summary& summary) {
  return absl::StrFormat(R"({"median":%.6g,"min":%.6g,"max":%.6g})", summary.median, summary.min,
                         summary.max);
}

bool IsRatio(const Goal& goal) {
  return goal.kind == Goal::Kind::kAtMostRatio || goal.kind == Goal::Kind::kAtLeastRatio;
}

bool IsCeiling(const Goal& goal) {
  return goal.kind == Goal::Kind::kAtMostRatio || goal.kind == Goal::Kind::kAtMost;
}

// The text of a JSON string. What is escaped is all that our own figures and errors can hold.
std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out += absl::StrFormat("\\u%04x", static_cast<int>(c));
    } else {
      out += c;
    }
  }
  return out + '"';
}

void Print(const std::string& line) {
  std::fputs(line.c_str(), stdout);
  std::fflush(stdout);
}

}  // namespace

double Median(std::vector<double> values) {
  CHECK(!values.empty()) << "the median of nothing";
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

std::vector<Sample> MeasurePairs(int pairs, absl::FunctionRef<double()> ours,
                                 absl::FunctionRef<double()> limit) {
  ours();
  limit();
  std::vector<Sample> samples;
  for (int i = 0; i < pairs; ++i) {
    Sample sample;
    if (i % 2 == 0) {
      sample.ours = ours();
      sample.limit = limit();
    } else {
      sample.limit = limit();
      sample.ours = ours();
    }
    samples.push_back(sample);
  }
  return samples;
}

void Report::Add(std::string_view figure, std::string_view unit, const std::vector<double>& ours,
                 const std::vector<double>& limits, Goal goal) {
  CHECK(!ours.empty()) << "figure " << figure << " has no measurement";
  const Summary own = Summarize(ours);
  Summary ratio;
  if (IsRatio(goal)) {
    CHECK_EQ(ours.size(), limits.size()) << "a ratio is made of pairs";
    std::vector<double> ratios;
    for (size_t i = 0; i < ours.size(); ++i) ratios.push_back(ours[i] / limits[i]);
    ratio = Summarize(ratios);
  }
  const double judged = IsRatio(goal) ? ratio.median : own.median;
  const bool met = IsCeiling(goal) ? judged <= goal.value : judged >= goal.value;
  ++(met ? met_ : missed_);

  std::string line;
  if (json_) {
    line = absl::StrFormat(R"({"bench":%s,"figure":%s,"unit":%s,"pairs":%d,"ours":%s)",
                           Quoted(name_), Quoted(figure), Quoted(unit), ours.size(), InJson(own));
    if (!limits.empty()) line += R"(,"limit":)" + InJson(Summarize(limits));
    if (IsRatio(goal)) line += R"(,"ratio":)" + InJson(ratio);
    line += absl::StrFormat(R"(,"goal":{"%s":%.6g},"met":%s})", IsCeiling(goal) ? "max" : "min",
                            goal.value, met ? "true" : "false");
  } else {
    line = absl::StrFormat("%s %s: %s %s", name_, base::Abseil(figure), InWords(own),
                           base::Abseil(unit));
    if (!limits.empty()) line += "; limit " + InWords(Summarize(limits));
    if (IsRatio(goal)) line += "; ratio " + InWords(ratio);
    line += absl::StrFormat("; goal %s%s %g; %s", IsRatio(goal) ? "ratio " : "",
                            IsCeiling(goal) ? "<=" : ">=", goal.value, met ? "met" : "missed");
  }
  Print(line + "\n");
}

void Report::Add(std::string_view figure, std::string_view unit, const std::vector<Sample>& pairs,
                 Goal goal) {
  std::vector<double> ours, limits;
  for (const Sample& sample : pairs) {
    ours.push_back(sample.ours);
    limits.push_back(sample.limit);
  }
  Add(figure, unit, ours, limits, goal);
}

void Report::AddFailure(std::string_view figure, std::string_view why) {
  ++missed_;
  Print(json_ ? absl::StrFormat(R"({"bench":%s,"figure":%s,"error":%s,"met":false})", Quoted(name_),
                                Quoted(figure), Quoted(why)) +
                    "\n"
              : absl::StrFormat("%s %s: not measured: %s; missed\n", name_, base::Abseil(figure),
                                base::Abseil(why)));
}

int Report::Finish(bool strict) {
  Print(absl::StrFormat("bench %s goals=%d met=%d missed=%d\n", name_, met_ + missed_, met_,
                        missed_));
  return strict && missed_ > 0 ? 1 : 0;
}

}  // namespace weir::bench
