// Programs that tests start as processes, by name. The test binary is all of them: called with
// "--program=NAME" it is a process of the real world that runs that program, and a simulated
// process that is started with the same argument runs the same function. So one Spawn call of a
// test means the same in both worlds, with Processes::Self() as the program.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "engine/io/env.h"

namespace weir::tests {

// Null if there is none.
const io::Program* FindProgram(std::string_view name);

// Runs the program that arguments()[0] names.
absl::Status Dispatch(io::Env& env);

// "--program=NAME", then `rest`: the arguments that start NAME.
std::vector<std::string> ProgramArguments(std::string_view name,
                                          std::vector<std::string> rest = {});
// NAME of "--program=NAME"; "" if `argument` is no such thing.
std::string_view ProgramName(std::string_view argument);

}  // namespace weir::tests
