// The replicated log's messages and files. Raw bytes: refused, or decoded to what encodes to the
// same. Files that were written well and then cut or damaged: what is given out is what was
// written, up to the first record that is not whole.
#include "scenarios/log_format.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "engine/base/check.h"
#include "fuzz/input.h"

namespace weir::fuzz {
namespace {

using scenarios::LogEntry;

void Raw(std::string_view bytes) {
  if (const auto message = scenarios::DecodeMessage(bytes); message.ok()) {
    const auto again = scenarios::DecodeMessage(scenarios::EncodeMessage(*message));
    CHECK_OK(again.status());
    CHECK(*again == *message);
  }
  if (const auto term = scenarios::DecodeTerm(bytes); term.ok()) {
    CHECK(scenarios::EncodeTerm(*term) == bytes);
  }
  if (const auto log = scenarios::DecodeLog(bytes); log.ok()) {
    CHECK_EQ(log->entries.size(), log->ends.size());
    CHECK(std::is_sorted(log->ends.begin(), log->ends.end()));
    if (!log->ends.empty()) CHECK_LE(log->ends.back(), bytes.size());
  }
}

LogEntry AnyEntry(Input& input) {
  LogEntry entry;
  entry.term = input.Byte();
  entry.client = input.Byte();
  entry.sequence = input.Byte();
  entry.key = input.Take(input.Between(0, 15));
  entry.value = input.Take(input.Between(0, 63));
  return entry;
}

void Damaged(Input& input) {
  const uint64_t cut = input.Byte();    // bytes from the end
  const uint64_t place = input.Byte();  // of the damage, in 256ths
  const uint8_t flip = input.Byte();    // 0: no damage
  std::vector<LogEntry> written;
  std::vector<size_t> ends;
  std::string file(scenarios::kLogMagic);
  while (!input.empty() && written.size() < 32) {
    written.push_back(AnyEntry(input));
    scenarios::AppendRecord(file, written.size(), written.back());
    ends.push_back(file.size());
  }
  size_t whole_bytes = file.size() - std::min<size_t>(cut, file.size());
  file.resize(whole_bytes);
  if (flip != 0 && !file.empty()) {
    const size_t at = file.size() * place / 256;
    file[at] = static_cast<char>(file[at] ^ flip);
    whole_bytes = at;
  }
  const auto log = scenarios::DecodeLog(file);
  if (whole_bytes < scenarios::kLogMagic.size()) {
    CHECK(!log.ok());
    return;
  }
  CHECK_OK(log.status());
  const auto whole =
      static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), whole_bytes) - ends.begin());
  CHECK_EQ(log->entries.size(), whole);
  for (size_t i = 0; i < whole; ++i) {
    CHECK(log->entries[i] == written[i]);
    CHECK_EQ(log->ends[i], ends[i]);
  }
}

void Structured(Input& input) {
  scenarios::Message message;
  message.kind = static_cast<scenarios::MessageKind>(input.Between(1, 7));
  message.term = input.Byte();
  message.index = uint64_t{input.Byte()} << 56;
  message.ok = input.Byte() % 2 == 1;
  while (!input.empty() && message.entries.size() < 32) message.entries.push_back(AnyEntry(input));
  const std::string encoded = scenarios::EncodeMessage(message);
  const auto decoded = scenarios::DecodeMessage(encoded);
  CHECK_OK(decoded.status());
  CHECK(*decoded == message);
  for (size_t cut = 0; cut < encoded.size(); ++cut) {
    CHECK(!scenarios::DecodeMessage(std::string_view(encoded).substr(0, cut)).ok());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Input input(data, size);
  switch (input.Byte() % 3) {
    case 0:
      Raw(input.Rest());
      break;
    case 1:
      Damaged(input);
      break;
    default:
      Structured(input);
  }
  return 0;
}

}  // namespace weir::fuzz
