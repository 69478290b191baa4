// The runs that are not deterministic, each in one way: what the checks of determinism are tested
// with. See runs.h.
#include <chrono>

#include "scenarios/runs.h"

namespace weir::scenarios {
namespace {

using namespace std::chrono_literals;

absl::Status LeakAnAddress(io::Env& env) {
  // The lowest bits of a page's number: all that address-space randomisation leaves, and all that
  // it takes. Of the stack, as sanitizers have their heap at a fixed place.
  const auto page = reinterpret_cast<uintptr_t>(__builtin_frame_address(0)) >> 12;
  env.Sleep(std::chrono::microseconds(page % 4096));
  return absl::OkStatus();
}

io::Duration Mix(uint64_t first, uint64_t second) {
  return std::chrono::microseconds((first % 1000) * 2 + second % 1000);
}

absl::Status DrawTwiceInAnArgumentList(io::Env& env) {
  base::Random random = env.random.Fork("canary");
  env.Sleep(Mix(random.Next(), random.Next()));
  return absl::OkStatus();
}

// `program` must outlive the world.
absl::Status RunAlone(sim::World& world, const io::Program& program) {
  world.Start(world.AddHost("host"), program, {.name = "canary"});
  return world.Run();
}

}  // namespace

absl::Status RunCanaryAddress(Run& run) { return RunAlone(run.world, LeakAnAddress); }

absl::Status RunCanaryDrawOrder(Run& run) { return RunAlone(run.world, DrawTwiceInAnArgumentList); }

}  // namespace weir::scenarios
