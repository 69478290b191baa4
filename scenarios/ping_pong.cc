#include "scenarios/ping_pong.h"

#include <chrono>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "engine/base/status_macros.h"
#include "engine/io/framing.h"
#include "engine/io/scope.h"

namespace weir::scenarios {
namespace {

using namespace std::chrono_literals;

void Answer(io::FramedStream& peer) {
  for (;;) {
    const absl::StatusOr<std::string_view> message = peer.Read(base::kForever);
    if (!message.ok() || !peer.Write(*message, base::kForever).ok()) return;
  }
}

absl::Status Serve(io::Env& env, const io::Address& at) {
  ASSIGN_OR_RETURN(const std::unique_ptr<io::Listener> listener, env.network.Listen(at));
  env.trace.Hit(base::Probe::kPingServerUp, {listener->address().port});
  return io::WithScope(env, "server", [&](io::Scope& scope) -> absl::Status {
    RETURN_IF_ERROR(scope.Spawn("accept", [&] {
      for (;;) {
        absl::StatusOr<std::unique_ptr<io::Stream>> stream = listener->Accept(base::kForever);
        if (!stream.ok()) {
          env.log.Warn("ping", stream.status().message());
          env.Sleep(100ms);  // out of descriptors: some will close
          continue;
        }
        auto peer = std::make_unique<io::FramedStream>(*std::move(stream));
        const absl::Status started =
            scope.Spawn("answer", [peer = std::move(peer)] { Answer(*peer); });
        if (!started.ok()) env.log.Warn("ping", started.message());
      }
    }));
    env.signals.WaitForTermination(base::kForever);
    return absl::OkStatus();
  });
}

absl::Status Play(io::Env& env, const io::Address& server, int64_t number, int64_t rounds) {
  std::unique_ptr<io::FramedStream> peer;
  int64_t connections = 0;
  for (int64_t round = 1; round <= rounds;) {
    if (peer == nullptr) {
      absl::StatusOr<std::unique_ptr<io::Stream>> stream =
          env.network.Connect(server, env.Deadline(1s));
      if (!stream.ok()) {
        env.Sleep(10ms);
        continue;
      }
      peer = std::make_unique<io::FramedStream>(*std::move(stream));
      ++connections;
    }
    const std::string ping = absl::StrFormat("ping %d of client %d", round, number);
    absl::StatusOr<std::string_view> pong = absl::UnavailableError("not sent");
    if (peer->Write(ping, env.Deadline(1s)).ok()) pong = peer->Read(env.Deadline(1s));
    if (!pong.ok()) {  // the same round again, over a connection that owes no answer
      peer.reset();
      continue;
    }
    if (*pong != ping)
      return absl::DataLossError(
          absl::StrFormat("sent \"%s\", got \"%s\"", ping, std::string(*pong)));
    env.trace.Hit(base::Probe::kPingRoundTrip, {number, round});
    ++round;
  }
  env.console.Out(
      absl::StrFormat("client %d rounds=%d connections=%d\n", number, rounds, connections));
  return absl::OkStatus();
}

}  // namespace

absl::Status PingPong(io::Env& env) {
  const std::vector<std::string>& words = env.processes.arguments();
  if (words.size() >= 3 && words[1] == "server") {
    ASSIGN_OR_RETURN(const io::Address at, io::Address::Parse(words[2]));
    return Serve(env, at);
  }
  int64_t number = 0;
  int64_t rounds = 0;
  if (words.size() == 5 && words[1] == "client" && absl::SimpleAtoi(words[3], &number) &&
      absl::SimpleAtoi(words[4], &rounds)) {
    ASSIGN_OR_RETURN(const io::Address server, io::Address::Parse(words[2]));
    return Play(env, server, number, rounds);
  }
  return absl::InvalidArgumentError(
      "ping_pong: usage: server HOST:PORT | client HOST:PORT NUMBER ROUNDS");
}

}  // namespace weir::scenarios
