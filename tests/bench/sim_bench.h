// `weir bench sim`: what the simulator costs.
#pragma once

namespace weir::bench {

int RunSimBench(bool json, bool strict);

}  // namespace weir::bench
