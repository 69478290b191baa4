#include "net/real_tasks.h"

#include <pthread.h>
#include <sched.h>

#include <chrono>
#include <future>
#include <system_error>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "engine/base/check.h"
#include "engine/base/config_keys.h"
#include "engine/base/status_macros.h"
#include "engine/base/text.h"

namespace weir::net {
namespace {

// What the calling helper thread was asked to do.
thread_local std::string_view helping;

Loop& LoopOfTask() {
  Loop* const loop = Loop::This();
  CHECK(loop != nullptr && loop->current() != nullptr) << "only a task may do this";
  return *loop;
}

Loop& HomeOf(io::TaskGroup* group) { return *static_cast<Loop*>(group->home()); }

// "0 1 5".
std::string AllowedCores() {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  sched_getaffinity(0, sizeof(cores), &cores);
  std::string text;
  for (int core = 0; core < CPU_SETSIZE; ++core) {
    if (CPU_ISSET(core, &cores)) text += (text.empty() ? "" : " ") + std::to_string(core);
  }
  return text;
}

bool PinTo(int core) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  return pthread_setaffinity_np(pthread_self(), sizeof(cores), &cores) == 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RealTasks>> RealTasks::Make(const base::Config& config) {
  ASSIGN_OR_RETURN(Loop::Descriptors descriptors, Loop::Descriptors::Make());
  return std::unique_ptr<RealTasks>(new RealTasks(config, std::move(descriptors)));
}

RealTasks::RealTasks(const base::Config& config, Loop::Descriptors descriptors)
    : spin_(config.Get(base::kSpin)),
      stack_bytes_(static_cast<size_t>(config.Get(base::kEngineStack))),
      main_stack_bytes_(static_cast<size_t>(config.Get(base::kUserStack))),
      control_(std::make_unique<Loop>(*this, std::move(descriptors), io::kControl, "control",
                                      base::Duration(0))),
      helpers_("helper", static_cast<int>(config.Get(base::kHelperThreads))) {
  io::FiberThread::SetStacksMax(static_cast<size_t>(config.Get(base::kStacks)));
}

RealTasks::~RealTasks() { EndExecutors(); }

absl::Status RealTasks::Run(std::string_view name, absl::AnyInvocable<void()> main) {
  root_ = control_->OpenGroup(name, io::kControl, nullptr, nullptr);
  // However the main task ends, what it left running ends with it.
  struct Ended {
    RealTasks& tasks;
    ~Ended() {
      tasks.control_->Post([&tasks = tasks] {
        if (tasks.on_main_ended_) tasks.on_main_ended_();
        tasks.control_->Cancel(tasks.root_);
      });
    }
  };
  const absl::Status spawned = SpawnHere(*control_, root_, "main", main_stack_bytes_,
                                         [this, body = std::move(main)]() mutable {
                                           Ended ended{*this};
                                           body();
                                         });
  if (spawned.ok()) {
    control_->Run();
    EndExecutors();
    control_->RunPosted();
  }
  delete root_;
  root_ = nullptr;
  std::lock_guard<std::mutex> lock(mutex_);
  return spawned.ok() ? failure_ : spawned;
}

void RealTasks::EndExecutors() {
  std::vector<Slot*> slots;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& slot : slots_) slots.push_back(slot.get());
  }
  for (Slot* slot : slots) {
    if (!slot->thread.joinable()) continue;
    slot->loop->Post([loop = slot->loop.get()] { loop->Stop(); });
    slot->thread.join();
  }
}

void RealTasks::OnTaskFailed(std::string reason) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    if (failure_.ok()) failure_ = absl::InternalError(reason);
  }
  control_->Post([this] { control_->Cancel(root_); });
}

void RealTasks::OnTaskGone() {
  if (alive_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  control_->Post([this] { control_->Stop(); });
}

// ------------------------------------------------------------------------------------- reports

std::string RealTasks::DescribeThisThread() {
  const Loop* const loop = Loop::This();
  if (loop == nullptr) {
    if (helping.empty()) return "a thread without tasks";
    return absl::StrFormat("a helper thread, for \"%s\"", base::Abseil(helping));
  }
  if (loop->current() == nullptr) {
    return absl::StrFormat("executor \"%s\", between tasks", loop->name());
  }
  return absl::StrFormat("executor \"%s\", task \"%s\"", loop->name(), loop->current()->name());
}

std::string RealTasks::DescribeTasks() {
  // Shared with loops that may answer after this has given up on them.
  struct Answer {
    std::mutex mutex;
    std::condition_variable given;
    std::string text;
    bool is_given = false;
  };
  std::vector<Loop*> loops = {control_.get()};
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& slot : slots_) loops.push_back(slot->loop.get());
  }
  std::string text;
  for (Loop* loop : loops) {
    const auto answer = std::make_shared<Answer>();
    loop->Post([loop, answer] {
      std::string waits = loop->DescribeWaits(
          [loop](const io::Task&) { return absl::StrFormat("executor \"%s\"", loop->name()); });
      std::lock_guard<std::mutex> lock(answer->mutex);
      answer->text = std::move(waits);
      answer->is_given = true;
      answer->given.notify_one();
    });
    std::unique_lock<std::mutex> lock(answer->mutex);
    if (answer->given.wait_for(lock, std::chrono::milliseconds(200),
                               [&] { return answer->is_given; })) {
      text += answer->text;
    } else if (const io::Task* const task = loop->picked(); task != nullptr) {
      absl::StrAppendFormat(&text, "  executor \"%s\": task \"%s\" runs and does not wait\n",
                            loop->name(), task->name());
    }
  }
  return text;
}

// ----------------------------------------------------------------------------------- executors

absl::StatusOr<io::Executor> RealTasks::AddExecutor(const io::ExecutorOptions& options) {
  ASSIGN_OR_RETURN(Loop::Descriptors descriptors, Loop::Descriptors::Make());
  std::lock_guard<std::mutex> lock(mutex_);
  const io::Executor executor(static_cast<uint32_t>(slots_.size()) + 2);
  auto slot = std::make_unique<Slot>();
  std::promise<bool> started;
  try {
    slot->thread = std::thread([&, slot = slot.get()] {
      pthread_setname_np(pthread_self(), options.name.substr(0, 15).c_str());
      if (options.core >= 0 && (options.core >= CPU_SETSIZE || !PinTo(options.core))) {
        started.set_value(false);
        return;
      }
      slot->loop = std::make_unique<Loop>(*this, std::move(descriptors), executor, options.name,
                                          options.may_spin ? spin_ : base::Duration(0));
      Loop* const loop = slot->loop.get();
      started.set_value(true);  // what the caller owns is not touched from here on
      loop->Run();
    });
  } catch (const std::system_error& error) {
    return absl::ResourceExhaustedError(
        absl::StrFormat("executor \"%s\": no thread: %s; raise `ulimit -u` or the limit of pids",
                        options.name, error.what()));
  }
  if (!started.get_future().get()) {
    slot->thread.join();
    return absl::InvalidArgumentError(
        absl::StrFormat("executor \"%s\": cannot be pinned to core %d; allowed are cores %s",
                        options.name, options.core, AllowedCores()));
  }
  slots_.push_back(std::move(slot));
  return executor;
}

Loop& RealTasks::LoopOf(io::Executor executor) {
  if (executor == io::kHere) return LoopOfTask();
  if (executor == io::kControl) return *control_;
  std::lock_guard<std::mutex> lock(mutex_);
  const size_t index = executor.value() - 2;
  CHECK_LT(index, slots_.size()) << "no executor " << executor;
  return *slots_[index]->loop;
}

// --------------------------------------------------------------------------------------- tasks

io::TaskRef RealTasks::Current() { return LoopOfTask().current()->ref(); }
io::Executor RealTasks::CurrentExecutor() { return LoopOfTask().current()->executor(); }
std::string_view RealTasks::CurrentName() { return LoopOfTask().current()->name(); }

io::Wake RealTasks::Park(base::Monotonic deadline, io::WaitFor what) {
  Loop* const loop = Loop::This();
  CHECK(loop != nullptr) << "wait for " << what.kind << " " << what.name << " outside of a task";
  return loop->Park(deadline, what);
}

void RealTasks::Unpark(io::TaskRef task) {
  if (!task) return;
  auto* const home = static_cast<Loop*>(task.task->home());
  if (home == Loop::This()) {
    home->Unpark(task);
  } else {
    home->UnparkFromAnywhere(task);
  }
}

void RealTasks::Yield() { LoopOfTask().Yield(); }

void RealTasks::AddNoThrow(int delta) {
  if (Loop* const loop = Loop::This(); loop != nullptr) loop->AddNoThrow(delta);
}

void RealTasks::AddForeign(int delta, const char* what) {
  if (Loop* const loop = Loop::This(); loop != nullptr) loop->AddForeign(delta, what);
}

void RealTasks::Offload(std::string_view what, absl::FunctionRef<void()> work) {
  RunOn(helpers_, what, work);
}

void RealTasks::RunOn(HelperPool& pool, std::string_view what, absl::FunctionRef<void()> work) {
  Loop* const loop = Loop::This();
  // A helper is where this would go to. A library that calls into a disk of ours cannot wait, nor
  // can a task that ends.
  if (loop == nullptr || loop->current() == nullptr || loop->UnderForeignFrame() ||
      loop->current()->cancelled()) {
    work();
    return;
  }
  std::packaged_task<void()> job(work);  // brings an exception of `work` back here
  std::atomic<bool> done{false};
  const io::TaskRef waiter = loop->current()->ref();
  pool.Submit([&job, &done, what, loop, waiter] {
    helping = what;
    job();
    helping = {};
    done.store(true, std::memory_order_release);  // the frame behind the references may end here
    loop->UnparkFromAnywhere(waiter);
  });
  loop->ParkThrough([&] { return done.load(std::memory_order_acquire); }, {"helper", what});
  job.get_future().get();
}

// -------------------------------------------------------------------------------------- groups

io::TaskGroup* RealTasks::OpenGroup(std::string_view name, io::Executor executor) {
  Loop& here = LoopOfTask();
  Loop& home = LoopOf(executor);
  return home.OpenGroup(name, home.executor(), here.current()->group(), nullptr);
}

absl::Status RealTasks::SpawnHere(Loop& loop, io::TaskGroup* group, std::string_view name,
                                  size_t stack_bytes, absl::AnyInvocable<void()> body) {
  // Counted before it can end.
  alive_.fetch_add(1, std::memory_order_relaxed);
  absl::Status status = loop.Spawn(group, name, stack_bytes, std::move(body));
  if (!status.ok()) alive_.fetch_sub(1, std::memory_order_relaxed);
  return status;
}

absl::Status RealTasks::Spawn(io::TaskGroup* group, const io::TaskOptions& options,
                              absl::AnyInvocable<void()> body) {
  Loop& here = LoopOfTask();
  Loop& home = HomeOf(group);
  const size_t stack_bytes = options.stack_bytes == 0 ? stack_bytes_ : options.stack_bytes;
  if (&home == &here) return SpawnHere(home, group, options.name, stack_bytes, std::move(body));

  absl::Status status;
  std::atomic<bool> done{false};
  const io::TaskRef waiter = here.current()->ref();
  home.Post([&, waiter, here = &here, body = std::move(body)]() mutable {
    status = SpawnHere(home, group, options.name, stack_bytes, std::move(body));
    done.store(true, std::memory_order_release);  // the frame behind the references may end here
    here->UnparkFromAnywhere(waiter);
  });
  here.ParkThrough([&] { return done.load(std::memory_order_acquire); },
                   {"a spawn on another executor", options.name});
  return status;
}

void RealTasks::CancelGroup(io::TaskGroup* group) {
  Loop& home = HomeOf(group);
  if (&home == Loop::This()) {
    home.Cancel(group);
  } else {
    home.Post([&home, group] { home.Cancel(group); });
  }
}

io::Wake RealTasks::JoinGroup(io::TaskGroup* group, base::Monotonic deadline) {
  return LoopOfTask().JoinGroup(group, deadline);
}

void RealTasks::CloseGroup(io::TaskGroup* group) {
  Loop* const here = Loop::This();
  CHECK(here != nullptr) << "scope \"" << group->name() << "\" ends on a thread without tasks";
  here->CloseGroup(group);
}

}  // namespace weir::net
