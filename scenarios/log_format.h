// What the replicated log writes to disk and sends: held by golden files, so a change is seen.
//
//   "log"    "WRL1", then a record an entry:
//              u32 size of the body    u64 XXH3 of the body, seeded with the entry's index    the
//              body: the entry
//   "term"   "WRT1", u64 term, u64 vote, u64 XXH3 of these 20 bytes
//   message  the body of a frame (engine/io/framing.h): kind, then every field of Message in order
// Fixed integers are little-endian; inside of bodies all numbers are varints.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace weir::scenarios {

// One write of a client, or, with client 0, a mark of the leader's own.
struct LogEntry {
  uint64_t term = 0;
  uint64_t client = 0;
  uint64_t sequence = 0;  // of the client: 1, 2, 3 ...
  std::string key{};
  std::string value{};
  friend bool operator==(const LogEntry&, const LogEntry&) = default;
};

enum class MessageKind : uint8_t {
  kVote = 1,
  kVoteReply,
  kAppend,
  kAppendReply,
  kPut,
  kRead,
  kReply
};

struct Message {
  MessageKind kind = MessageKind::kReply;
  uint64_t term = 0;        // of the sender
  uint64_t from = 0;        // who sends; in kReply: the leader, as far as the sender knows
  uint64_t index = 0;       // kVote: the candidate's last; kAppend: the one before `entries`;
                            // kAppendReply: the last held
  uint64_t index_term = 0;  // of the entry at `index`
  uint64_t commit = 0;
  bool ok = false;
  std::vector<LogEntry> entries{};
  friend bool operator==(const Message&, const Message&) = default;
};

std::string EncodeMessage(const Message& message);
absl::StatusOr<Message> DecodeMessage(std::string_view bytes);

inline constexpr std::string_view kLogMagic = "WRL1";
// Appends the record of entry number `index`, counted from 1.
void AppendRecord(std::string& out, uint64_t index, const LogEntry& entry);
// The entries of a log file and where each record ends. A tail that is no whole record is not given
// out: it is what a crash left of a write that nobody was told about. kDataLoss: not a log at all.
struct LogContent {
  std::vector<LogEntry> entries;
  std::vector<uint64_t> ends;  // ends[i]: of record i + 1
};
absl::StatusOr<LogContent> DecodeLog(std::string_view bytes);

struct TermRecord {
  uint64_t term = 0;
  uint64_t vote = 0;  // for whom this replica voted in `term`; 0: nobody
  friend bool operator==(const TermRecord&, const TermRecord&) = default;
};
std::string EncodeTerm(const TermRecord& record);
absl::StatusOr<TermRecord> DecodeTerm(std::string_view bytes);

}  // namespace weir::scenarios
