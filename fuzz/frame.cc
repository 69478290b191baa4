// Frames out of bytes of any content, in chunks of any size. However the bytes are cut, the same
// payloads come out; of frames that were written well and then damaged, exactly those before the
// damage. The same bytes then cross a simulated connection, where FramedStream must say the same.
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/base/check.h"
#include "engine/base/status_macros.h"
#include "engine/io/framing.h"
#include "engine/io/scope.h"
#include "fuzz/input.h"
#include "sim/world.h"

namespace weir::fuzz {
namespace {

using namespace std::chrono_literals;

constexpr size_t kPayloadMax = 4096;

// What a reader of a stream gets to see.
struct Reading {
  std::vector<std::string> payloads;
  absl::StatusCode end = absl::StatusCode::kOk;  // kOutOfRange: between frames
  friend bool operator==(const Reading&, const Reading&) = default;
};

Reading ReadChunks(std::string_view bytes, std::string_view chunks) {
  io::FrameParser parser(kPayloadMax);
  Reading reading;
  size_t next_chunk = 0;
  for (;;) {
    const absl::StatusOr<std::string_view> payload = parser.Next();
    if (payload.ok()) {
      CHECK_LE(payload->size(), kPayloadMax);
      reading.payloads.emplace_back(*payload);
      continue;
    }
    if (payload.status().code() == absl::StatusCode::kDataLoss) {
      CHECK_EQ(parser.missing(), 0u);
      reading.end = absl::StatusCode::kDataLoss;
      return reading;
    }
    CHECK(absl::IsNotFound(payload.status())) << payload.status().ToString();
    CHECK_GT(parser.missing(), 0u);
    if (bytes.empty()) break;
    const size_t want = chunks.empty()
                            ? bytes.size()
                            : 1 + static_cast<uint8_t>(chunks[next_chunk++ % chunks.size()]);
    const size_t chunk = std::min(bytes.size(), want);
    const absl::Span<char> room = parser.Prepare(chunk);
    CHECK_GE(room.size(), chunk);
    std::copy_n(bytes.data(), chunk, room.data());
    parser.Commit(chunk);
    bytes.remove_prefix(chunk);
  }
  reading.end = parser.pending() == 0 ? absl::StatusCode::kOutOfRange : absl::StatusCode::kDataLoss;
  return reading;
}

Reading ReadOverAConnection(std::string_view bytes, std::string_view chunks, uint64_t seed) {
  Reading reading;
  const io::Program program = [&](io::Env& env) -> absl::Status {
    ASSIGN_OR_RETURN(const auto listener, env.network.Listen({"127.0.0.1", 0}));
    ASSIGN_OR_RETURN(auto client, env.network.Connect(listener->address(), env.Deadline(1min)));
    ASSIGN_OR_RETURN(auto server, listener->Accept(env.Deadline(1min)));
    return io::WithScope(env, "writer", [&](io::Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("writer", [&] {
        std::string_view rest = bytes;
        for (size_t i = 0; !rest.empty(); ++i) {
          const size_t want =
              chunks.empty() ? rest.size() : 1 + static_cast<uint8_t>(chunks[i % chunks.size()]);
          const std::string_view chunk = rest.substr(0, want);
          rest.remove_prefix(chunk.size());
          CHECK_OK(client->Write(chunk, env.Deadline(1min)));
        }
        CHECK_OK(client->CloseWrite());
      }));
      io::FramedStream frames(std::move(server), kPayloadMax);
      for (;;) {
        const absl::StatusOr<std::string_view> payload = frames.Read(env.Deadline(1min));
        if (!payload.ok()) {
          reading.end = payload.status().code();
          scope.Join();
          return absl::OkStatus();
        }
        reading.payloads.emplace_back(*payload);
      }
    });
  };
  sim::WorldOptions options;
  options.seed = seed;
  sim::World world(options);
  const sim::ProcessId process = world.Start(world.AddHost("host"), program, {.name = "frames"});
  CHECK_OK(world.Run());
  CHECK_OK(world.exit_message(process));
  return reading;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 8192) return 0;
  Input input(data, size);
  const uint8_t form = input.Byte();
  const uint8_t seed = input.Byte();
  const std::string_view chunks = input.Take(input.Between(0, 15));
  std::string bytes;
  Reading expected;
  if (form % 2 == 0) {
    bytes = input.Rest();
    expected = ReadChunks(bytes, "");
  } else {
    const uint8_t flip = input.Byte();
    const uint64_t place = input.Byte();
    std::vector<size_t> ends;
    while (!input.empty()) {
      const uint64_t length = input.Between(0, 100);
      const std::string_view text = input.Take(length);
      expected.payloads.emplace_back(text);
      io::AppendFrame(bytes, text);
      ends.push_back(bytes.size());
    }
    expected.end = absl::StatusCode::kOutOfRange;
    if (flip != 0 && !bytes.empty()) {
      const size_t at = bytes.size() * place / 256;
      bytes[at] = static_cast<char>(bytes[at] ^ flip);
      const auto whole =
          static_cast<size_t>(std::upper_bound(ends.begin(), ends.end(), at) - ends.begin());
      expected.payloads.resize(whole);
      expected.end = absl::StatusCode::kDataLoss;
    }
    CHECK(ReadChunks(bytes, "") == expected) << "not what was written";
  }
  CHECK(ReadChunks(bytes, chunks) == expected) << "chunks make a difference";
  // A world costs a hundred times what a parser does.
  if (seed % 4 == 0) CHECK(ReadOverAConnection(bytes, chunks, seed) == expected);
  return 0;
}

}  // namespace weir::fuzz
