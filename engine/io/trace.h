// Trace: what happened, in order, for tools and tests. A probe is a protocol moment of the table in
// engine/base/probes.h; the simulator counts it and may let a fault strike there, so the call may
// be the task's last.
#pragma once

#include <cstdint>
#include <initializer_list>

#include "absl/types/span.h"
#include "engine/base/probes.h"

namespace weir::io {

class Trace {
 public:
  virtual ~Trace() = default;
  // One value for each field of the table.
  virtual void Hit(base::Probe probe, absl::Span<const int64_t> values) = 0;

  void Hit(base::Probe probe, std::initializer_list<int64_t> values = {}) {
    Hit(probe, absl::Span<const int64_t>(values.begin(), values.size()));
  }
};

}  // namespace weir::io
