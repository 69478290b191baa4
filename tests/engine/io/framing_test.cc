// Frames: any cut of the bytes gives the same frames, any flipped bit is caught.

#include "engine/io/framing.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <cstring>

#include "tests/golden.h"

namespace weir::io {
namespace {

// Feeds bytes to a parser in pieces and takes the frames as they come.
class Feeder {
 public:
  explicit Feeder(size_t payload_max = base::kFrameBytesMax) : parser_(payload_max) {}

  // False once the parser has refused.
  bool Feed(std::string_view bytes) {
    const absl::Span<char> room = parser_.Prepare(bytes.size());
    if (room.size() < bytes.size()) return false;
    std::memcpy(room.data(), bytes.data(), bytes.size());
    parser_.Commit(bytes.size());
    for (;;) {
      const bool has = parser_.missing() == 0;
      const absl::StatusOr<std::string_view> frame = parser_.Next();
      if (frame.ok()) {
        frames.emplace_back(*frame);
        continue;
      }
      error = frame.status();
      if (absl::IsNotFound(error) == has) ADD_FAILURE() << "missing() and Next() differ";
      return absl::IsNotFound(error);
    }
  }
  size_t pending() const { return parser_.pending(); }

  std::vector<std::string> frames;
  absl::Status error;

 private:
  FrameParser parser_;
};

std::string FramesOf(const std::vector<std::string>& payloads) {
  std::string bytes;
  for (const std::string& payload : payloads) AppendFrame(bytes, payload);
  return bytes;
}

TEST(Framing, FramesOfEveryEarlierVersionAreRead) {
  const std::string golden = tests::Golden("frame_wrf1.hex");
  const std::vector<std::string> payloads = {"", "weir", std::string(20, 'z')};
  EXPECT_EQ(tests::Hex(FramesOf(payloads)), tests::Hex(golden));
  Feeder feeder;
  EXPECT_TRUE(feeder.Feed(golden));
  EXPECT_EQ(feeder.frames, payloads);
  EXPECT_EQ(feeder.pending(), 0u);
}

TEST(Framing, ALargerFrameThanAllowedIsRefusedByItsHeader) {
  Feeder feeder(100);
  const std::string bytes = FramesOf({std::string(100, 'a'), std::string(101, 'b')});
  EXPECT_FALSE(feeder.Feed(std::string_view(bytes).substr(0, 116 + 16)));
  EXPECT_EQ(feeder.frames.size(), 1u);
  EXPECT_EQ(feeder.error.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(std::string(feeder.error.message()), "frame: 101 bytes announced, at most 100 allowed");
}

TEST(Framing, ErrorsSayWhatIsWrong) {
  Feeder stranger;
  EXPECT_FALSE(stranger.Feed("GET / HTTP/1.1\r\n"));
  EXPECT_EQ(std::string(stranger.error.message()),
            "frame: the peer does not speak this protocol (bad magic)");
  std::string bytes = FramesOf({"payload"});
  bytes.back() ^= 1;
  Feeder corrupt;
  EXPECT_FALSE(corrupt.Feed(bytes));
  EXPECT_EQ(std::string(corrupt.error.message()), "frame: hash mismatch in a payload of 7 bytes");
}

TEST(Framing, AFrameTooLargeToSendIsABug) {
  std::string out;
  EXPECT_DEATH(AppendFrame(out, std::string(base::kFrameBytesMax + 1, 'x')),
               "CHECK failed: payload.size\\(\\) <=");
}

TEST(Framing, AnIdleParserHoldsLittle) {
  FrameParser parser;
  parser.Commit(0);
  EXPECT_EQ(parser.missing(), base::kFrameHeaderBytes);
  EXPECT_LE(parser.Prepare(4 << 10).size(), 8u << 10);
}

RC_GTEST_PROP(properties_Framing, AnyChunkingGivesTheSameFrames,
              (const std::vector<std::string>& payloads)) {
  const std::string bytes = FramesOf(payloads);
  Feeder feeder;
  for (size_t at = 0; at < bytes.size();) {
    const size_t chunk = std::min<size_t>(bytes.size() - at, *rc::gen::inRange<size_t>(1, 40));
    RC_ASSERT(feeder.Feed(std::string_view(bytes).substr(at, chunk)));
    at += chunk;
  }
  RC_ASSERT(feeder.frames == payloads);
  RC_ASSERT(feeder.pending() == 0u);
}

RC_GTEST_PROP(properties_Framing, NoFlippedByteGetsThrough,
              (std::vector<std::string> payloads, uint8_t flip)) {
  RC_PRE(flip != 0);
  payloads.push_back("last");
  const std::string whole = FramesOf(payloads);
  std::string bytes = whole;
  const size_t at = *rc::gen::inRange<size_t>(0, bytes.size());
  bytes[at] = static_cast<char>(bytes[at] ^ flip);
  Feeder feeder;
  const bool accepted = feeder.Feed(bytes);
  // Either it is refused, or it waits for bytes that never come; what was given out before is a
  // prefix of the truth.
  RC_ASSERT(!accepted || feeder.pending() > 0);
  RC_ASSERT(feeder.frames.size() < payloads.size());
  RC_ASSERT(std::equal(feeder.frames.begin(), feeder.frames.end(), payloads.begin()));
}

RC_GTEST_PROP(properties_Framing, ACutIsSeen, (std::vector<std::string> payloads)) {
  payloads.push_back("last");
  const std::string bytes = FramesOf(payloads);
  const size_t cut = *rc::gen::inRange<size_t>(0, bytes.size());
  Feeder feeder;
  RC_ASSERT(feeder.Feed(std::string_view(bytes).substr(0, cut)));
  RC_ASSERT(FramesOf(feeder.frames).size() + feeder.pending() == cut);
  RC_ASSERT(std::equal(feeder.frames.begin(), feeder.frames.end(), payloads.begin()));
}

RC_GTEST_PROP(properties_Framing, AnyBytesAreFramesOrRefused, (const std::string& bytes)) {
  Feeder feeder;
  if (!feeder.Feed(bytes)) RC_ASSERT(absl::IsDataLoss(feeder.error));
}

}  // namespace
}  // namespace weir::io
