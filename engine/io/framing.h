// Framing: messages over a Stream. The one way in which processes of the project talk, in both
// worlds.
//
// A frame is a header of 16 bytes and the payload:
//   u32  magic "WRF1"     u32  payload size     u64  XXH3 of the payload, seeded with the size
// all little-endian. A frame that is cut, too large or does not match its hash breaks the stream
// with kDataLoss; nothing of it is given out.
#pragma once

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/limits.h"
#include "engine/io/network.h"

namespace weir::io {

// Appends the frame of `payload`, which is at most kFrameBytesMax.
void AppendFrame(std::string& out, std::string_view payload);

// Takes frames out of bytes as they come, in pieces of any size.
class FrameParser {
 public:
  explicit FrameParser(size_t payload_max = base::kFrameBytesMax) : payload_max_(payload_max) {}

  // Room for at least `bytes` more; fill its front, then Commit how much.
  absl::Span<char> Prepare(size_t bytes);
  void Commit(size_t bytes);

  // The next whole frame's payload, valid until the next call of Prepare; kNotFound if more bytes
  // are needed; kDataLoss if what came is no frame.
  absl::StatusOr<std::string_view> Next();
  // Bytes that came and were not given out: not 0 at the end of a stream means a cut frame.
  size_t pending() const { return end_ - begin_; }
  // How many more bytes are sure to be needed before Next has something to say; 0: it has.
  size_t missing() const;

 private:
  size_t payload_max_;
  std::string buffer_;
  size_t begin_ = 0;
  size_t end_ = 0;
};

// A Stream with frames in both directions. One reader, one writer.
class FramedStream {
 public:
  explicit FramedStream(std::unique_ptr<Stream> stream, size_t payload_max = base::kFrameBytesMax)
      : stream_(std::move(stream)), parser_(payload_max) {}

  absl::Status Write(std::string_view payload, Monotonic deadline);
  // The payload, valid until the next Read. kOutOfRange: the peer closed between frames. kDataLoss:
  // it closed within one, or sent what is none. kDeadlineExceeded: no whole frame yet, the stream
  // is whole.
  absl::StatusOr<std::string_view> Read(Monotonic deadline);

  Stream& stream() { return *stream_; }

 private:
  std::unique_ptr<Stream> stream_;
  FrameParser parser_;
  std::string out_;
};

}  // namespace weir::io
