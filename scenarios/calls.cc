#include "scenarios/calls.h"

#include <chrono>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"
#include "engine/base/coding.h"
#include "engine/base/status_macros.h"
#include "engine/io/sync.h"

namespace weir::scenarios {

using namespace std::chrono_literals;

std::string EncodeNumbers(const Numbers& numbers) {
  std::string out;
  base::PutVarint(out, numbers.size());
  for (const uint64_t number : numbers) base::PutVarint(out, number);
  return out;
}

absl::StatusOr<Numbers> DecodeNumbers(std::string_view bytes) {
  uint64_t count = 0;
  bool good = base::GetVarint(bytes, count) && count <= bytes.size();
  Numbers numbers(good ? count : 0);
  for (uint64_t& number : numbers) good = good && base::GetVarint(bytes, number);
  if (!good || !bytes.empty()) return absl::DataLossError("a message is no list of numbers");
  return numbers;
}

absl::StatusOr<Numbers> Caller::Call(const Numbers& request, io::Duration timeout) {
  absl::StatusOr<Numbers> reply = TryCall(request, env_.Deadline(timeout));
  if (!reply.ok()) stream_.reset();  // it may still owe the answer
  return reply;
}

absl::StatusOr<Numbers> Caller::TryCall(const Numbers& request, io::Monotonic deadline) {
  if (stream_ == nullptr) {
    ASSIGN_OR_RETURN(std::unique_ptr<io::Stream> stream, env_.network.Connect(address_, deadline));
    stream_ = std::make_unique<io::FramedStream>(std::move(stream));
  }
  RETURN_IF_ERROR(stream_->Write(EncodeNumbers(request), deadline));
  ASSIGN_OR_RETURN(const std::string_view reply, stream_->Read(deadline));
  return DecodeNumbers(reply);
}

absl::Status Serve(io::Env& env, const io::Address& at, const Handler& handler,
                   const std::vector<Background>& background) {
  ASSIGN_OR_RETURN(const auto listener, env.network.Listen(at));
  absl::Status failure;
  io::Event stop(env.tasks, "server stop");
  const auto fail = [&](absl::Status status) {
    if (failure.ok()) failure = std::move(status);
    stop.Set();
  };
  const auto answer = [&](io::FramedStream& peer) {
    for (;;) {
      const absl::StatusOr<std::string_view> bytes = peer.Read(base::kForever);
      if (!bytes.ok()) return;
      const absl::StatusOr<Numbers> request = DecodeNumbers(*bytes);
      if (!request.ok()) return;
      const absl::StatusOr<Numbers> reply = handler(*request);
      if (!reply.ok()) return fail(reply.status());
      if (!peer.Write(EncodeNumbers(*reply), env.Deadline(1s)).ok()) return;
    }
  };
  return io::WithScope(env, "server", [&](io::Scope& scope) -> absl::Status {
    RETURN_IF_ERROR(scope.Spawn("accept", [&] {
      for (;;) {
        absl::StatusOr<std::unique_ptr<io::Stream>> stream = listener->Accept(base::kForever);
        absl::Status status = stream.status();
        if (status.ok()) {
          auto peer = std::make_unique<io::FramedStream>(*std::move(stream));
          status = scope.Spawn("answer", [&, peer = std::move(peer)] { answer(*peer); });
        }
        if (!status.ok()) env.Sleep(100ms);
      }
    }));
    for (const Background& work : background) {
      RETURN_IF_ERROR(scope.Spawn("background", [&] {
        if (absl::Status status = work(); !status.ok()) fail(std::move(status));
      }));
    }
    (void)stop.Wait();
    return failure;
  });
}

absl::StatusOr<Role> ParseRole(io::Env& env) {
  Role role;
  const std::vector<std::string>& words = env.processes.arguments();
  for (size_t i = 1; i < words.size(); ++i) {
    uint64_t number = 0;
    constexpr absl::string_view kBug = "--bug=";
    if (i == 1) {
      role.name = words[i];
    } else if (absl::StartsWith(words[i], kBug)) {
      role.bug = words[i].substr(kBug.size());
    } else if (absl::SimpleAtoi(words[i], &number)) {
      role.numbers.push_back(number);
    } else {
      ASSIGN_OR_RETURN(io::Address address, io::Address::Parse(words[i]));
      role.addresses.push_back(std::move(address));
    }
  }
  if (!role.name.empty()) return role;
  return absl::InvalidArgumentError("usage: --program=NAME ROLE NUMBERS ADDRESSES [--bug=NAME]");
}

}  // namespace weir::scenarios
