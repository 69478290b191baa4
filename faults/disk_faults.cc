// The disk family.
#include "faults/driver.h"

namespace weir::faults {

bool Driver::StrikeDisk(size_t) { return false; }

}  // namespace weir::faults
