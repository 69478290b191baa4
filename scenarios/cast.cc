#include "scenarios/cast.h"

#include <chrono>

#include "engine/base/status_macros.h"

namespace weir::scenarios {

using namespace std::chrono_literals;

sim::ProcessId Cast::Start(std::string_view host, std::string_view process,
                           std::vector<std::string> words, bool essential) {
  words.insert(words.begin(), "--program=" + std::string(process));
  words.insert(words.end(), addresses_.begin(), addresses_.end());
  if (!run_.bug.empty()) words.push_back("--bug=" + std::string(run_.bug));
  const sim::ProcessId id = run_.world.Start(
      run_.world.AddHost(host), program_,
      {.name = std::string(process), .arguments = std::move(words), .essential = essential});
  (essential ? essential_ : servers_).push_back(id);
  return id;
}

absl::Status Cast::Finish() {
  RETURN_IF_ERROR(run_.world.Run());
  for (const sim::ProcessId id : essential_) RETURN_IF_ERROR(run_.world.exit_message(id));
  return absl::OkStatus();
}

sim::WorldOptions SmallWorld(uint64_t seed) {
  base::Random random = base::Random(seed).Fork("model");
  sim::WorldOptions options;
  options.network.latency_low = 50us;
  options.network.latency_high = 50us + random.Between(base::Duration(0us), base::Duration(450us));
  options.network.slow_message = {0, 1};
  options.network.short_read = {0, 1};
  options.disk.sync_low = 100us;
  options.disk.sync_high = 100us + random.Between(base::Duration(0us), base::Duration(2ms));
  options.disk.read_high = 50us;
  return options;
}

}  // namespace weir::scenarios
