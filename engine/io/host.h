// Host: the machine apart from the process. Disk, address and clock belong to it; a process may die
// and the host live on, and the other way round not.
#pragma once

#include <cstdint>
#include <string>

#include "engine/io/tasks.h"

namespace weir::io {

struct HostLimits {
  int cores = 1;              // that this process may use
  uint64_t memory_bytes = 0;  // that this process may use
};

// How short of memory the host is, in thousandths of the time in which work stood still for it.
struct MemoryPressure {
  uint32_t stalled_per_mille = 0;
  uint64_t free_bytes = 0;
};

class Host {
 public:
  virtual ~Host() = default;
  virtual const std::string& name() const = 0;
  // The address under which other hosts reach this one.
  virtual const std::string& address() const = 0;
  virtual HostLimits limits() = 0;
  virtual MemoryPressure memory_pressure() = 0;
};

// Requests to end, as events: SIGTERM and SIGINT in the real world.
class Signals {
 public:
  virtual ~Signals() = default;
  virtual bool termination_requested() = 0;
  // kUnparked: a termination was asked for.
  virtual Wake WaitForTermination(Monotonic deadline) = 0;
};

// What a person at a terminal sees. Results to Out, progress to Err.
class Console {
 public:
  virtual ~Console() = default;
  virtual void Out(std::string_view text) = 0;
  virtual void Err(std::string_view text) = 0;
};

}  // namespace weir::io
