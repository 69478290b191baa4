// Calls: requests and answers over framed connections, for the small protocols of this folder. A
// message is a list of numbers; what they mean is the protocol's business.
//
// A call that failed may have been carried out: who calls again must make that harmless.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "engine/io/env.h"
#include "engine/io/framing.h"
#include "engine/io/scope.h"

namespace weir::scenarios {

using Numbers = std::vector<uint64_t>;

std::string EncodeNumbers(const Numbers& numbers);
// kDataLoss if `bytes` are no list.
absl::StatusOr<Numbers> DecodeNumbers(std::string_view bytes);

// Calls one server, over one connection at a time. One task.
class Caller {
 public:
  Caller(io::Env& env, io::Address address) : env_(env), address_(std::move(address)) {}
  absl::StatusOr<Numbers> Call(const Numbers& request, io::Duration timeout);

 private:
  absl::StatusOr<Numbers> TryCall(const Numbers& request, io::Monotonic deadline);

  io::Env& env_;
  const io::Address address_;
  std::unique_ptr<io::FramedStream> stream_;
};

// An error of the handler ends the server with it: a disk that fails leaves a state that is known
// again only after a restart.
using Handler = std::function<absl::StatusOr<Numbers>(const Numbers& request)>;
using Background = std::function<absl::Status()>;

// Answers calls, a task a connection, and runs `background` tasks beside; returns the first error.
absl::Status Serve(io::Env& env, const io::Address& at, const Handler& handler,
                   const std::vector<Background>& background = {});

// What the programs of this folder are started with: "--program=NAME", a role, numbers, and
// addresses; "--bug=NAME" plants a fault.
struct Role {
  std::string name;
  std::vector<uint64_t> numbers;
  std::vector<io::Address> addresses;
  std::string bug;
};
absl::StatusOr<Role> ParseRole(io::Env& env);

}  // namespace weir::scenarios
