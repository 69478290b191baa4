#include "engine/io/fiber.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <boost/fiber/all.hpp>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>

#include "absl/strings/str_format.h"
#include "engine/base/check.h"
#include "engine/base/limits.h"

// g++ and clang each say in their own way which sanitizer is on.
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_ASAN 1
#endif
#if __has_feature(thread_sanitizer)
#define WEIR_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define WEIR_ASAN 1
#endif
#if defined(__SANITIZE_THREAD__)
#define WEIR_TSAN 1
#endif
#if defined(WEIR_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/lsan_interface.h>
#endif

namespace weir::io {
namespace {

namespace bf = boost::fibers;

std::atomic<size_t> stacks_alive{0};
std::atomic<size_t> stacks_max{base::kStacksMax};

size_t PageBytes() {
  static const auto bytes = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return bytes;
}

// Sanitizers put red zones between variables: the same frames need a multiple of the stack.
size_t RealStackBytes(size_t asked) {
#if defined(WEIR_ASAN) || defined(WEIR_TSAN)
  asked *= 4;
#endif
  const size_t page = PageBytes();
  return (asked + page - 1) / page * page;
}

absl::StatusOr<char*> MapStack(size_t bytes) {
  const size_t alive = stacks_alive.fetch_add(1);
  if (alive >= stacks_max.load()) {
    stacks_alive.fetch_sub(1);
    return absl::ResourceExhaustedError(
        absl::StrFormat("task stacks: %d in use, at most %d allowed; raise io.stack.max-count, and "
                        "vm.max_map_count "
                        "to twice that",
                        alive, stacks_max.load()));
  }
  const size_t page = PageBytes();
  void* const base = mmap(nullptr, bytes + page, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  const int map_error = errno;
  // An unprotected guard would turn an overflow into silent corruption, so its failure counts as no
  // stack at all.
  const bool guarded = base != MAP_FAILED && mprotect(base, page, PROT_NONE) == 0;
  if (!guarded) {
    const int error = base == MAP_FAILED ? map_error : errno;
    if (base != MAP_FAILED) munmap(base, bytes + page);
    stacks_alive.fetch_sub(1);
    return absl::ResourceExhaustedError(absl::StrFormat(
        "task stacks: no memory mapping for stack %d of %d bytes: %s; raise vm.max_map_count",
        alive + 1, bytes, std::strerror(error)));
  }
  char* const stack = static_cast<char*>(base) + page;
#if defined(WEIR_ASAN)
  __lsan_register_root_region(stack, bytes);
#endif
  return stack;
}

void UnmapStack(char* stack, size_t bytes) {
#if defined(WEIR_ASAN)
  __lsan_unregister_root_region(stack, bytes);
  __asan_unpoison_memory_region(stack, bytes);
#endif
  CHECK_EQ(munmap(stack - PageBytes(), bytes + PageBytes()), 0);
  stacks_alive.fetch_sub(1);
}

// Hands Boost a stack that is ours.
struct GivenStack {
  char* stack;
  size_t bytes;
  boost::context::stack_context allocate() {
    boost::context::stack_context context;
    context.size = bytes;
    context.sp = stack + bytes;
    return context;
  }
  void deallocate(boost::context::stack_context& context) {
    UnmapStack(static_cast<char*>(context.sp) - context.size, context.size);
  }
};

// Never decides anything: it continues whom SwitchTo named.
class HandOver : public bf::algo::algorithm {
 public:
  void awakened(bf::context* context) noexcept override {
    if (context->is_context(bf::type::dispatcher_context)) {
      dispatcher_ = context;
    } else {
      last_awakened = context;
    }
  }
  bf::context* pick_next() noexcept override {
    bf::context* const picked = next != nullptr ? next : dispatcher_;
    if (picked == dispatcher_) dispatcher_ = nullptr;
    next = nullptr;
    return picked;
  }
  bool has_ready_fibers() const noexcept override { return next != nullptr; }
  // Boost's dispatcher runs at the end of the thread only, to free what terminated.
  void suspend_until(std::chrono::steady_clock::time_point const&) noexcept override {
    next = after_dispatch;
  }
  void notify() noexcept override {}

  bf::context* next = nullptr;
  bf::context* last_awakened = nullptr;
  bf::context* after_dispatch = nullptr;

 private:
  bf::context* dispatcher_ = nullptr;
};

constexpr size_t kSignalStackBytes = 64 << 10;

}  // namespace

struct FiberThreadBoost {
  HandOver* algorithm = nullptr;
  bf::context* main = nullptr;
  std::vector<Fiber*> all;
  std::unique_ptr<char[]> signal_stack;

  static bf::context* ContextOf(Fiber* fiber) { return static_cast<bf::context*>(fiber->context_); }

  static void Serve(FiberThread* thread, Fiber* fiber) {
    while (!thread->ending_) {
      Fiber* const next = fiber->entry_->RunOnFiber();
      fiber->entry_ = nullptr;
      fiber->label_ = "";
      thread->idle_[fiber->stack_bytes_].push_back(fiber);
      thread->SwitchTo(next);
    }
  }

  static void OnSegmentationFault(int signal, siginfo_t* info, void*);
  void InstallOverflowReport();
};

namespace {

thread_local const FiberThread* this_fiber_thread = nullptr;
struct sigaction previous_action;

// Only what a signal handler may call.
void WriteError(const char* text) {
  const size_t size = std::strlen(text);
  if (write(STDERR_FILENO, text, size) < 0) return;
}

}  // namespace

void FiberThreadBoost::OnSegmentationFault(int signal, siginfo_t* info, void*) {
  const auto* const at = static_cast<const char*>(info->si_addr);
  const Fiber* const fiber = this_fiber_thread == nullptr ? nullptr : this_fiber_thread->running();
  if (fiber != nullptr && at < fiber->stack_ && at >= fiber->stack_ - PageBytes()) {
    char kilobytes[24];
    char* digit = kilobytes + sizeof(kilobytes);
    *--digit = '\0';
    for (size_t rest = fiber->stack_bytes_ >> 10;
         digit == kilobytes + sizeof(kilobytes) - 1 || rest > 0; rest /= 10) {
      *--digit = static_cast<char>('0' + rest % 10);
    }
    WriteError("FATAL stack overflow in task \"");
    WriteError(fiber->label_);
    WriteError("\": its stack of ");
    WriteError(digit);
    WriteError(" KiB is used up; raise io.stack.user, or recurse less\n");
  }
  // Whoever was there before decides how to die; the faulting instruction runs again when this
  // returns.
  sigaction(signal, &previous_action, nullptr);
}

void FiberThreadBoost::InstallOverflowReport() {
  signal_stack = std::make_unique<char[]>(kSignalStackBytes);
  stack_t alternative = {};
  alternative.ss_sp = signal_stack.get();
  alternative.ss_size = kSignalStackBytes;
  CHECK_EQ(sigaltstack(&alternative, nullptr), 0);
  static const bool installed = [] {
    struct sigaction action = {};
    action.sa_sigaction = &OnSegmentationFault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    return sigaction(SIGSEGV, &action, &previous_action) == 0;
  }();
  CHECK(installed);
}

FiberThread& FiberThread::This() {
  thread_local FiberThread thread;
  return thread;
}

FiberThread::FiberThread() : boost_(std::make_unique<FiberThreadBoost>()) {
  boost_->main = bf::context::active();
  auto algorithm = boost::intrusive_ptr<HandOver>(new HandOver);
  boost_->algorithm = algorithm.get();
  boost_->algorithm->after_dispatch = boost_->main;
  boost_->main->get_scheduler()->set_algo(algorithm);
  this_fiber_thread = this;
  boost_->InstallOverflowReport();
}

FiberThread::~FiberThread() {
  CHECK(running_ == nullptr) << "a thread ends on a fiber's stack";
  ending_ = true;
  for (auto& [bytes, fibers] : idle_) {
    for (Fiber* fiber : fibers) {
      std::erase(boost_->all, fiber);
      SwitchTo(fiber);
      delete fiber;
    }
  }
  // What is still suspended was given up; Boost would wait for it for ever.
  while (!boost_->all.empty()) Abandon(boost_->all.back());
  this_fiber_thread = nullptr;
  stack_t none = {};
  none.ss_flags = SS_DISABLE;
  sigaltstack(&none, nullptr);
}

absl::StatusOr<Fiber*> FiberThread::Acquire(size_t stack_bytes, FiberEntry* entry) {
  std::vector<Fiber*>& idle = idle_[stack_bytes];
  if (!idle.empty()) {
    Fiber* const fiber = idle.back();
    idle.pop_back();
    fiber->entry_ = entry;
    return fiber;
  }
  const size_t real_bytes = RealStackBytes(stack_bytes);
  absl::StatusOr<char*> stack = MapStack(real_bytes);
  if (!stack.ok()) return stack.status();
  auto* const fiber = new Fiber;
  fiber->stack_ = *stack;
  fiber->stack_bytes_ = stack_bytes;
  fiber->entry_ = entry;
  bf::fiber(bf::launch::post, std::allocator_arg, GivenStack{*stack, real_bytes}, [this, fiber] {
    FiberThreadBoost::Serve(this, fiber);
  }).detach();
  fiber->context_ = boost_->algorithm->last_awakened;
  boost_->all.push_back(fiber);
  return fiber;
}

void FiberThread::SwitchTo(Fiber* next) {
  Fiber* const previous = running_;
  running_ = next;
  boost_->algorithm->next = next == nullptr ? boost_->main : FiberThreadBoost::ContextOf(next);
  bf::context::active()->suspend();
  running_ = previous;
}

void FiberThread::Abandon(Fiber* fiber) {
  CHECK(fiber != running_);
  std::erase(boost_->all, fiber);
  bf::context* const context = FiberThreadBoost::ContextOf(fiber);
  context->detach();  // the context lies on the stack that goes
  char* const stack = fiber->stack_;
  const size_t bytes = RealStackBytes(fiber->stack_bytes_);
  delete fiber;
  UnmapStack(stack, bytes);
}

void FiberThread::SetStacksMax(size_t stacks) { stacks_max.store(stacks); }
size_t FiberThread::stacks() { return stacks_alive.load(); }

}  // namespace weir::io
