// Ping-pong: the smallest whole program over Env. A server answers every message with itself; a
// client sends numbered messages, one at a time, until each was answered, over as many connections
// as that takes.
//
// Arguments after "--program=ping_pong":
//   server HOST:PORT                    until asked to terminate
//   client HOST:PORT NUMBER ROUNDS      prints "client NUMBER rounds=ROUNDS connections=N"
#pragma once

#include "absl/status/status.h"
#include "engine/io/env.h"

namespace weir::scenarios {

absl::Status PingPong(io::Env& env);

}  // namespace weir::scenarios
