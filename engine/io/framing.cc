#include "engine/io/framing.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "engine/base/check.h"
#include "engine/base/coding.h"
#include "engine/base/hash.h"
#include "engine/base/reached.h"
#include "engine/base/status_macros.h"

namespace weir::io {
namespace {

constexpr uint32_t kMagic = 0x31465257;  // "WRF1"
constexpr size_t kReadBytes = 4 << 10;   // an idle connection holds no more than this

uint64_t FrameHash(std::string_view payload) { return base::Hash64(payload, payload.size()); }

}  // namespace

void AppendFrame(std::string& out, std::string_view payload) {
  CHECK_LE(payload.size(), base::kFrameBytesMax);
  base::PutFixed(out, kMagic);
  base::PutFixed(out, static_cast<uint32_t>(payload.size()));
  base::PutFixed(out, FrameHash(payload));
  out.append(payload);
}

absl::Span<char> FrameParser::Prepare(size_t bytes) {
  if (begin_ == end_) begin_ = end_ = 0;
  if (buffer_.size() - end_ < bytes) {
    buffer_.erase(0, begin_);
    end_ -= begin_;
    begin_ = 0;
    if (buffer_.size() - end_ < bytes) buffer_.resize(end_ + bytes);
  }
  return absl::MakeSpan(buffer_).subspan(end_);
}

void FrameParser::Commit(size_t bytes) {
  end_ += bytes;
  CHECK_LE(end_, buffer_.size());
}

size_t FrameParser::missing() const {
  if (pending() < base::kFrameHeaderBytes) return base::kFrameHeaderBytes - pending();
  const char* const header = buffer_.data() + begin_;
  const size_t size = base::LoadFixed<uint32_t>(header + 4);
  if (base::LoadFixed<uint32_t>(header) != kMagic || size > payload_max_)
    return 0;  // Next says what is wrong
  const size_t whole = base::kFrameHeaderBytes + size;
  return pending() >= whole ? 0 : whole - pending();
}

absl::StatusOr<std::string_view> FrameParser::Next() {
  if (missing() > 0) return absl::NotFoundError("frame: more bytes needed");
  const std::string_view have(buffer_.data() + begin_, pending());
  if (base::LoadFixed<uint32_t>(have.data()) != kMagic) {
    return absl::DataLossError("frame: the peer does not speak this protocol (bad magic)");
  }
  const size_t size = base::LoadFixed<uint32_t>(have.data() + 4);
  if (size > payload_max_) {
    return absl::DataLossError(
        absl::StrFormat("frame: %d bytes announced, at most %d allowed", size, payload_max_));
  }
  const std::string_view payload = have.substr(base::kFrameHeaderBytes, size);
  if (base::LoadFixed<uint64_t>(have.data() + 8) != FrameHash(payload)) {
    REACHED("frame.corrupt");
    return absl::DataLossError(
        absl::StrFormat("frame: hash mismatch in a payload of %d bytes", size));
  }
  begin_ += base::kFrameHeaderBytes + size;
  return payload;
}

absl::Status FramedStream::Write(std::string_view payload, Monotonic deadline) {
  out_.clear();
  AppendFrame(out_, payload);
  return stream_->Write(out_, deadline);
}

absl::StatusOr<std::string_view> FramedStream::Read(Monotonic deadline) {
  for (;;) {
    const size_t missing = parser_.missing();
    if (missing == 0) return parser_.Next();
    // Small messages share a read; a large one gets its room at once.
    absl::Span<char> room = parser_.Prepare(std::max(missing, kReadBytes));
    ASSIGN_OR_RETURN(const size_t got, stream_->Read(room, deadline));
    if (got == 0) {
      if (parser_.pending() == 0) return absl::OutOfRangeError("frame: the peer closed the stream");
      return absl::DataLossError(
          absl::StrFormat("frame: the peer closed within a frame, %d bytes in", parser_.pending()));
    }
    parser_.Commit(got);
  }
}

}  // namespace weir::io
