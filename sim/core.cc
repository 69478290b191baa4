#include "sim/core.h"

#include <algorithm>

#include "absl/strings/str_format.h"
#include "engine/base/check.h"
#include "engine/base/text.h"
#include "sim/life_env.h"
#include "sim/sim_disk.h"
#include "sim/sim_network.h"

namespace weir::sim {
namespace {

// What is folded into the hash before the values of an event, so that kinds cannot be taken for
// each other.
enum NoteKind : uint64_t { kNotePick = 0x7069636b, kNoteTime = 0x74696d65, kNoteLife = 0x6c696665 };

const Core* running_core =
    nullptr;  // for the report of a failed CHECK; there is one world at a time on the thread

std::string DescribeFailure() {
  const Core* const core = running_core;
  if (core == nullptr) return "";
  const io::Task* const task = core->current();
  std::string place = "driver";
  if (task != nullptr)
    place = static_cast<const Life*>(task->owner())->place.name + " task \"" + task->name() + "\"";
  return absl::StrFormat("  in %s at %s of the world of seed %d\n", place, core->TimeText(),
                         core->options.seed);
}

Life& LifeOf(const io::Task* task) { return *static_cast<Life*>(task->owner()); }

bool Stands(const Life& life, const io::Task* task) {
  return life.place.paused || (life.stopped != nullptr && life.stopped != task);
}

}  // namespace

Life::Life(Core& core_in, Place& place_in, HostState& host_in, io::ProcessId id_in)
    : core(core_in), place(place_in), host(host_in), id(id_in) {
  executors.push_back(ExecutorState{.name = "control"});
  executors.push_back(ExecutorState{.name = "helper"});
  root = core.OpenGroup(place.name, io::kControl, nullptr, this);
  helpers = core.OpenGroup("helpers", io::Executor(2), root, this);
}

Life::~Life() = default;

bool Life::Alive() {
  if (!dead_) [[likely]]
    return true;
  ++core.counts.muted_effects;
  core.CheckAlive();
  return false;
}

Core::Core(const WorldOptions& options_in)
    : options(options_in),
      root(options_in.seed, this),
      schedule(root.Fork("schedule")),
      hands(root.Fork("hands")),
      network(std::make_unique<SimNetwork>(*this)) {
  running_core = this;
  base::SetFailureContext(&DescribeFailure);
}

Core::~Core() {
  for (const auto& place : places) {
    if (place != nullptr && place->life != nullptr) {
      End(*place->life, {.by_signal = true, .code = io::kKillSignal}, absl::OkStatus(),
          /*muted=*/true);
    }
  }
  // Heavy events left over are the test's hands; only the ends of lives still matter, and they are
  // due now.
  stop_ = true;
  RunTasks();
  ReapGivenUp();
  while (!lives_.empty()) Finalize(lives_.begin()->second->id);
  CHECK(given_up() > 0 || tasks_alive() == 0) << "tasks outlive the world:\n" << Waits();
  base::SetFailureContext(nullptr);
  running_core = nullptr;
}

std::string Core::TimeText() const { return base::ToString(now_.time_since_epoch()); }

void Core::TraceLine(std::string_view text) {
  options.trace(absl::StrFormat("%d %s", Nanos(now_), base::Abseil(text)));
}

void Core::Fail(absl::Status status) {
  if (failure_.ok()) failure_ = std::move(status);
  stop_ = true;
}

// ------------------------------------------------------------------------------------ who runs

void Core::Ready(io::Task* task) {
  // A task that has its turn to die runs even while its process is paused or its core busy: a kill
  // takes no time.
  if (!task->has_turn()) {
    Life& life = LifeOf(task);
    if (Stands(life, task)) [[unlikely]] {
      life.held_by_pause.push_back(task);
      return;
    }
    ExecutorState& executor = life.executors[task->executor().value() - 1];
    if (executor.busy_until > now_) {
      executor.held.push_back(task);
      return;
    }
  }
  ready_.push_back(task);
}

void Core::ReadyAgain(std::vector<io::Task*>& held) {
  for (io::Task* task : std::exchange(held, {})) Ready(task);
}

void Core::Charge(Life& life, io::Executor executor, Duration work) {
  if (work <= Duration::zero() || life.ending_) return;
  const size_t index = executor.value() - 1;
  ExecutorState& state = life.executors[index];
  if (life.place.slowness > 1) [[unlikely]]
    Bite(life.place.slowed_by);
  state.debt += work * static_cast<int64_t>(life.place.slowness);
  if (!state.in_charged) {
    state.in_charged = true;
    charged_.emplace_back(&life, index);
  }
}

// Work charged since the last switch makes its core busy from now on.
void Core::SettleCharges() {
  for (const auto& [life, index] : charged_) {
    ExecutorState& executor = life->executors[index];
    executor.busy_until = std::max(executor.busy_until, now_) + executor.debt;
    executor.debt = Duration::zero();
    executor.in_charged = false;
    PushLight(executor.busy_until, this, life->id.value(), index);
  }
  charged_.clear();
}

void Core::OnEvent(uint64_t a, uint64_t b) {
  const auto it = lives_.find(a);
  if (it == lives_.end()) return;
  ExecutorState& executor = it->second->executors[b];
  if (executor.busy_until <= now_) ReadyAgain(executor.held);
}

io::Task* Core::PickNext() {
  if (!charged_.empty()) [[unlikely]]
    SettleCharges();
  for (;;) {
    while (!ready_.empty()) {
      const size_t last = ready_.size() - 1;
      // One draw whether or not there is a choice would cost more than it tells; the order of draws
      // is fixed anyway.
      const size_t index = last == 0 ? 0 : static_cast<size_t>(schedule.Between(uint64_t{0}, last));
      io::Task* const task = ready_[index];
      ready_[index] = ready_[last];
      ready_.pop_back();
      if (!task->has_turn()) {
        Life& life = LifeOf(task);
        if (Stands(life, task) || life.executors[task->executor().value() - 1].busy_until > now_)
            [[unlikely]] {
          Ready(task);  // to where it is held
          continue;
        }
      }
      Note(kNotePick, task->number());
      if (tracing()) [[unlikely]] {
        TraceLine(absl::StrFormat("run %s task %d \"%s\"", LifeOf(task).place.name, task->number(),
                                  task->name()));
      }
      return task;
    }
    if (stop_) return nullptr;
    const Monotonic timer = timers().next();
    const bool timer_first =
        !timers().empty() &&
        (queue_.empty() || timer < queue_.next().at ||
         (timer == queue_.next().at && timers().next_number() < queue_.next().number));
    if (timer_first) {
      if (timer > limit_) return nullptr;
      if (timer > now_) now_ = timer;
      ++counts.events;
      FireTimers(now_);
      continue;
    }
    if (queue_.empty() || queue_.next().at > limit_ || queue_.next().sink == nullptr)
      return nullptr;
    const Event event = queue_.Pop();
    now_ = event.at;
    ++counts.events;
    event.sink->OnEvent(event.a, event.b);
  }
}

void Core::OnTaskFailed(io::Task* task, std::string reason) {
  Fail(absl::InternalError(absl::StrFormat("%s: %s", LifeOf(task).place.name, reason)));
}

// ---------------------------------------------------------------------------------- the driver

void Core::PushHeavy(Monotonic at, std::function<void()> hand) {
  const uint64_t number = NextNumber();
  hands_[number] = std::move(hand);
  queue_.Push({at < now_ ? now_ : at, number, nullptr, 0, 0});
}

Monotonic Core::NextEvent() const {
  return std::min(timers().next(), queue_.empty() ? base::kForever : queue_.next().at);
}

std::string Core::Waits() const {
  return DescribeWaits([](const io::Task& task) { return LifeOf(&task).place.name; });
}

bool Core::Turn(Monotonic limit) {
  limit_ = limit;
  RunTasks();
  Note(kNoteTime, static_cast<uint64_t>(Nanos(now_)));
  if (stop_) return true;
  const Monotonic next = NextEvent();
  if (next == base::kForever || next > limit) return false;
  if (queue_.empty() || queue_.next().sink != nullptr || queue_.next().at != next) return true;
  const Event event = queue_.Pop();
  now_ = event.at;
  ++counts.events;
  const auto hand = hands_.extract(event.number);
  hand.mapped()();
  return true;
}

absl::Status Core::Run(Monotonic limit) {
  while (essential_running_ > 0 && failure_.ok()) {
    if (Turn(limit)) continue;
    const bool deadlock = NextEvent() == base::kForever;
    return absl::DeadlineExceededError(
        deadlock
            ? absl::StrFormat(
                  "deadlock at %s: nothing is ready and nothing will ever happen; waiting:\n%s",
                  TimeText(), Waits())
            : absl::StrFormat("no end within the time limit of %s; waiting:\n%s",
                              base::ToString(limit.time_since_epoch()), Waits()));
  }
  return failure_;
}

bool Core::RunUntil(const std::function<bool()>& until, Monotonic limit) {
  // `until` is asked between turns, so a turn is at most this long.
  constexpr Duration kTurn = std::chrono::milliseconds(1);
  for (;;) {
    if (until && until()) return true;
    if (!failure_.ok()) return false;
    const Monotonic next = NextEvent();
    if (!until || next > limit) {
      while (failure_.ok() && Turn(limit)) {
      }
      if (failure_.ok()) now_ = limit;
      return until && until();
    }
    Turn(std::min(limit, std::max(now_, next) + kTurn));
  }
}

// --------------------------------------------------------------------------------------- lives

base::Hash128 Core::ProgramHash(const io::Program* program) {
  auto it = std::find(programs_.begin(), programs_.end(), program);
  if (it == programs_.end()) it = programs_.insert(programs_.end(), program);
  return base::HashContent("program " + std::to_string(it - programs_.begin()));
}

Place& Core::MakePlace(HostState& host, const io::Program& program, std::string name,
                       std::vector<std::string> arguments, std::string directory, bool essential,
                       Place* parent) {
  auto place = std::make_unique<Place>();
  place->id = ProcessId(static_cast<uint32_t>(places.size() + 1));
  place->name = std::move(name);
  place->host = &host;
  place->program = &program;
  place->arguments = std::move(arguments);
  place->directory = std::move(directory);
  place->essential = essential;
  place->parent = parent;
  places.push_back(std::move(place));
  return *places.back();
}

Life* Core::FindLife(io::ProcessId id) {
  const auto it = lives_.find(id.value());
  return it == lives_.end() ? nullptr : it->second;
}

void Core::Begin(Place& place) {
  CHECK(place.life == nullptr) << place.name << " runs already";
  CHECK(place.host->powered) << "host " << place.host->name << " has no power";
  place.life = std::make_unique<Life>(*this, place, *place.host, io::ProcessId(++last_life_));
  ++place.lives;
  place.exit.reset();
  place.paused = false;
  Life* const life = place.life.get();
  life->env = std::make_unique<LifeEnv>(*life);
  lives_[last_life_] = life;
  if (place.essential) ++essential_running_;
  Note(kNoteLife, last_life_);
  if (tracing()) TraceLine(absl::StrFormat("start %s life %d", place.name, last_life_));
  place.host->disk->MakeRoot(place.directory);
  CHECK_OK(Spawn(life->root, "main", base::kUserStackBytes, [this, life] {
    absl::Status status = (*life->place.program)(life->env->env());
    if (!status.ok()) life->env->env().log.Error("process", "ended with ", status.ToString());
    if (life->ending_) return;
    // What still runs in the process is cancelled by the driver, when this task has gone.
    const io::ExitStatus exit{.by_signal = false, .code = status.ok() ? 0 : 1};
    PushHeavy(now_, [this, id = life->id, exit, status = std::move(status)]() mutable {
      if (Life* const ended = FindLife(id); ended != nullptr)
        End(*ended, exit, std::move(status), /*muted=*/false);
    });
  }));
}

void Core::End(Life& life, io::ExitStatus exit, absl::Status message, bool muted) {
  if (muted) life.dead_ = true;
  if (life.ending_) return;
  life.ending_ = true;
  life.exit = exit;
  life.message = std::move(message);
  Place& place = life.place;
  Note(kNoteLife ^ 1, life.id.value());
  if (tracing())
    TraceLine(absl::StrFormat("end %s life %d %s", place.name, life.id.value(), exit.ToString()));
  if (muted) {
    ++counts.kills;
    network->OnLifeEnded(life);
    life.host.disk->OnLifeEnded(life);
  }
  // Everything that was held is let go: dying takes no time.
  std::erase_if(charged_, [&](const auto& charged) { return charged.first == &life; });
  place.paused = false;
  life.stopped = nullptr;
  for (ExecutorState& executor : life.executors) {
    executor.busy_until = Monotonic{};
    ReadyAgain(executor.held);
  }
  ReadyAgain(life.held_by_pause);
  Cancel(life.root);
  PushHeavy(now_, [this, id = life.id] { Finalize(id); });
}

void Core::Finalize(io::ProcessId id) {
  Life* const life = FindLife(id);
  if (life == nullptr) return;
  Place& place = life->place;
  if (life->root->live() == 0 && life->helpers->live() == 0 && given_up() == 0) {
    CloseGroup(life->helpers);
    CloseGroup(life->root);
  } else if (given_up() == 0) {
    Fail(absl::InternalError(
        absl::StrFormat("%s: tasks did not end with their process:\n%s", place.name, Waits())));
  }
  network->OnLifeEnded(*life);
  life->host.disk->OnLifeEnded(*life);
  place.exit = life->exit;
  place.message = life->message;
  place.output_ended = true;
  lives_.erase(id.value());
  place.life.reset();
  if (place.essential) --essential_running_;
  if (on_exit && place.parent == nullptr && !stop_) on_exit(place.id);
  for (const io::TaskRef waiter : std::exchange(place.exit_waiters, {})) Unpark(waiter);
  for (const io::TaskRef waiter : std::exchange(place.output_waiters, {})) Unpark(waiter);
  for (const auto& child : places) {
    if (child == nullptr || child->parent != &place) continue;
    child->parent = nullptr;
    if (child->life != nullptr) {
      End(*child->life, {.by_signal = true, .code = io::kKillSignal}, absl::OkStatus(),
          /*muted=*/true);
    }
    Forget(*child);
  }
  if (place.forgotten) Forget(place);
}

void Core::Forget(Place& place) {
  place.forgotten = true;
  if (place.life != nullptr) return;
  for (const auto& child : places) {
    if (child != nullptr && child->parent == &place) return;
  }
  places[place.id.value() - 1].reset();
}

void Core::StopHere(Life& life) {
  if (!life.place.paused || life.ending_ || current() == nullptr || in_foreign_frame()) return;
  // Whatever ends the wait, the other tasks may go on after it.
  struct Stop {
    explicit Stop(Life& life_in, io::Task* task) : life(life_in) { life.stopped = task; }
    ~Stop() {
      life.stopped = nullptr;
      life.core.ReadyAgain(life.held_by_pause);
    }
    Life& life;
  };
  const Stop stop(life, current());
  while (life.place.paused && !life.ending_ && !current()->cancelled()) Yield();
}

size_t Core::CancelScope(Life& life, std::string_view name) {
  if (life.ending_) return 0;
  Note(kNoteLife ^ 3, base::Hash64(name, life.id.value()));
  size_t ended = 0;
  const std::vector<io::TaskGroup*> scopes = life.scopes;
  for (io::TaskGroup* scope : scopes) {
    if (scope->name() != name || scope->cancelled()) continue;
    ended += scope->live();
    if (tracing())
      TraceLine(absl::StrFormat("cancel %s scope \"%s\"", life.place.name, scope->name()));
    Cancel(scope);
  }
  return ended;
}

void Core::SetPaused(Place& place, bool paused, FaultTag tag) {
  if (place.life == nullptr || place.life->ending_ || place.paused == paused) return;
  if (tracing()) TraceLine(absl::StrFormat("%s %s", paused ? "pause" : "resume", place.name));
  Note(kNoteLife ^ 2, place.id.value());
  place.paused = paused;
  if (paused) {
    ++counts.pauses;
    place.paused_by = tag;
  } else {
    if (!place.life->held_by_pause.empty()) Bite(place.paused_by);
    ReadyAgain(place.life->held_by_pause);
  }
}

void Core::Terminate(Life& life) {
  life.termination_requested = true;
  for (const io::TaskRef waiter : std::exchange(life.termination_waiters, {})) Unpark(waiter);
}

void Core::PowerOff(HostState& host) {
  if (!host.powered) return;
  if (tracing()) TraceLine(absl::StrFormat("power off %s", host.name));
  host.powered = false;
  // Its peers hear nothing: connections vanish before the processes that held them end.
  network->OnPowerOff(host);
  for (size_t i = 0; i < places.size(); ++i) {
    Place* const place = places[i].get();
    if (place == nullptr || place->host != &host || place->life == nullptr) continue;
    End(*place->life, {.by_signal = true, .code = io::kKillSignal}, absl::OkStatus(),
        /*muted=*/true);
  }
  host.disk->Crash();
}

}  // namespace weir::sim
