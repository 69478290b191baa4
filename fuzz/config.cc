// Configuration files and flags of any content: each is taken or refused with one line, and what
// was taken and printed reads back as the same.
#include "engine/base/config.h"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/check.h"
#include "engine/base/config_keys.h"

namespace weir::fuzz {
namespace {

void CheckOneLine(const absl::Status& status) {
  CHECK(status.message().find('\n') == absl::string_view::npos) << status.ToString();
}

// Every key's value lies in the range that the key was declared with.
void CheckRanges(const base::Config& config) {
  CHECK_GE(config.Get(base::kStacks), base::kStacks.low);
  CHECK_LE(config.Get(base::kStacks), base::kStacks.high);
  CHECK_GE(config.Get(base::kEngineStack), base::kEngineStack.low);
  CHECK_LE(config.Get(base::kEngineStack), base::kEngineStack.high);
  CHECK_GE(base::Nanos(config.Get(base::kSpin)), base::kSpin.low);
  CHECK_LE(base::Nanos(config.Get(base::kSpin)), base::kSpin.high);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);

  base::Config flags;
  const absl::Status flag = flags.ParseFlag(text);
  CheckRanges(flags);
  if (text.find('\n') == std::string_view::npos) CheckOneLine(flag);

  base::Config config;
  const absl::Status parsed = config.ParseText(text, "fuzz");
  CheckOneLine(parsed);
  CheckRanges(config);
  if (!parsed.ok()) return 0;
  base::Config again;
  CHECK_OK(again.ParseText(config.ToText(), "printed"));
  for (const auto* key : {&base::kStacks, &base::kEngineStack, &base::kUserStack}) {
    CHECK_EQ(again.Get(*key), config.Get(*key));
  }
  CHECK_EQ(base::Nanos(again.Get(base::kSpin)), base::Nanos(config.Get(base::kSpin)));
  CHECK_EQ(again.Get(base::kLogLevel), config.Get(base::kLogLevel));
  CHECK_EQ(again.Get(base::kBindHost), config.Get(base::kBindHost));
  return 0;
}

}  // namespace weir::fuzz
