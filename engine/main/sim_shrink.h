// `weir sim shrink`: a failing plan made small, printed as a list and as a C++ test; and the hidden
// verbs of the worker processes that run plans for it.
#pragma once

#include <string>

namespace weir::main {

// Whether this is a verb of a plan worker (scenarios/plan_workers.h).
bool IsPlanWorker(const char* argument);
int RunPlanWorker(int argc, char** argv);

// The exit code of `weir sim shrink`: that of the failure, as `sim replay` has it; 1 for bad input
// and for a plan that does not fail.
int ShrinkPlan(const std::string& text, const std::string& source, const std::string& bug,
               int jobs);

}  // namespace weir::main
