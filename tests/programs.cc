#include "tests/programs.h"

#include <map>

#include "absl/strings/str_format.h"
#include "engine/base/text.h"
#include "scenarios/ping_pong.h"
#include "scenarios/replicated_log.h"
#include "tests/conformance/child_programs.h"

namespace weir::tests {
namespace {

constexpr std::string_view kFlag = "--program=";

// The one table. A row is a program that some test starts.
const std::map<std::string_view, io::Program>& Table() {
  static const auto* const table = new std::map<std::string_view, io::Program>{
      {"ping_pong", scenarios::PingPong},
      {"replicated_log", scenarios::ReplicatedLog},
      {"child_ok", ChildOk},
      {"child_fail", ChildFail},
      {"child_wait", ChildWait},
      {"child_terminate", ChildTerminate},
      {"child_say", ChildSay},
      {"child_write", ChildWrite},
      {"child_parent", ChildParent},
      {"child_heartbeat", ChildHeartbeat},
      {"child_draw", ChildDraw},
  };
  return *table;
}

}  // namespace

const io::Program* FindProgram(std::string_view name) {
  const auto it = Table().find(name);
  return it == Table().end() ? nullptr : &it->second;
}

std::string_view ProgramName(std::string_view argument) {
  return argument.substr(0, kFlag.size()) == kFlag ? argument.substr(kFlag.size())
                                                   : std::string_view();
}

std::vector<std::string> ProgramArguments(std::string_view name, std::vector<std::string> rest) {
  rest.insert(rest.begin(), std::string(kFlag) + std::string(name));
  return rest;
}

absl::Status Dispatch(io::Env& env) {
  const std::vector<std::string>& arguments = env.processes.arguments();
  const io::Program* const program =
      arguments.empty() ? nullptr : FindProgram(ProgramName(arguments[0]));
  if (program == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrFormat("no test program \"%s\"; tests/programs.cc has the table",
                        arguments.empty() ? "" : arguments[0]));
  }
  return (*program)(env);
}

}  // namespace weir::tests
