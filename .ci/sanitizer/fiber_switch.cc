// Tells the sanitizers about fibers. Linked in the presets asan, tsan and fuzz only, by three
// --wrap options of the linker: every call of Boost.Context's make_fcontext, jump_fcontext and
// ontop_fcontext, from our objects and from Boost's archives alike, comes here, announces the
// change of stacks, and goes on to the real one. The distribution's Boost is not rebuilt.
//
// Invariants
// - Fibers do not move between threads. The stack a thread is on is thus a plain thread-local
// pointer.
// - Every departure (Depart) is answered by exactly one arrival (Arrive) on the other stack, before
// any other code of ours
//   runs there; an exception thrown by the function of ontop_fcontext changes nothing about that.
// - This file is compiled without instrumentation and takes no lock that a sanitizer can see. A
// lock here, taken at every
//   switch by every thread, would order all threads for ThreadSanitizer and hide the races it is
//   there to find.
#include <pthread.h>
#include <sanitizer/common_interface_defs.h>
#include <sys/mman.h>

#include <atomic>
#include <boost/context/detail/fcontext.hpp>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#ifdef WEIR_ADDRESS_SANITIZER
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#endif
#ifdef WEIR_THREAD_SANITIZER
#include <sanitizer/tsan_interface.h>
#endif

using boost::context::detail::fcontext_t;
using boost::context::detail::transfer_t;
using EntryFunction = void (*)(transfer_t);
using OnTopFunction = transfer_t (*)(transfer_t);

extern "C" {
fcontext_t __real_make_fcontext(void* top, std::size_t size, EntryFunction entry);
transfer_t __real_jump_fcontext(fcontext_t to, void* data);
transfer_t __real_ontop_fcontext(fcontext_t to, void* data, OnTopFunction on_top);
}

namespace {

// One stack: of a fiber, or of a thread itself (then `entry` is null).
struct Stack {
  std::uintptr_t bottom = 0;
  std::uintptr_t top = 0;
  EntryFunction entry = nullptr;
  void* fake_stack = nullptr;          // AddressSanitizer's, while the stack is suspended.
  void* scanned_fake_stack = nullptr;  // The one LeakSanitizer was told of.
  void* tsan_fiber = nullptr;          // ThreadSanitizer's name for it.
  Stack* next_free = nullptr;
};

constexpr int kPageBits = 12;
constexpr int kLeafBits = 18;  // A leaf covers 1 GiB of addresses.
constexpr int kRootBits = 47 - kPageBits - kLeafBits;

void* Map(std::size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  return memory;
}

// From any address to the stack that covers it: a table of two levels, read and written without
// locks. Two threads never write the same entry, as a page belongs to one stack at a time.
class StackTable {
 public:
  Stack* Find(std::uintptr_t address) {
    std::atomic<Stack*>* leaf = roots_[RootIndex(address)].load(std::memory_order_acquire);
    return leaf == nullptr ? nullptr : leaf[LeafIndex(address)].load(std::memory_order_acquire);
  }

  void Set(std::uintptr_t bottom, std::uintptr_t top, Stack* stack) {
    constexpr std::uintptr_t kPage = std::uintptr_t{1} << kPageBits;
    for (std::uintptr_t at = bottom & ~(kPage - 1); at < top; at += kPage) {
      Leaf(at)[LeafIndex(at)].store(stack, std::memory_order_release);
    }
  }

 private:
  static std::size_t RootIndex(std::uintptr_t address) {
    return (address >> (kPageBits + kLeafBits)) & ((std::size_t{1} << kRootBits) - 1);
  }
  static std::size_t LeafIndex(std::uintptr_t address) {
    return (address >> kPageBits) & ((std::size_t{1} << kLeafBits) - 1);
  }

  std::atomic<Stack*>* Leaf(std::uintptr_t address) {
    std::atomic<std::atomic<Stack*>*>& root = roots_[RootIndex(address)];
    std::atomic<Stack*>* leaf = root.load(std::memory_order_acquire);
    if (leaf != nullptr) return leaf;
    constexpr std::size_t kLeafBytes = sizeof(std::atomic<Stack*>) << kLeafBits;
    auto* fresh = static_cast<std::atomic<Stack*>*>(Map(kLeafBytes));
    if (root.compare_exchange_strong(leaf, fresh, std::memory_order_acq_rel)) return fresh;
    munmap(fresh, kLeafBytes);
    return leaf;
  }

  std::atomic<std::atomic<Stack*>*> roots_[std::size_t{1} << kRootBits] = {};
};

StackTable table;

#ifdef WEIR_ADDRESS_SANITIZER
// LeakSanitizer looks through the stack a thread is on. Without this, what only a suspended stack
// points to would count as leaked. A frame may lie on the stack proper or on its fake stack, which
// by the runtime's rule has eleven size classes of 2^16 bytes each (max_uar_stack_size_log below).
constexpr std::size_t kFakeStackBytes = std::size_t{11} << 16;

void ScanForLeaks(const Stack* stack) {
  __lsan_register_root_region(reinterpret_cast<void*>(stack->bottom), stack->top - stack->bottom);
}

void ScanFakeStackForLeaks(Stack* stack) {
  if (stack->fake_stack == stack->scanned_fake_stack) return;
  if (stack->scanned_fake_stack != nullptr) {
    __lsan_unregister_root_region(stack->scanned_fake_stack, kFakeStackBytes);
  }
  __lsan_register_root_region(stack->fake_stack, kFakeStackBytes);
  stack->scanned_fake_stack = stack->fake_stack;
}

void StopScanning(const Stack* stack) {
  __lsan_unregister_root_region(reinterpret_cast<void*>(stack->bottom), stack->top - stack->bottom);
  if (stack->scanned_fake_stack != nullptr) {
    __lsan_unregister_root_region(stack->scanned_fake_stack, kFakeStackBytes);
  }
}
#endif

// What a thread has: its own stack, the stack it is on, and what the next arrival has to do.
struct Thread {
#ifdef WEIR_ADDRESS_SANITIZER
  ~Thread() {
    if (current != nullptr) StopScanning(&own);
  }
#endif
  Stack own;
  Stack* current = nullptr;
  bool arrival_due = false;
  Stack* finished = nullptr;       // The fiber that left for ever with the last departure.
  OnTopFunction on_top = nullptr;  // Handed to OnTop, which has no argument to spare.
  Stack* free_stacks = nullptr;    // Records to use again. Never handed to another thread.
};
thread_local Thread thread;

Stack* Current() {
  if (thread.current == nullptr) {
    pthread_attr_t attributes;
    void* bottom = nullptr;
    std::size_t size = 0;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &bottom, &size);
    pthread_attr_destroy(&attributes);
    thread.own.bottom = reinterpret_cast<std::uintptr_t>(bottom);
    thread.own.top = thread.own.bottom + size;
    // A fiber that was given up may have left its pages behind, and the kernel given them to this
    // thread.
    table.Set(thread.own.bottom, thread.own.top, nullptr);
#ifdef WEIR_ADDRESS_SANITIZER
    ScanForLeaks(&thread.own);
#endif
#ifdef WEIR_THREAD_SANITIZER
    thread.own.tsan_fiber = __tsan_get_current_fiber();
#endif
    thread.current = &thread.own;
  }
  return thread.current;
}

// A suspended context is an address on its own stack. One that no fiber covers is this thread's.
Stack* StackOf(fcontext_t context) {
  Stack* stack = table.Find(reinterpret_cast<std::uintptr_t>(context));
  return stack != nullptr ? stack : &thread.own;
}

Stack* NewRecord() {
  if (thread.free_stacks == nullptr) {
    constexpr std::size_t kSlab = 64;
    auto* slab = static_cast<Stack*>(Map(kSlab * sizeof(Stack)));
    for (std::size_t i = 0; i < kSlab; ++i) {
      slab[i].next_free = thread.free_stacks;
      thread.free_stacks = &slab[i];
    }
  }
  Stack* stack = thread.free_stacks;
  thread.free_stacks = stack->next_free;
  *stack = Stack{};
  return stack;
}

// The stack will not be switched to again.
void Forget(Stack* stack) {
  table.Set(stack->bottom, stack->top, nullptr);
#ifdef WEIR_ADDRESS_SANITIZER
  StopScanning(stack);
#endif
#ifdef WEIR_THREAD_SANITIZER
  __tsan_destroy_fiber(stack->tsan_fiber);
#endif
  stack->next_free = thread.free_stacks;
  thread.free_stacks = stack;
}

// Last thing on the stack that is left.
void Depart(Stack* to, bool for_ever) {
  Stack* from = Current();
  thread.finished = for_ever ? from : nullptr;
  thread.arrival_due = true;
  thread.current = to;
#ifdef WEIR_ADDRESS_SANITIZER
  // Null says that the stack ends here, and frees its fake stack.
  __sanitizer_start_switch_fiber(for_ever ? nullptr : &from->fake_stack,
                                 reinterpret_cast<void*>(to->bottom), to->top - to->bottom);
  if (!for_ever) ScanFakeStackForLeaks(from);
#endif
#ifdef WEIR_THREAD_SANITIZER
  __tsan_switch_to_fiber(to->tsan_fiber, 0);
#endif
}

// First thing on the stack that is entered. ontop_fcontext arrives in OnTop and then returns into
// the wrapper in which the target once departed; the second call finds nothing due.
void Arrive() {
  if (!thread.arrival_due) return;
  thread.arrival_due = false;
#ifdef WEIR_ADDRESS_SANITIZER
  __sanitizer_finish_switch_fiber(thread.current->fake_stack, nullptr, nullptr);
#endif
  if (thread.finished != nullptr) {
    Forget(thread.finished);
    thread.finished = nullptr;
  }
}

void Enter(transfer_t transfer) {
  Arrive();
  thread.current->entry(transfer);
  std::abort();  // The function of a context never returns.
}

transfer_t OnTop(transfer_t transfer) {
  Arrive();
  return thread.on_top(transfer);  // May throw, to unwind the stack it runs on.
}

}  // namespace

extern "C" {

// Defaults for every instrumented program; ASAN_OPTIONS and the like still have the last word. The
// symbolizer has to be named, as the distribution installs it under a versioned name only.
#define WEIR_SYMBOLIZER "external_symbolizer_path=/usr/bin/llvm-symbolizer-16"
const char* __asan_default_options() {
  // A fake stack as large as ours would be searched at every throw; the least keeps kills six times
  // faster. The small quarantine lets a test see that memory stays flat.
  return "detect_stack_use_after_return=1:max_uar_stack_size_log=16:"
         "quarantine_size_mb=16:" WEIR_SYMBOLIZER;
}
const char* __ubsan_default_options() { return "print_stacktrace=1:" WEIR_SYMBOLIZER; }
const char* __tsan_default_options() {
  return "halt_on_error=1:second_deadlock_stack=1:" WEIR_SYMBOLIZER;
}

fcontext_t __wrap_make_fcontext(void* top, std::size_t size, EntryFunction entry) {
  Stack* stack = NewRecord();
  stack->top = reinterpret_cast<std::uintptr_t>(top);
  stack->bottom = stack->top - size;
  stack->entry = entry;
#ifdef WEIR_ADDRESS_SANITIZER
  // Memory from a pool may carry the poison of frames that were abandoned on it.
  __asan_unpoison_memory_region(reinterpret_cast<void*>(stack->bottom), size);
  ScanForLeaks(stack);
#endif
#ifdef WEIR_THREAD_SANITIZER
  stack->tsan_fiber = __tsan_create_fiber(0);
#endif
  table.Set(stack->bottom, stack->top, stack);
  return __real_make_fcontext(top, size, &Enter);
}

transfer_t __wrap_jump_fcontext(fcontext_t to, void* data) {
  Depart(StackOf(to), false);
  transfer_t transfer = __real_jump_fcontext(to, data);
  Arrive();
  return transfer;
}

transfer_t __wrap_ontop_fcontext(fcontext_t to, void* data, OnTopFunction on_top) {
  // A fiber leaves for ever by passing its own record, which Boost keeps just above the top it gave
  // to make_fcontext.
  const Stack* from = Current();
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  const bool for_ever =
      from->entry != nullptr && address >= from->top && address < from->top + 4096;
  Depart(StackOf(to), for_ever);
  thread.on_top = on_top;
  transfer_t transfer = __real_ontop_fcontext(to, data, &OnTop);
  Arrive();
  return transfer;
}

}  // extern "C"
