// TcpNetwork: io::Network on the kernel's TCP, IPv4 and IPv6.
//
// Invariants
//  - A stream or listener is registered with the loop of the executor that first waits for it, not
//    with the one that made it: accept on one executor, serve on another.
//  - A stream that broke stays broken, and every later call says why.
//  - A peer that is alive but does not read (its window is shut) is never taken for dead, however
//    long it takes. So TCP_USER_TIMEOUT, which cannot tell the two, is not used: kernel
//    keep-alives watch streams with nothing under way, PeerWatch the acknowledgements of the rest.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/io/network.h"
#include "net/helpers.h"
#include "net/real_tasks.h"

namespace weir::net {

class TcpNetwork final : public io::Network {
 public:
  explicit TcpNetwork(RealTasks& tasks) : tasks_(tasks) {}

  using io::Network::Connect;
  using io::Network::Listen;
  absl::StatusOr<std::unique_ptr<io::Listener>> Listen(const io::Address& at,
                                                       const io::ListenOptions& options) override;
  absl::StatusOr<std::unique_ptr<io::Stream>> Connect(const io::Address& to,
                                                      base::Monotonic deadline,
                                                      const io::StreamOptions& options) override;
  absl::StatusOr<std::vector<std::string>> Resolve(std::string_view name,
                                                   base::Monotonic deadline) override;

  // Replaces getaddrinfo: the literals of a name, or why there are none. May block, on a helper.
  // For tests of names that hang.
  using Lookup = absl::StatusOr<std::vector<std::string>> (*)(const std::string& name);
  void set_lookup(Lookup lookup) { lookup_ = lookup; }

 private:
  RealTasks& tasks_;
  Lookup lookup_ = nullptr;
};

}  // namespace weir::net
