// The replicated log's records and messages: round trips, torn tails, golden bytes.

#include "scenarios/log_format.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>

#include "tests/golden.h"

namespace weir::scenarios {
namespace {

std::string LogOf(const std::vector<LogEntry>& entries) {
  std::string bytes(kLogMagic);
  for (size_t i = 0; i < entries.size(); ++i) AppendRecord(bytes, i + 1, entries[i]);
  return bytes;
}

const std::vector<LogEntry>& GoldenEntries() {
  static const auto* const entries =
      new std::vector<LogEntry>{{1, 0, 0, "", ""},
                                {1, 7, 1, "key 1", "value 1 of client 7"},
                                {300, 7, 2, "key 2", std::string("zero \0 byte", 11)}};
  return *entries;
}

TEST(LogFormat, LogsOfEveryEarlierVersionAreRead) {
  const std::string golden = tests::Golden("replicated_log_wrl1.hex");
  EXPECT_EQ(tests::Hex(LogOf(GoldenEntries())), tests::Hex(golden));
  const auto content = DecodeLog(golden);
  ASSERT_TRUE(content.ok()) << content.status();
  EXPECT_EQ(content->entries, GoldenEntries());
  EXPECT_EQ(content->ends.back(), golden.size());
}

TEST(LogFormat, TermsOfEveryEarlierVersionAreRead) {
  const std::string golden = tests::Golden("replicated_log_wrt1.hex");
  EXPECT_EQ(tests::Hex(EncodeTerm({300, 2})), tests::Hex(golden));
  const auto term = DecodeTerm(golden);
  ASSERT_TRUE(term.ok()) << term.status();
  EXPECT_EQ(*term, (TermRecord{300, 2}));
}

TEST(LogFormat, MessagesOfEveryEarlierVersionAreRead) {
  const std::string golden = tests::Golden("replicated_log_message.hex");
  const Message expected{MessageKind::kAppend,
                         300,
                         2,
                         1000,
                         299,
                         998,
                         true,
                         {{1, 0, 0, "", ""}, {300, 7, 2, "key 2", "value"}}};
  EXPECT_EQ(tests::Hex(EncodeMessage(expected)), tests::Hex(golden));
  const auto message = DecodeMessage(golden);
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(*message, expected);
}

TEST(LogFormat, AFileThatIsNoLogIsRefused) {
  for (const std::string bytes : {"", "WRL", "WRL2", "text file"}) {
    EXPECT_EQ(DecodeLog(bytes).status().code(), absl::StatusCode::kDataLoss) << bytes;
  }
}

TEST(LogFormat, ARecordAtAnotherPlaceIsNoRecord) {
  std::string bytes(kLogMagic);
  AppendRecord(bytes, 2, {1, 7, 1, "k", "v"});  // the second, where the first belongs
  EXPECT_TRUE(DecodeLog(bytes)->entries.empty());
}

rc::Gen<std::vector<LogEntry>> Entries() {
  return rc::gen::container<std::vector<LogEntry>>(
      rc::gen::build<LogEntry>(rc::gen::set(&LogEntry::term), rc::gen::set(&LogEntry::client),
                               rc::gen::set(&LogEntry::sequence), rc::gen::set(&LogEntry::key),
                               rc::gen::set(&LogEntry::value)));
}

RC_GTEST_PROP(properties_LogFormat, ATornTailIsCutAndTheRestIsKept, ()) {
  const std::vector<LogEntry> entries = *Entries();
  const std::string bytes = LogOf(entries);
  const size_t cut = *rc::gen::inRange<size_t>(kLogMagic.size(), bytes.size() + 1);
  const auto content = DecodeLog(std::string_view(bytes).substr(0, cut));
  RC_ASSERT(content.ok());
  RC_ASSERT(content->entries.size() <= entries.size());
  RC_ASSERT(std::equal(content->entries.begin(), content->entries.end(), entries.begin()));
  // All that was whole is there.
  const uint64_t end = content->ends.empty() ? kLogMagic.size() : content->ends.back();
  const auto all = DecodeLog(bytes);
  RC_ASSERT(end <= cut);
  if (content->entries.size() < entries.size()) RC_ASSERT(all->ends[content->entries.size()] > cut);
}

RC_GTEST_PROP(properties_LogFormat, AFlippedByteEndsTheLogBeforeIt, (uint8_t flip)) {
  RC_PRE(flip != 0);
  const std::vector<LogEntry> entries = *Entries();
  RC_PRE(!entries.empty());
  std::string bytes = LogOf(entries);
  const size_t at = *rc::gen::inRange<size_t>(kLogMagic.size(), bytes.size());
  bytes[at] = static_cast<char>(bytes[at] ^ flip);
  const auto content = DecodeLog(bytes);
  RC_ASSERT(content.ok());
  RC_ASSERT(content->entries.size() < entries.size());
  RC_ASSERT(std::equal(content->entries.begin(), content->entries.end(), entries.begin()));
}

RC_GTEST_PROP(properties_LogFormat, AFlippedByteOfATermIsSeen,
              (uint64_t term, uint64_t vote, uint8_t flip)) {
  RC_PRE(flip != 0);
  std::string bytes = EncodeTerm({term, vote});
  RC_ASSERT(*DecodeTerm(bytes) == (TermRecord{term, vote}));
  const size_t at = *rc::gen::inRange<size_t>(0, bytes.size());
  bytes[at] = static_cast<char>(bytes[at] ^ flip);
  RC_ASSERT(absl::IsDataLoss(DecodeTerm(bytes).status()));
  RC_ASSERT(absl::IsDataLoss(DecodeTerm(std::string_view(bytes).substr(0, at)).status()));
}

RC_GTEST_PROP(properties_LogFormat, MessagesComeBackAndCutOnesAreRefused,
              (uint64_t term, uint64_t index, bool ok)) {
  const Message message{
      .kind = MessageKind::kReply, .term = term, .index = index, .ok = ok, .entries = *Entries()};
  const std::string bytes = EncodeMessage(message);
  const auto back = DecodeMessage(bytes);
  RC_ASSERT(back.ok());
  RC_ASSERT(*back == message);
  const size_t cut = *rc::gen::inRange<size_t>(0, bytes.size());
  RC_ASSERT(absl::IsDataLoss(DecodeMessage(std::string_view(bytes).substr(0, cut)).status()));
  RC_ASSERT(absl::IsDataLoss(DecodeMessage(bytes + "x").status()));
}

RC_GTEST_PROP(properties_LogFormat, AnyBytesAreAMessageOrRefused, (const std::string& bytes)) {
  (void)DecodeMessage(bytes);
  (void)DecodeMessage("\x03" + bytes);
  (void)DecodeLog(std::string(kLogMagic) + bytes);
}

}  // namespace
}  // namespace weir::scenarios
