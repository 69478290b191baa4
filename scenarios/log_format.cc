#include "scenarios/log_format.h"

#include "absl/strings/str_format.h"
#include "engine/base/coding.h"
#include "engine/base/hash.h"
#include "engine/base/reached.h"

namespace weir::scenarios {
namespace {

constexpr std::string_view kTermMagic = "WRT1";
constexpr size_t kRecordHeaderBytes = 12;
constexpr size_t kTermBytes = 28;
constexpr size_t kEntryBytesMin = 5;

void PutEntry(std::string& out, const LogEntry& entry) {
  for (const uint64_t number : {entry.term, entry.client, entry.sequence})
    base::PutVarint(out, number);
  base::PutBytes(out, entry.key);
  base::PutBytes(out, entry.value);
}

bool GetEntry(std::string_view& from, LogEntry& entry) {
  std::string_view key;
  std::string_view value;
  if (!base::GetVarint(from, entry.term) || !base::GetVarint(from, entry.client) ||
      !base::GetVarint(from, entry.sequence) || !base::GetBytes(from, key) ||
      !base::GetBytes(from, value)) {
    return false;
  }
  entry.key = key;
  entry.value = value;
  return true;
}

}  // namespace

std::string EncodeMessage(const Message& message) {
  std::string out(1, static_cast<char>(message.kind));
  for (const uint64_t number : {message.term, message.from, message.index, message.index_term,
                                message.commit, uint64_t{message.ok}}) {
    base::PutVarint(out, number);
  }
  base::PutVarint(out, message.entries.size());
  for (const LogEntry& entry : message.entries) PutEntry(out, entry);
  return out;
}

absl::StatusOr<Message> DecodeMessage(std::string_view bytes) {
  Message message;
  uint64_t ok = 0;
  uint64_t entries = 0;
  const auto kind = bytes.empty() ? uint8_t{0} : static_cast<uint8_t>(bytes[0]);
  bool good = kind >= static_cast<uint8_t>(MessageKind::kVote) &&
              kind <= static_cast<uint8_t>(MessageKind::kReply);
  if (good) {
    message.kind = static_cast<MessageKind>(kind);
    bytes.remove_prefix(1);
    good = base::GetVarint(bytes, message.term) && base::GetVarint(bytes, message.from) &&
           base::GetVarint(bytes, message.index) && base::GetVarint(bytes, message.index_term) &&
           base::GetVarint(bytes, message.commit) && base::GetVarint(bytes, ok) && ok <= 1 &&
           base::GetVarint(bytes, entries) && entries <= bytes.size() / kEntryBytesMin;
  }
  message.ok = ok == 1;
  if (good) message.entries.resize(entries);
  for (size_t i = 0; good && i < message.entries.size(); ++i)
    good = GetEntry(bytes, message.entries[i]);
  if (!good || !bytes.empty())
    return absl::DataLossError("replicated log: a message is cut or corrupt");
  return message;
}

void AppendRecord(std::string& out, uint64_t index, const LogEntry& entry) {
  std::string body;
  PutEntry(body, entry);
  base::PutFixed(out, static_cast<uint32_t>(body.size()));
  base::PutFixed(out, base::Hash64(body, index));
  out.append(body);
}

absl::StatusOr<LogContent> DecodeLog(std::string_view bytes) {
  if (bytes.substr(0, kLogMagic.size()) != kLogMagic) {
    return absl::DataLossError(
        "replicated log: the file \"log\" does not begin as a log of this version");
  }
  LogContent content;
  uint64_t end = kLogMagic.size();
  for (;;) {
    std::string_view rest = bytes.substr(end);
    if (rest.empty()) return content;
    uint32_t size = 0;
    uint64_t hash = 0;
    if (!base::GetFixed(rest, size) || !base::GetFixed(rest, hash) || size > rest.size()) {
      REACHED("log.torn_tail");
      return content;
    }
    std::string_view body = rest.substr(0, size);
    LogEntry entry;
    if (base::Hash64(body, content.entries.size() + 1) != hash || !GetEntry(body, entry) ||
        !body.empty()) {
      REACHED("log.torn_tail");
      return content;
    }
    end += kRecordHeaderBytes + size;
    content.entries.push_back(std::move(entry));
    content.ends.push_back(end);
  }
}

std::string EncodeTerm(const TermRecord& record) {
  std::string out(kTermMagic);
  base::PutFixed(out, record.term);
  base::PutFixed(out, record.vote);
  base::PutFixed(out, base::Hash64(out));
  return out;
}

absl::StatusOr<TermRecord> DecodeTerm(std::string_view bytes) {
  TermRecord record;
  uint64_t hash = 0;
  std::string_view rest = bytes;
  if (bytes.size() == kTermBytes && bytes.substr(0, kTermMagic.size()) == kTermMagic) {
    rest.remove_prefix(kTermMagic.size());
    if (base::GetFixed(rest, record.term) && base::GetFixed(rest, record.vote) &&
        base::GetFixed(rest, hash) &&
        hash == base::Hash64(bytes.substr(0, kTermBytes - sizeof(hash)))) {
      return record;
    }
  }
  return absl::DataLossError(
      absl::StrFormat("replicated log: the file \"term\" of %d bytes is corrupt", bytes.size()));
}

}  // namespace weir::scenarios
