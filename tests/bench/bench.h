// What every bench shares: a figure of ours beside a limit measured in the same run, and whether
// the goal was met.
//
// Invariants
//  - A ratio is the median of the ratios of interleaved pairs, so that a machine that slows down
//    on the way slows both sides.
//  - No figure without its spread. A goal is met by the median.
//  - Results go to stdout; the last line is `bench NAME goals=N met=N missed=N`.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"

namespace weir::bench {

// The fewest pairs whose median is worth printing.
inline constexpr int kPairs = 9;

struct Sample {
  double ours = 0;
  double limit = 0;
};

struct Goal {
  enum class Kind { kAtMostRatio, kAtLeastRatio, kAtMost, kAtLeast };
  Kind kind;
  double value;
};
constexpr Goal AtMostRatio(double value) { return {Goal::Kind::kAtMostRatio, value}; }
constexpr Goal AtLeastRatio(double value) { return {Goal::Kind::kAtLeastRatio, value}; }
constexpr Goal AtMost(double value) { return {Goal::Kind::kAtMost, value}; }
constexpr Goal AtLeast(double value) { return {Goal::Kind::kAtLeast, value}; }

double Median(std::vector<double> values);

// Measures both sides `pairs` times by turns, changing who goes first. One pair before the first
// warms up and is not counted.
std::vector<Sample> MeasurePairs(int pairs, absl::FunctionRef<double()> ours,
                                 absl::FunctionRef<double()> limit);

class Report {
 public:
  // With `json` each figure is one JSON object a line instead of words.
  Report(std::string name, bool json) : name_(std::move(name)), json_(json) {}

  // `limits` may be empty if the goal is absolute; if the goal is a ratio the two belong together
  // in pairs.
  void Add(std::string_view figure, std::string_view unit, const std::vector<double>& ours,
           const std::vector<double>& limits, Goal goal);
  void Add(std::string_view figure, std::string_view unit, const std::vector<Sample>& pairs,
           Goal goal);
  // A figure that could not be measured: its goal counts as missed.
  void AddFailure(std::string_view figure, std::string_view why);

  // Prints the last line. The exit code: 0, or 1 if `strict` and a goal was missed.
  int Finish(bool strict);

 private:
  const std::string name_;
  const bool json_;
  int met_ = 0;
  int missed_ = 0;
};

}  // namespace weir::bench
