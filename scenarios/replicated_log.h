// A small replicated log of numbered writes, in the manner of Raft without snapshots and
// membership: what a program of some substance over Env looks like, and a subject for kills,
// restarts, pauses and power cuts.
//
// Promise: a write that was acknowledged is in the log for ever, once, in the order in which its
// client made it, as long as every replica keeps its disk: a vote or an acknowledgement that a lost
// disk forgets would be given twice.
//
// Arguments after "--program=replicated_log"; ADDRESSES are those of all replicas, replica 1 first:
//   replica NUMBER ADDRESSES                until asked to terminate
//   client NUMBER WRITES ADDRESSES          writes, reads back, prints "client NUMBER
//   acknowledged=WRITES seen=WRITES" reader CLIENTS WRITES ADDRESSES         checks that clients 1
//   to CLIENTS made WRITES writes each
// A client or reader that finds the promise broken ends with kDataLoss.
#pragma once

#include "absl/status/status.h"
#include "engine/io/env.h"

namespace weir::scenarios {

absl::Status ReplicatedLog(io::Env& env);

}  // namespace weir::scenarios
