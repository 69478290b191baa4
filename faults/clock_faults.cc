// The clock family.
#include "faults/driver.h"

namespace weir::faults {

bool Driver::StrikeClock(size_t) { return false; }

}  // namespace weir::faults
