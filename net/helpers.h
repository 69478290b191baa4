// Helper threads: for calls that block the thread they are made on (fsync, a name server, waiting
// for a dead child). A pool starts a thread when work comes and none is free, up to its limit, and
// keeps it. Any thread may submit.
#pragma once

#include <condition_variable>
#include <deque>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/functional/any_invocable.h"

namespace weir::net {

class HelperPool {
 public:
  HelperPool(std::string name, int threads_max)
      : name_(std::move(name)), threads_max_(threads_max) {}
  // Runs what was submitted, then ends the threads.
  ~HelperPool();
  HelperPool(const HelperPool&) = delete;
  HelperPool& operator=(const HelperPool&) = delete;

  // Soon runs `job` on a helper; on the calling thread if the kernel grants not even one helper.
  void Submit(absl::AnyInvocable<void()> job);

 private:
  void Serve();

  const std::string name_;
  const int threads_max_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<absl::AnyInvocable<void()>> jobs_;
  std::vector<std::thread> threads_;
  size_t idle_ = 0;
  bool ending_ = false;
};

}  // namespace weir::net
