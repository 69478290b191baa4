// Chain replication: a log on a line of nodes. Writes enter at the head and travel down; the
// acknowledgement of the tail travels back, and only then the client is told.
//
// A master decides who is in the chain, in epochs that it makes durable before it tells them. It
// takes out who is silent and puts who comes (back) at the end. Invariants:
//  - The log of a node is a beginning of its predecessor's.
//  - Who joins drops what it had and copies; once it has all that a synced predecessor has, it is
//  synced itself, and nothing is acknowledged without it any more.
//  - The last synced node is never taken out: it alone may have what was acknowledged.
//  - A message of another epoch has no effect.
#pragma once

#include "absl/status/status.h"
#include "engine/io/env.h"

namespace weir::scenarios {

// Roles, each with the addresses of the master and the nodes: master, node NUMBER, and client
// NUMBER WRITES, which writes and checks what it reads.
absl::Status Chain(io::Env& env);

}  // namespace weir::scenarios
