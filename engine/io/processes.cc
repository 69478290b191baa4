#include "engine/io/processes.h"

namespace weir::io {

std::string ExitStatus::ToString() const {
  return (by_signal ? "signal " : "exit ") + std::to_string(code);
}

}  // namespace weir::io
