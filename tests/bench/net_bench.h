// `weir bench net`: what the real world's I/O costs beside the bare system calls.
#pragma once

namespace weir::bench {

int RunNetBench(bool json, bool strict);

}  // namespace weir::bench
