#include "faults/proxy.h"

#include <algorithm>
#include <chrono>
#include <memory>

#include "engine/base/check.h"
#include "engine/base/status_macros.h"
#include "engine/io/scope.h"
#include "engine/io/sync.h"

namespace weir::faults {
namespace {

using namespace std::chrono_literals;

constexpr size_t kChunkBytes = 16 << 10;
constexpr size_t kChunksMax = 64;  // that wait in one way
constexpr auto kConnectPatience = 30s;
// A throttled way lets bytes through in portions of so much time.
constexpr auto kPortion = 10ms;

// What one side said, on its way to the other.
struct Chunk {
  enum class What : uint8_t { kBytes, kEnd, kBreak };
  What what = What::kBytes;
  std::string bytes{};
  io::Monotonic due{};
};

size_t Index(Way way) { return static_cast<size_t>(way); }
size_t Index(End end) { return static_cast<size_t>(end); }

}  // namespace

// ---------------------------------------------------------------------------------- the control

// A task's place among those that wait, however its wait ends.
class ProxyControl::Waiting {
 public:
  Waiting(ProxyControl& control, io::Tasks& tasks)
      : control_(control), me_(&tasks, tasks.Current()) {
    base::SpinHold hold(control_.lock_);
    control_.waiting_.push_back(me_);
  }
  ~Waiting() {
    base::SpinHold hold(control_.lock_);
    auto& waiting = control_.waiting_;
    waiting.erase(std::find(waiting.begin(), waiting.end(), me_));
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;

 private:
  ProxyControl& control_;
  const std::pair<io::Tasks*, io::TaskRef> me_;
};

// Tells where the proxy listens, and that it does no longer.
class ProxyControl::Listening {
 public:
  Listening(ProxyControl& control, const io::Address& at) : control_(control) {
    control_.Alter([&](State& state) { state.address = at; });
  }
  ~Listening() {
    control_.Alter([](State& state) { state.address.reset(); });
  }
  Listening(const Listening&) = delete;
  Listening& operator=(const Listening&) = delete;

 private:
  ProxyControl& control_;
};

ProxyControl::State ProxyControl::Look() const {
  base::SpinHold hold(lock_);
  return state_;
}

template <typename Change>
void ProxyControl::Alter(Change change) {
  std::vector<std::pair<io::Tasks*, io::TaskRef>> waiting;
  {
    base::SpinHold hold(lock_);
    ++state_.changes;
    change(state_);
    waiting = waiting_;
  }
  for (const auto& [tasks, task] : waiting) tasks->Unpark(task);
}

template <typename Count>
void ProxyControl::Tell(Count count) {
  base::SpinHold hold(lock_);
  count(counts_);
}

io::Wake ProxyControl::WaitForChange(io::Tasks& tasks, uint64_t seen, io::Monotonic deadline) {
  const Waiting waiting(*this, tasks);
  while (Look().changes == seen) {
    const io::Wake wake = tasks.Park(deadline, {"a change of the proxy's weather"});
    if (wake != io::Wake::kUnparked) return wake;
  }
  return io::Wake::kUnparked;
}

void ProxyControl::Set(Way way, const Weather& weather) {
  Alter([&](State& state) { state.weather[Index(way)] = weather; });
}
void ProxyControl::SetBoth(const Weather& weather) {
  Alter([&](State& state) { state.weather = {weather, weather}; });
}
void ProxyControl::Refuse(bool refuse) {
  Alter([&](State& state) { state.refuse = refuse; });
}
void ProxyControl::Reset() {
  Alter([](State& state) { ++state.resets; });
}
void ProxyControl::HalfOpen(End dropped) {
  Alter([&](State& state) { ++state.half_opens[Index(dropped)]; });
}

ProxyCounts ProxyControl::counts() const {
  base::SpinHold hold(lock_);
  return counts_;
}

absl::StatusOr<io::Address> ProxyControl::WaitUntilUp(io::Env& env, io::Monotonic deadline) {
  for (;;) {
    const State state = Look();
    if (state.address) return *state.address;
    const io::Wake wake = WaitForChange(env.tasks, state.changes, deadline);
    if (wake != io::Wake::kUnparked) return io::WaitError(wake, {"the proxy to listen"});
  }
}

// ---------------------------------------------------------------------------------- a connection

// Each way has a task that reads and one that writes, with a queue between them, so that a delay is
// not a limit on how much may be on its way.
class ProxyConnection {
 public:
  ProxyConnection(io::Env& env, ProxyControl& control, std::unique_ptr<io::Stream> connecter)
      : env_(env),
        control_(control),
        over_(env.tasks, "the connection is over"),
        begun_(control.Look()) {
    side_[Index(End::kConnecter)] = std::move(connecter);
  }

  void Run(const io::Address& target) {
    if (begun_.refuse) {
      side_[0]->Abort();
      control_.Tell([](ProxyCounts& counts) { ++counts.refused; });
      return;
    }
    // A greeting and its answer need both ways.
    if (!WaitWhileCut(Way::kForward) || !WaitWhileCut(Way::kBack)) return;
    absl::StatusOr<std::unique_ptr<io::Stream>> stream =
        env_.network.Connect(target, env_.Deadline(kConnectPatience));
    if (!stream.ok()) {
      side_[0]->Abort();
      return;
    }
    side_[1] = *std::move(stream);
    control_.Tell([](ProxyCounts& counts) { ++counts.connections; });
    const absl::Status status = io::WithScope(env_, "connection", [&](io::Scope& scope) {
      RETURN_IF_ERROR(scope.Spawn("obey", [this] { Obey(); }));
      for (const Way way : {Way::kForward, Way::kBack}) {
        io::Queue<Chunk>& queue = queues_[Index(way)];
        RETURN_IF_ERROR(scope.Spawn("read", [this, way, &queue] {
          ReadAll(way, queue);
          queue.Close();
        }));
        RETURN_IF_ERROR(scope.Spawn("write", [this, way, &queue] { WriteAll(way, queue); }));
      }
      return over_.Wait() == io::Wake::kUnparked
                 ? absl::OkStatus()
                 : io::WaitError(io::Wake::kCancelled, over_.what());
    });
    if (!status.ok()) {
      env_.log.Warn("proxy", status.message());
      Break();
    }
  }

 private:
  // Does to the connection what the control says.
  void Obey() {
    for (;;) {
      const ProxyControl::State state = control_.Look();
      if (state.resets != begun_.resets) return Break();
      for (const End end : {End::kConnecter, End::kTarget}) {
        if (state.half_opens[Index(end)] != begun_.half_opens[Index(end)] &&
            !dropped_[Index(end)]) {
          dropped_[Index(end)] = true;
          side_[Index(end)]->Abort();
          control_.Tell([](ProxyCounts& counts) { ++counts.half_opens; });
        }
      }
      if (control_.WaitForChange(env_.tasks, state.changes, base::kForever) ==
          io::Wake::kCancelled) {
        return;
      }
    }
  }

  // Resets both sides.
  void Break() {
    if (over_.is_set()) return;
    for (const auto& side : side_) side->Abort();
    control_.Tell([](ProxyCounts& counts) { ++counts.resets; });
    over_.Set();
  }

  // False if the task ends.
  bool WaitWhileCut(Way way) {
    for (;;) {
      const ProxyControl::State state = control_.Look();
      if (!state.weather[Index(way)].cut) return true;
      if (control_.WaitForChange(env_.tasks, state.changes, base::kForever) ==
          io::Wake::kCancelled) {
        return false;
      }
    }
  }

  void ReadAll(Way way, io::Queue<Chunk>& queue) {
    io::Stream& from = *side_[Index(way)];
    std::string room(kChunkBytes, '\0');
    for (;;) {
      // A way that is cut takes nothing more, so its sender's window fills.
      if (!WaitWhileCut(way)) return;
      const absl::StatusOr<size_t> got = from.Read(absl::MakeSpan(room), base::kForever);
      if (dropped_[Index(way)]) return;  // it was us who broke it, and nobody is to know
      Chunk chunk;
      chunk.due = env_.Deadline(control_.Look().weather[Index(way)].delay);
      if (!got.ok()) {
        chunk.what = Chunk::What::kBreak;
      } else if (*got == 0) {
        chunk.what = Chunk::What::kEnd;
      } else {
        chunk.bytes = room.substr(0, *got);
      }
      const bool last = chunk.what != Chunk::What::kBytes;
      read_all_[Index(way)] = last;
      if (!queue.Push(std::move(chunk)).ok() || last) return;
    }
  }

  void WriteAll(Way way, io::Queue<Chunk>& queue) {
    const size_t to = 1 - Index(way);
    for (;;) {
      absl::StatusOr<Chunk> chunk = queue.Pop();
      if (!chunk.ok()) break;
      while (env_.clock.Now() < chunk->due) {
        if (env_.Sleep(chunk->due - env_.clock.Now()) == io::Wake::kCancelled) return;
      }
      if (!WaitWhileCut(way)) return;
      if (dropped_[to]) {
        control_.Tell([&](ProxyCounts& counts) { counts.lost_bytes += chunk->bytes.size(); });
        continue;
      }
      if (chunk->what == Chunk::What::kBreak) {
        side_[to]->Abort();
      } else if (chunk->what == Chunk::What::kEnd) {
        // A stream that is broken meanwhile has no end to tell.
        side_[to]->CloseWrite().IgnoreError();
      } else if (!Carry(way, chunk->bytes)) {
        return;
      }
    }
    if (++ways_done_ == 2) over_.Set();
  }

  // Writes the bytes as the weather lets them through. False: the connection is over.
  bool Carry(Way way, std::string& bytes) {
    const size_t to = 1 - Index(way);
    uint64_t& carried = carried_[Index(way)];
    size_t done = 0;
    while (done < bytes.size()) {
      if (!WaitWhileCut(way)) return false;
      const Weather weather = control_.Look().weather[Index(way)];
      uint64_t portion = bytes.size() - done;
      if (weather.bytes_per_second > 0) {
        const uint64_t fits = weather.bytes_per_second / (1s / kPortion);
        portion = std::clamp<uint64_t>(fits, 1, portion);
      }
      if (weather.reset_at != Weather::kNever) {
        if (carried >= weather.reset_at) {
          Break();
          return false;
        }
        portion = std::min(portion, weather.reset_at - carried);
      }
      if (weather.flip_at >= carried && weather.flip_at - carried < portion) {
        char& byte = bytes[done + (weather.flip_at - carried)];
        byte = static_cast<char>(byte ^ 0x10);
        control_.Tell([](ProxyCounts& counts) { ++counts.flips; });
      }
      const std::string_view piece = std::string_view(bytes).substr(done, portion);
      if (!dropped_[to] && !broken_[to]) {
        broken_[to] = !side_[to]->Write(piece, base::kForever).ok();
        // Who reads from the broken side tells the other, through the weather of that way; unless
        // it has read to the end before.
        if (broken_[to] && !dropped_[to] && read_all_[to]) {
          side_[1 - to]->Abort();
          over_.Set();
          return false;
        }
      }
      carried += portion;
      done += portion;
      control_.Tell([&](ProxyCounts& counts) { counts.bytes[Index(way)] += portion; });
      if (weather.bytes_per_second > 0) {
        const auto takes = io::Duration(static_cast<int64_t>(
            portion * static_cast<uint64_t>(base::Nanos(1s)) / weather.bytes_per_second));
        if (env_.Sleep(takes) == io::Wake::kCancelled) return false;
      }
    }
    // A reset at the very last byte does not wait for one more.
    if (control_.Look().weather[Index(way)].reset_at == carried) {
      Break();
      return false;
    }
    return true;
  }

  io::Env& env_;
  ProxyControl& control_;
  io::Event over_;
  const ProxyControl::State begun_;  // what was asked for before this connection is not for it
  std::array<std::unique_ptr<io::Stream>, 2> side_;
  std::array<bool, 2> dropped_{};   // by a half-open
  std::array<bool, 2> broken_{};    // found so by a write
  std::array<bool, 2> read_all_{};  // to its end or its break
  std::array<uint64_t, 2> carried_{};
  int ways_done_ = 0;
  std::array<io::Queue<Chunk>, 2> queues_{
      {{env_.tasks, "forward", kChunksMax}, {env_.tasks, "back", kChunksMax}}};
};

// ---------------------------------------------------------------------------------- the program

absl::Status Proxy(io::Env& env, const ProxyOptions& options, ProxyControl& control) {
  ASSIGN_OR_RETURN(const std::unique_ptr<io::Listener> listener,
                   env.network.Listen(options.listen));
  const ProxyControl::Listening listening(control, listener->address());
  return io::WithScope(env, "proxy", [&](io::Scope& scope) -> absl::Status {
    RETURN_IF_ERROR(scope.Spawn("accept", [&] {
      for (;;) {
        absl::StatusOr<std::unique_ptr<io::Stream>> stream = listener->Accept(base::kForever);
        if (!stream.ok()) {
          env.log.Warn("proxy", stream.status().message());
          env.Sleep(100ms);  // out of descriptors: some will close
          continue;
        }
        auto connection = std::make_unique<ProxyConnection>(env, control, *std::move(stream));
        const absl::Status started = scope.Spawn(
            "connection",
            [&options, connection = std::move(connection)] { connection->Run(options.target); });
        if (!started.ok()) env.log.Warn("proxy", started.message());
      }
    }));
    env.signals.WaitForTermination(base::kForever);
    return absl::OkStatus();
  });
}

}  // namespace weir::faults
