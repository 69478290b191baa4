// Env: all that the engine may ask of the outside world, handed down from main. net/ answers with
// the kernel and threads, sim/ with one seed. Nothing here lets the caller find out which one is
// answering.
//
// A program is a function `absl::Status(Env&)`: the main task of a process, on the control
// executor. When it returns, what still runs in the process is cancelled and the process ends: exit
// 0 if OK, else the error is logged and exit 1. A copy of an Env with some members replaced is a
// decorated world for whoever gets it.
#pragma once

#include <functional>

#include "absl/status/status.h"
#include "engine/base/random.h"
#include "engine/io/clock.h"
#include "engine/io/disk.h"
#include "engine/io/host.h"
#include "engine/io/log.h"
#include "engine/io/network.h"
#include "engine/io/processes.h"
#include "engine/io/tasks.h"
#include "engine/io/trace.h"

namespace weir::io {

struct Env {
  Clock& clock;
  Tasks& tasks;
  base::Random& random;  // this process's own stream; fork it by name for each concern
  Network& network;
  Disk& disk;
  Processes& processes;
  Host& host;
  Signals& signals;
  Log& log;
  Trace& trace;
  Console& console;

  Monotonic Deadline(Duration timeout) { return base::After(clock.Now(), timeout); }
  // Waits for `duration`. kCancelled only in an unwind.
  Wake Sleep(Duration duration) {
    const Monotonic until = Deadline(duration);
    Wake wake = Wake::kUnparked;
    while (wake == Wake::kUnparked) wake = tasks.Park(until, {"sleep"});
    return wake;
  }
};

using Program = std::function<absl::Status(Env&)>;

}  // namespace weir::io
