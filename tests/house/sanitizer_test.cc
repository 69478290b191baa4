// The sanitizers understand fibers: no false report when fibers switch, throw and end on several
// threads, and a true one for a planted bug inside a fiber. Plain Boost.Fiber and plain threads on
// purpose: this tests .ci/sanitizer, which sits below everything of ours. Without a sanitizer the
// first two tests still hold and the planted bugs are not compiled.
#include <atomic>
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/operations.hpp>
#include <boost/fiber/protected_fixedsize_stack.hpp>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_TEST_ADDRESS 1
#endif
#if __has_feature(thread_sanitizer)
#define WEIR_TEST_THREAD 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WEIR_TEST_ADDRESS 1
#endif
#if defined(__SANITIZE_THREAD__)
#define WEIR_TEST_THREAD 1
#endif

#ifdef WEIR_TEST_ADDRESS
#include <sanitizer/lsan_interface.h>
#endif

namespace weir::house {
namespace {

using boost::fibers::fiber;

template <typename Function>
fiber Spawn(Function function) {
  return fiber(std::allocator_arg, boost::fibers::protected_fixedsize_stack(64 * 1024),
               std::move(function));
}

[[gnu::noinline]] int ThrowBelow(int depth) {
  volatile char frame[64] = {};
  if (depth == 0) throw std::runtime_error("from the bottom");
  return ThrowBelow(depth - 1) + frame[depth % 64];
}

// Each fiber yields often, throws through twenty frames, and yields inside the handler.
int RunFibers(int fibers) {
  int caught = 0;
  std::vector<fiber> all;
  for (int i = 0; i < fibers; ++i) {
    all.push_back(Spawn([&caught] {
      for (int k = 0; k < 10; ++k) boost::this_fiber::yield();
      try {
        ThrowBelow(20);
      } catch (const std::runtime_error&) {
        ++caught;
      }
      boost::this_fiber::yield();
    }));
  }
  for (fiber& one : all) one.join();
  return caught;
}

TEST(Sanitizers, AcceptFibersThatSwitchAndThrow) { EXPECT_EQ(RunFibers(100), 100); }

TEST(Sanitizers, AcceptFibersOnSeveralThreads) {
  std::vector<int> caught(3);
  std::vector<std::thread> threads;
  for (int& count : caught) {
    threads.emplace_back([&count] {
      for (int round = 0; round < 5; ++round) count += RunFibers(50);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(caught, (std::vector<int>{250, 250, 250}));
}

#ifdef WEIR_TEST_ADDRESS
[[gnu::noinline]] void Write(volatile char* bytes, int at) { bytes[at] = 1; }

[[gnu::noinline]] void ReturnWithFrame(volatile char** frame) {
  char bytes[16];
  Write(bytes, 0);
  *frame = bytes;
}

TEST(Sanitizers, AcceptMemoryHeldOnlyByASuspendedFiber) {
  fiber holder = Spawn([] {
    auto held = std::make_unique<std::vector<int>>(1000);
    boost::this_fiber::yield();
    boost::this_fiber::yield();
    Write(reinterpret_cast<volatile char*>(held->data()), 0);
  });
  boost::this_fiber::yield();  // Now the holder stands at its first yield.
  EXPECT_EQ(__lsan_do_recoverable_leak_check(), 0);
  holder.join();
}

TEST(Sanitizers, CatchALeakInAFiber) {
  // The address is kept where the scan cannot read it, so that the memory can be freed after all.
  constexpr std::uintptr_t kMask = 0x5555'5555'5555'5555;
  std::uintptr_t hidden = 0;
  Spawn([&hidden] { hidden = reinterpret_cast<std::uintptr_t>(new char[1000]) ^ kMask; }).join();
  EXPECT_EQ(__lsan_do_recoverable_leak_check(), 1);
  delete[] reinterpret_cast<char*>(hidden ^ kMask);
}

TEST(Sanitizers, CatchAWriteBeyondAVariableOfAFiber) {
  EXPECT_DEATH(Spawn([] {
                 char bytes[16];
                 Write(bytes, 17);
               }).join(),
               "stack-buffer-overflow");
}

TEST(Sanitizers, CatchAUseAfterFreeAcrossASwitch) {
  EXPECT_DEATH(Spawn([] {
                 auto bytes = std::make_unique<char[]>(16);
                 volatile char* stale = bytes.get();
                 bytes.reset();
                 boost::this_fiber::yield();
                 Write(stale, 3);
               }).join(),
               "heap-use-after-free");
}

TEST(Sanitizers, CatchAUseOfAFrameThatReturned) {
  EXPECT_DEATH(Spawn([] {
                 volatile char* stale = nullptr;
                 ReturnWithFrame(&stale);
                 Write(stale, 3);
               }).join(),
               "stack-use-after-return");
}
#endif

#ifdef WEIR_TEST_THREAD
int unguarded = 0;
[[gnu::noinline]] void Increment() { ++unguarded; }

TEST(Sanitizers, CatchARaceBetweenFibersOfTwoThreads) {
  // The switches of either thread must not order it after the other's. Both start together, as the
  // sanitizer forgets a fiber that has ended.
  auto race = [] {
    std::atomic<int> ready = 0;
    auto run = [&ready] {
      Spawn([&ready] {
        ++ready;
        while (ready < 2) boost::this_fiber::yield();
        for (int i = 0; i < 20'000; ++i) {
          Increment();
          boost::this_fiber::yield();
        }
      }).join();
    };
    std::thread first(run);
    std::thread second(run);
    first.join();
    second.join();
  };
  testing::FLAGS_gtest_death_test_style = "threadsafe";
  EXPECT_DEATH(race(), "data race");
}
#endif

}  // namespace
}  // namespace weir::house
