// `weir demo`: the small programs as real processes over loopback TCP, with a replica killed on the
// way and brought back; then the very same program in a simulated world.
#pragma once

namespace weir::main {

// Whether this is an argument with which the demo starts its children.
bool IsDemoRole(const char* argument);
int RunDemoRole(int argc, char** argv);
int RunDemo();

}  // namespace weir::main
