// A lock for a few instructions between threads of different executors. It is held across no wait,
// no call that may block and no user code; a thread that does find it taken sleeps in the kernel
// until it is free.
#pragma once

#include <atomic>

namespace weir::base {

class SpinLock {
 public:
  void Lock() {
    while (flag_.test_and_set(std::memory_order_acquire))
      flag_.wait(true, std::memory_order_relaxed);
  }
  void Unlock() {
    flag_.clear(std::memory_order_release);
    flag_.notify_one();
  }

 private:
  std::atomic_flag flag_;
};

class SpinHold {
 public:
  explicit SpinHold(SpinLock& lock) : lock_(lock) { lock_.Lock(); }
  ~SpinHold() { lock_.Unlock(); }
  SpinHold(const SpinHold&) = delete;
  SpinHold& operator=(const SpinHold&) = delete;

 private:
  SpinLock& lock_;
};

}  // namespace weir::base
