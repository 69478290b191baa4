#include "net/helpers.h"

#include <pthread.h>

#include <system_error>
#include <utility>

namespace weir::net {

HelperPool::~HelperPool() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    ending_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void HelperPool::Submit(absl::AnyInvocable<void()> job) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (jobs_.size() >= idle_ && threads_.size() < static_cast<size_t>(threads_max_)) {
      try {
        threads_.emplace_back([this] { Serve(); });
      } catch (const std::system_error&) {
        // Out of threads: whoever helps already has to do.
      }
    }
    if (!threads_.empty()) {
      jobs_.push_back(std::move(job));
      job = nullptr;
    }
  }
  if (job != nullptr) {
    job();
  } else {
    work_.notify_one();
  }
}

void HelperPool::Serve() {
  pthread_setname_np(pthread_self(), name_.substr(0, 15).c_str());
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    while (jobs_.empty() && !ending_) {
      ++idle_;
      work_.wait(lock);
      --idle_;
    }
    if (jobs_.empty()) return;
    absl::AnyInvocable<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;  // what it captured ends here, outside the lock
    lock.lock();
  }
}

}  // namespace weir::net
