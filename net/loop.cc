#include "net/loop.h"

#include <sched.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "absl/strings/str_format.h"
#include "engine/base/check.h"
#include "engine/base/limits.h"

namespace weir::net {
namespace {

thread_local Loop* this_loop = nullptr;

constexpr size_t kEventsPerPoll = 128;
// Events closer than this are a conversation. A spin of the usual 20 us costs 4 % of it.
constexpr base::Duration kQuickSuccession = std::chrono::microseconds(500);

timespec ToTimespec(base::Duration duration) {
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(duration);
  return {seconds.count(), (duration - seconds).count()};
}

}  // namespace

absl::StatusOr<Loop::Descriptors> Loop::Descriptors::Make() {
  Descriptors made{Fd(epoll_create1(EPOLL_CLOEXEC)), Fd()};
  if (made.epoll) made.bell = Fd(eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  // Rung rarely and never read: edge-triggered, each write is an event of its own.
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLET;
  event.data.ptr = nullptr;
  if (made.bell && epoll_ctl(made.epoll.get(), EPOLL_CTL_ADD, made.bell.get(), &event) == 0) {
    return made;
  }
  const int error = errno;
  return absl::ResourceExhaustedError(
      IsDescriptorLimit(error) ? DescriptorsUsedUp(error)
                               : absl::StrFormat("no event loop: %s", ErrorWords(error)));
}

Loop::Loop(Owner& owner, Descriptors descriptors, io::Executor executor, std::string name,
           base::Duration spin)
    : owner_(owner),
      descriptors_(std::move(descriptors)),
      executor_(executor),
      name_(std::move(name)),
      spin_(spin) {
  CHECK(this_loop == nullptr) << "thread \"" << this_loop->name_ << "\" has a loop already";
  this_loop = this;
  // The default slack makes each timer 50 us late.
  prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
}

Loop::~Loop() {
  // What was posted and came too late may own things of this loop, and ends on it.
  Loop* const before = std::exchange(this_loop, this);
  Posted* posted = posted_.exchange(nullptr);
  while (posted != nullptr) delete std::exchange(posted, posted->next);
  this_loop = before == this ? nullptr : before;
}

Loop* Loop::This() { return this_loop; }

void Loop::Run() {
  while (!stop_) {
    RunTasks();
    leave_ = false;
  }
  ReapGivenUp();
  picked_.store(nullptr, std::memory_order_release);
}

absl::Status Loop::Watch(int fd, Source* source) {
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
  event.data.ptr = source;
  if (epoll_ctl(descriptors_.epoll.get(), EPOLL_CTL_ADD, fd, &event) == 0) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrFormat("epoll: cannot watch one descriptor more: %s; raise "
                      "fs.epoll.max_user_watches",
                      ErrorWords(errno)));
}

void Loop::Unwatch(int fd) {
  CHECK_EQ(epoll_ctl(descriptors_.epoll.get(), EPOLL_CTL_DEL, fd, nullptr), 0);
}

// ------------------------------------------------------------------------------- other threads

void Loop::Wake() {
  // The owner says that it sleeps and looks for mail again before it does; so either it sees the
  // mail or this sees it sleep.
  if (sleeping_.load(std::memory_order_seq_cst) && sleeping_.exchange(false)) {
    const uint64_t one = 1;
    CHECK_EQ(write(descriptors_.bell.get(), &one, sizeof(one)), ssize_t{sizeof(one)});
  }
}

void Loop::UnparkFromAnywhere(io::TaskRef ref) {
  if (woken_.Push(ref) && this_loop != this) Wake();
}

void Loop::Post(absl::AnyInvocable<void()> work) {
  auto* const posted = new Posted{std::move(work), posted_.load(std::memory_order_relaxed)};
  while (!posted_.compare_exchange_weak(posted->next, posted, std::memory_order_seq_cst,
                                        std::memory_order_relaxed)) {
  }
  if (this_loop != this) Wake();
}

void Loop::TakeMail() {
  woken_.Drain(*this);
  RunPosted();
}

void Loop::RunPosted() {
  Posted* newest = posted_.exchange(nullptr, std::memory_order_acquire);
  // In the order in which they came: a scope is closed after it was cancelled.
  Posted* oldest = nullptr;
  while (newest != nullptr) {
    Posted* const next = newest->next;
    newest->next = oldest;
    oldest = newest;
    newest = next;
  }
  while (oldest != nullptr) {
    const std::unique_ptr<Posted> posted(std::exchange(oldest, oldest->next));
    posted->work();
  }
}

// ------------------------------------------------------------------------------------ the turn

io::Task* Loop::PickNext() {
  while (!stop_ && !leave_) {
    if (HasMail()) {
      TakeMail();
      if (stop_ || leave_) break;
    }
    if (ready_.empty()) {
      Idle();
      continue;
    }
    const base::Monotonic now = MonotonicNow();
    if (++picks_ >= kPicksPerPoll || now - polled_at_ >= base::kPollEvery) {
      Poll(base::Monotonic::min());
    }
    FireDue(now);
    io::Task* const task = ready_.front();
    ready_.pop_front();
    picked_.store(task, std::memory_order_release);
    return task;
  }
  return nullptr;
}

int Loop::Poll(base::Monotonic until) {
  std::array<epoll_event, kEventsPerPoll> events;
  const int room = static_cast<int>(events.size());
  int count = 0;
  if (until == base::Monotonic::min()) {
    count = epoll_wait(descriptors_.epoll.get(), events.data(), room, 0);
  } else if (until == base::kForever) {
    count = epoll_wait(descriptors_.epoll.get(), events.data(), room, -1);
  } else {
    const base::Duration left = std::max(until - MonotonicNow(), base::Duration(0));
    const timespec timeout = ToTimespec(left);
    count = epoll_pwait2(descriptors_.epoll.get(), events.data(), room, &timeout, nullptr);
    if (count < 0 && errno == ENOSYS) {
      // Before Linux 5.11: whole milliseconds, never too short.
      const int64_t milliseconds = (left.count() + 999'999) / 1'000'000;
      count = epoll_wait(descriptors_.epoll.get(), events.data(), room,
                         static_cast<int>(std::min<int64_t>(milliseconds, 60'000)));
    }
  }
  CHECK(count >= 0 || errno == EINTR) << "epoll: " << ErrorWords(errno);
  for (int i = 0; i < count; ++i) {
    auto* const source = static_cast<Source*>(events[i].data.ptr);
    if (source != nullptr) source->OnEvents(events[i].events);
  }
  picks_ = 0;
  busy_calls_ = 0;
  polled_at_ = MonotonicNow();
  return std::max(count, 0);
}

void Loop::FireDue(base::Monotonic now) {
  if (timers().next() <= now) FireTimers(now);
  if (chore_at_ <= now) {
    chore_at_ = base::kForever;
    chore_at_ = std::min(chore_at_, chore_->Run(now));
  }
}

void Loop::Idle() {
  if (spins_) {
    const base::Monotonic start = MonotonicNow();
    do {
      Poll(base::Monotonic::min());
      if (HasMail()) TakeMail();
      FireDue(polled_at_);
      if (!ready_.empty() || stop_ || leave_) return;
      // Whoever shares this core, perhaps the one that would wake us, goes first.
      sched_yield();
    } while (polled_at_ - start < spin_);
  }
  picked_.store(nullptr, std::memory_order_release);
  sleeping_.store(true, std::memory_order_seq_cst);
  if (HasMail()) {
    sleeping_.store(false);
    return;
  }
  const base::Monotonic slept_at = MonotonicNow();
  const int events = Poll(std::min(timers().next(), chore_at_));
  sleeping_.store(false);
  spins_ = spin_ > base::Duration(0) && events > 0 && polled_at_ - slept_at < kQuickSuccession;
  FireDue(polled_at_);
}

void Loop::OnTaskFailed(io::Task*, std::string reason) {
  leave_ = true;
  owner_.OnTaskFailed(std::move(reason));
}

void Loop::OnTaskGone(io::Task*) { owner_.OnTaskGone(); }

// --------------------------------------------------------------------------------- descriptors

Channel::~Channel() {
  CHECK(!reader_ && !writer_) << "a descriptor is closed while a task waits for it";
  Leave();
}

void Channel::Leave() {
  if (home_ == nullptr || !fd_) return;
  CHECK(home_ == Loop::This()) << "a descriptor of executor \"" << home_->name()
                               << "\" is closed on another thread";
  home_->Unwatch(fd_.get());
}

void Channel::OnEvents(uint32_t events) {
  if ((events & ~uint32_t{EPOLLOUT}) != 0) home_->Unpark(reader_);
  if ((events & ~uint32_t{EPOLLIN | EPOLLRDHUP}) != 0) home_->Unpark(writer_);
}

void Channel::WakeBoth() {
  if (home_ == nullptr) return;
  home_->Unpark(reader_);
  home_->Unpark(writer_);
}

void Channel::Close() {
  Leave();
  fd_.Reset();
  WakeBoth();
}

Fd Channel::Release() {
  CHECK(!reader_ && !writer_) << "a descriptor moves while a task waits for it";
  Leave();
  return std::move(fd_);
}

absl::Status Channel::SettleFirst(Loop* loop) {
  CHECK(loop != nullptr && loop->current() != nullptr) << "only a task may use a connection";
  CHECK(home_ == nullptr) << "a connection of executor \"" << home_->name() << "\" is used on \""
                          << loop->name() << "\"";
  if (absl::Status status = loop->Watch(fd_.get(), this); !status.ok()) return status;
  home_ = loop;
  return absl::OkStatus();
}

absl::Status Channel::Await(io::TaskRef& waiter, base::Monotonic deadline, io::WaitFor what) {
  Loop* const loop = Loop::This();
  if (absl::Status status = Settle(loop); !status.ok()) return status;
  CHECK(!waiter) << "two tasks wait for " << what.kind << " " << what.name;
  struct Leave {
    io::TaskRef& waiter;
    ~Leave() { waiter = io::TaskRef(); }
  } leave{waiter};
  waiter = loop->current()->ref();
  switch (loop->Park(deadline, what)) {
    case io::Wake::kUnparked:
      return absl::OkStatus();
    case io::Wake::kTimeout:
      return absl::DeadlineExceededError("");
    case io::Wake::kCancelled:
      break;
  }
  return absl::CancelledError("");
}

}  // namespace weir::net
