// Encoded histograms of any content: refused, or a histogram whose answers are in order and which
// encodes to what decodes to the same.
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "engine/base/check.h"
#include "engine/base/metrics.h"

namespace weir::fuzz {
namespace {

void CheckAnswers(const base::Histogram& histogram) {
  uint64_t last = 0;
  for (const int per_mille : {0, 1, 500, 990, 999, 1000}) {
    const uint64_t quantile = histogram.Quantile(per_mille);
    CHECK_GE(quantile, last);
    if (histogram.count() > 0) CHECK_GE(quantile, histogram.min());
    CHECK_LE(quantile, histogram.max());
    last = quantile;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const absl::StatusOr<base::Histogram> decoded = base::Histogram::Decode(bytes);
  if (decoded.ok()) {
    CheckAnswers(*decoded);
    const std::string encoded = decoded->Encode();
    const absl::StatusOr<base::Histogram> again = base::Histogram::Decode(encoded);
    CHECK_OK(again.status());
    CHECK(again->Encode() == encoded);
    base::Histogram merged;
    merged.Merge(*decoded);
    CHECK(merged.Encode() == encoded) << "merging into an empty histogram copies";
  }

  // The same bytes as values that were recorded.
  base::Histogram recorded;
  uint64_t value = 0;
  for (size_t i = 0; i < size; ++i) {
    value = value << 8 | data[i];
    recorded.Record(value);
  }
  CheckAnswers(recorded);
  const absl::StatusOr<base::Histogram> back = base::Histogram::Decode(recorded.Encode());
  CHECK_OK(back.status());
  CHECK(back->Encode() == recorded.Encode());
  return 0;
}

}  // namespace weir::fuzz
