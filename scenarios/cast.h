// Cast: the hosts and processes of a small protocol, started by role. All of one scenario run the
// same program and know the same addresses.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "engine/io/env.h"
#include "scenarios/scenario.h"

namespace weir::scenarios {

class Cast {
 public:
  // `program` must outlive the world. `addresses` are "host:port" of servers.
  Cast(Run& run, const io::Program& program, std::vector<std::string> addresses)
      : run_(run), program_(program), addresses_(std::move(addresses)) {}

  // A process alone on the host `host`: "node 2" lives on "node2". `words` are its role and
  // numbers.
  sim::ProcessId Start(std::string_view host, std::string_view process,
                       std::vector<std::string> words, bool essential);

  // Runs until the essential processes have ended, and gives the first error that one of them told.
  absl::Status Finish();
  // The servers, in the order of their start.
  const std::vector<sim::ProcessId>& servers() const { return servers_; }

 private:
  Run& run_;
  const io::Program& program_;
  const std::vector<std::string> addresses_;
  std::vector<sim::ProcessId> servers_;
  std::vector<sim::ProcessId> essential_;
};

// A network and disks without surprises, so that what goes wrong in a small protocol comes from the
// plan; latencies still differ from seed to seed.
sim::WorldOptions SmallWorld(uint64_t seed);

}  // namespace weir::scenarios
