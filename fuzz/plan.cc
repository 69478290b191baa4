// Plans. Text of any content: refused with one line that names the place, or a plan that prints as
// what parses to the same. Lists of any events: clamping makes each a valid plan, and clamping a
// valid plan changes nothing.
#include "faults/plan.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "engine/base/check.h"
#include "engine/base/text.h"
#include "faults/kinds.h"
#include "fuzz/input.h"

namespace weir::fuzz {
namespace {

// Names that need quotes, and one that looks like a number.
const faults::Names& SomeNames() {
  static const auto* const names =
      new faults::Names{.processes = {"replica 1", "replica 2", "a \"b\" \\c", "7"},
                        .hosts = {"replica1", "replica2", "client1"}};
  return *names;
}

// "fuzz:3:7: what is wrong"
void CheckError(const absl::Status& status, std::string_view text) {
  absl::string_view message = status.message();
  CHECK(message.find('\n') == absl::string_view::npos) << status.ToString();
  const auto lines = static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1;
  CHECK(absl::ConsumePrefix(&message, "fuzz:")) << status.ToString();
  const std::vector<absl::string_view> parts = absl::StrSplit(message, absl::MaxSplits(':', 2));
  CHECK_EQ(parts.size(), 3u) << status.ToString();
  size_t line = 0;
  size_t column = 0;
  CHECK(absl::SimpleAtoi(parts[0], &line) && absl::SimpleAtoi(parts[1], &column))
      << status.ToString();
  CHECK_GE(line, 1u) << status.ToString();
  CHECK_LE(line, lines) << status.ToString();
  CHECK_GE(column, 1u) << status.ToString();
  CHECK_LE(column, text.size() + 1) << status.ToString();
}

void CheckValid(const faults::Plan& plan, const faults::Names& names) {
  faults::Plan again = plan;
  faults::Clamp(again, names);
  CHECK(again == plan) << "clamping a valid plan changes it:\n" << faults::Print(plan, names);
  const std::string printed = faults::Print(plan, names);
  const absl::StatusOr<faults::Plan> parsed = faults::Parse(printed, "fuzz", names);
  CHECK(parsed.ok()) << parsed.status().ToString() << "\n" << printed;
  CHECK(*parsed == plan) << "printed as\n" << printed;
}

void Text(std::string_view text, const faults::Names& names) {
  const absl::StatusOr<faults::Plan> plan = faults::Parse(text, "fuzz", names);
  const absl::StatusOr<faults::Plan> header = faults::ParseHeader(text, "fuzz");
  if (!header.ok()) CheckError(header.status(), text);
  if (!plan.ok()) return CheckError(plan.status(), text);
  CHECK_OK(header.status());
  CHECK(header->scenario == plan->scenario);
  CHECK_EQ(header->seed, plan->seed);
  CHECK(header->knobs == plan->knobs);
  CheckValid(*plan, names);
}

template <typename T>
T Number(Input& input) {
  T value{};
  const std::string_view bytes = input.Take(sizeof(T));
  std::memcpy(&value, bytes.data(), bytes.size());
  return value;
}

void List(Input& input, const faults::Names& names) {
  faults::Plan plan;
  plan.scenario = "ping_pong";
  plan.seed = Number<uint64_t>(input);
  plan.knobs["clients"] = Number<int64_t>(input);
  while (!input.empty() && plan.events.size() < 20) {
    faults::Event event;
    event.when.form = static_cast<faults::When::Form>(input.Byte());
    event.when.offset = base::Duration(Number<int64_t>(input));
    event.when.probe = static_cast<base::Probe>(Number<uint16_t>(input));
    event.when.hit = Number<uint64_t>(input);
    event.when.place = input.Byte() % 8 == 0 ? faults::When::kAnywhere : Number<uint32_t>(input);
    event.kind = static_cast<faults::Kind>(input.Byte());
    event.target = Number<uint32_t>(input);
    event.other = Number<uint32_t>(input);
    event.lasts = base::Duration(Number<int64_t>(input));
    for (uint64_t i = input.Between(0, 4); i > 0; --i)
      event.parameters.push_back(Number<int64_t>(input));
    plan.events.push_back(std::move(event));
  }
  faults::Clamp(plan, names);
  CheckValid(plan, names);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const faults::Names nobody;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Text(text, SomeNames());
  Text(text, nobody);
  Input one(data, size);
  List(one, SomeNames());
  Input two(data, size);
  List(two, nobody);
  return 0;
}

}  // namespace weir::fuzz
