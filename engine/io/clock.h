// Clock: the only source of time. Monotonic for deadlines and intervals; Wall for people and
// records.
#pragma once

#include "engine/base/time.h"
#include "engine/io/tasks.h"

namespace weir::io {

class Clock {
 public:
  virtual ~Clock() = default;
  // Never runs backwards on one host; means nothing on another. In the simulator it stands still
  // while a task runs.
  virtual Monotonic Now() = 0;
  // What this host believes; may be wrong, drift and jump.
  virtual WallTime Wall() = 0;
};

}  // namespace weir::io
