// The chapter of what tasks wait for (engine/io/sync.h), in both worlds.

#include "engine/io/sync.h"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "engine/base/status_macros.h"
#include "engine/io/scope.h"
#include "tests/conformance/worlds.h"

namespace weir::tests {
namespace {

using namespace std::chrono_literals;
using absl::StatusCode;
using io::Scope;
using io::Wake;
using io::WithScope;
using Numbers = std::vector<int>;

WEIR_CONFORMANCE(Sync);

// Spawns tasks that have all begun to wait when this returns, in this order.
absl::Status SpawnWaiters(io::Env& env, Scope& scope, int count,
                          const std::function<void(int)>& body) {
  int begun = 0;
  for (int i = 0; i < count; ++i) {
    RETURN_IF_ERROR(scope.Spawn("waiter", [&begun, body, i] {
      ++begun;
      body(i);
    }));
    while (begun <= i) env.tasks.Yield();
  }
  return absl::OkStatus();
}

// --------------------------------------------------------------------------------------- mutex

TEST_P(Sync, AMutexIsHeldByOneAcrossWaits) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Mutex mutex(env.tasks, "m");
    int inside = 0;
    int total = 0;
    return WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      for (int i = 0; i < 10; ++i) {
        RETURN_IF_ERROR(scope.Spawn("locker", [&] {
          for (int round = 0; round < 5; ++round) {
            const io::MutexLock lock(mutex);
            found.True(lock.held(), "held");
            found.Equal(++inside, 1);
            env.Sleep(10us);
            --inside;
            ++total;
          }
        }));
      }
      scope.Join();
      found.Equal(total, 50);
      return absl::OkStatus();
    });
  });
}

TEST_P(Sync, AMutexIsGivenInTheOrderOfArrival) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Mutex mutex(env.tasks, "m");
    Numbers order;
    return WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      io::MutexLock mine(mutex);
      RETURN_IF_ERROR(SpawnWaiters(env, scope, 6, [&](int i) {
        const io::MutexLock lock(mutex);
        order.push_back(i);
        env.tasks.Yield();
      }));
      mine.Unlock();
      // Does not overtake those in line.
      (void)mine.Lock();
      found.Equal(order, Numbers({0, 1, 2, 3, 4, 5}));
      mine.Unlock();
      scope.Join();
      return absl::OkStatus();
    });
  });
}

TEST_P(Sync, AMutexHasADeadline) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Mutex mutex(env.tasks, "m");
    return WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      io::MutexLock mine(mutex);
      RETURN_IF_ERROR(scope.Spawn("late", [&] {
        const io::MutexLock lock(mutex, env.Deadline(2ms));
        found.True(!lock.held(), "it was too late");
      }));
      scope.Join();
      mine.Unlock();
      const io::MutexLock again(mutex, env.Deadline(2ms));
      found.True(again.held(), "it is free");
      return absl::OkStatus();
    });
  });
}

TEST_P(Sync, AMutexOutlivesTheCancelOfWhoHoldsItAndOfWhoIsNext) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Mutex mutex(env.tasks, "m");
    return WithScope(env, "survivors", [&](Scope& survivors) -> absl::Status {
      return WithScope(env, "victims", [&](Scope& victims) -> absl::Status {
        // 0 holds it, 1 and 2 are in line, all three end; 3 is behind them.
        RETURN_IF_ERROR(SpawnWaiters(env, victims, 3, [&](int) {
          const io::MutexLock lock(mutex);
          env.Sleep(1h);
        }));
        bool got = false;
        RETURN_IF_ERROR(
            SpawnWaiters(env, survivors, 1, [&](int) { got = io::MutexLock(mutex).held(); }));
        victims.Cancel();
        found.Equal(survivors.Join(env.Deadline(10s)), Wake::kUnparked);
        found.True(got, "the survivor got it");
        return absl::OkStatus();
      });
    });
  });
}

TEST_P(Sync, ALockInAnUnwindIsNotHeld) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Mutex mutex(env.tasks, "m");
    int tried = 0;
    return WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      const io::MutexLock mine(mutex);
      RETURN_IF_ERROR(SpawnWaiters(env, scope, 1, [&](int) {
        struct Locks {
          io::Mutex& mutex;
          Found& found;
          int& tried;
          ~Locks() {
            ++tried;
            found.True(!io::MutexLock(mutex).held(), "not held");
          }
        } locks{mutex, found, tried};
        env.Sleep(1h);
      }));
      scope.Cancel();
      scope.Join();
      found.Equal(tried, 1);
      return absl::OkStatus();
    });
  });
}

TEST_P(Sync, LockingTwiceIsABug) {
  EXPECT_DEATH(Conform(GetParam(),
                       [](io::Env& env, Found&) -> absl::Status {
                         io::Mutex mutex(env.tasks, "state");
                         const io::MutexLock once(mutex);
                         const io::MutexLock twice(mutex);
                         return absl::OkStatus();
                       }),
               "mutex state is locked twice");
}

TEST_P(Sync, EndingWhatATaskWaitsForIsABug) {
  EXPECT_DEATH(
      Conform(GetParam(),
              [](io::Env& env, Found&) -> absl::Status {
                return WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
                  auto event = std::make_unique<io::Event>(env.tasks, "gone");
                  RETURN_IF_ERROR(SpawnWaiters(env, scope, 1, [&](int) { (void)event->Wait(); }));
                  event.reset();
                  return absl::OkStatus();
                });
              }),
      "what tasks wait for ends before they do");
}

TEST_P(Sync, UsingItFromAnotherExecutorIsABug) {
  EXPECT_DEATH(Conform(GetParam(),
                       [](io::Env& env, Found&) -> absl::Status {
                         io::Queue<int> queue(env.tasks, "jobs", 1);
                         RETURN_IF_ERROR(queue.Push(1));
                         ASSIGN_OR_RETURN(const io::Executor slot,
                                          env.tasks.AddExecutor({.name = "slot 0"}));
                         Scope scope(env.tasks, "there", slot);
                         RETURN_IF_ERROR(scope.Spawn("thief", [&] { (void)queue.TryPop(); }));
                         scope.Join();
                         return absl::OkStatus();
                       }),
               "queue jobs belongs to another executor");
}

// ----------------------------------------------------------------------------------- condition

TEST_P(Sync, NotifyOneWakesOneInTheOrderOfArrival) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Mutex mutex(env.tasks, "m");
    io::CondVar condition(env.tasks, "c");
    Numbers order;
    return WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(SpawnWaiters(env, scope, 4, [&](int i) {
        io::MutexLock lock(mutex);
        found.Equal(condition.Wait(lock), Wake::kUnparked);
        found.True(lock.held(), "held after the wait");
        order.push_back(i);
      }));
      for (int i = 0; i < 4; ++i) {
        while (order.size() < static_cast<size_t>(i)) env.Sleep(100us);
        env.Sleep(1ms);
        found.Equal(order.size(), static_cast<size_t>(i));
        condition.NotifyOne();
      }
      scope.Join();
      found.Equal(order, Numbers({0, 1, 2, 3}));
      condition.NotifyOne();  // nobody is there: nothing is kept
      io::MutexLock lock(mutex);
      found.Equal(condition.Wait(lock, env.Deadline(2ms)), Wake::kTimeout);
      found.True(lock.held(), "held after the deadline");
      return absl::OkStatus();
    });
  });
}

TEST_P(Sync, NotifyAllWakesAll) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Mutex mutex(env.tasks, "m");
    io::CondVar condition(env.tasks, "c");
    int woken = 0;
    return WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(SpawnWaiters(env, scope, 5, [&](int) {
        io::MutexLock lock(mutex);
        woken += condition.Wait(lock) == Wake::kUnparked;
      }));
      condition.NotifyAll();
      scope.Join();
      found.Equal(woken, 5);
      return absl::OkStatus();
    });
  });
}

TEST_P(Sync, ANotificationToAVictimGoesToTheNext) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Mutex mutex(env.tasks, "m");
    io::CondVar condition(env.tasks, "c");
    bool survivor_woken = false;
    return WithScope(env, "survivors", [&](Scope& survivors) -> absl::Status {
      return WithScope(env, "victims", [&](Scope& victims) -> absl::Status {
        RETURN_IF_ERROR(SpawnWaiters(env, victims, 1, [&](int) {
          io::MutexLock lock(mutex);
          (void)condition.Wait(lock);
        }));
        RETURN_IF_ERROR(SpawnWaiters(env, survivors, 1, [&](int) {
          io::MutexLock lock(mutex);
          survivor_woken = condition.Wait(lock, env.Deadline(10s)) == Wake::kUnparked;
        }));
        condition.NotifyOne();  // to the victim, which is cancelled before it runs
        victims.Cancel();
        survivors.Join();
        found.True(survivor_woken, "the survivor was woken");
        return absl::OkStatus();
      });
    });
  });
}

// --------------------------------------------------------------------------------------- event

TEST_P(Sync, AnEventStaysUntilItIsReset) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Event event(env.tasks, "e");
    found.Equal(event.Wait(env.Deadline(1ms)), Wake::kTimeout);
    event.Set();
    event.Set();
    found.True(event.is_set(), "set");
    found.Equal(event.Wait(env.Deadline(1ms)), Wake::kUnparked);
    found.Equal(event.Wait(), Wake::kUnparked);
    event.Reset();
    found.Equal(event.Wait(env.Deadline(1ms)), Wake::kTimeout);
    return absl::OkStatus();
  });
}

TEST_P(Sync, WhoWaitsForAnEventSeesEvenAPulse) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Event event(env.tasks, "e");
    int woken = 0;
    return WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(SpawnWaiters(env, scope, 3, [&](int i) {
        if (i == 2) {
          woken += io::WaitAny(env.tasks, {&event}, env.Deadline(10s)).ok();
        } else {
          woken += event.Wait(env.Deadline(10s)) == Wake::kUnparked;
        }
      }));
      event.Set();
      event.Reset();
      scope.Join();
      found.Equal(woken, 3);
      return absl::OkStatus();
    });
  });
}

// --------------------------------------------------------------------------- queue and mailbox

TEST_P(Sync, AQueueHoldsItsBoundAndNoMore) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Queue<std::string> queue(env.tasks, "q", 2);
    found.Ok(queue.Push("a"));
    found.Ok(queue.Push("b"));
    found.Error(queue.Push("c", env.Deadline(1ms)), StatusCode::kDeadlineExceeded, "queue q");
    std::string kept = "kept";
    found.True(!queue.TryPush(kept), "full");
    found.Equal(kept, std::string("kept"));
    found.Equal(queue.size(), size_t{2});
    ASSIGN_OR_RETURN(const std::string a, queue.Pop());
    found.Equal(a, std::string("a"));
    found.True(queue.TryPush(kept), "room");
    found.Equal(queue.TryPop().value_or("none"), std::string("b"));
    found.Equal(queue.TryPop().value_or("none"), std::string("kept"));
    found.True(!queue.TryPop().has_value(), "empty");
    found.Error(queue.Pop(env.Deadline(1ms)).status(), StatusCode::kDeadlineExceeded, "queue q");
    return absl::OkStatus();
  });
}

TEST_P(Sync, AQueueKeepsTheOrderOfItemsAndOfThoseInLine) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Queue<int> queue(env.tasks, "q", 3);
    Numbers popped;
    return WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(SpawnWaiters(env, scope, 10, [&](int i) { found.Ok(queue.Push(i)); }));
      found.Equal(queue.size(), size_t{3});
      for (int i = 0; i < 10; ++i) {
        ASSIGN_OR_RETURN(const int item, queue.Pop(env.Deadline(10s)));
        popped.push_back(item);
      }
      found.Equal(popped, Numbers({0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
      // And the other way round.
      std::vector<std::pair<int, int>> got;
      RETURN_IF_ERROR(SpawnWaiters(env, scope, 5, [&](int i) {
        const absl::StatusOr<int> item = queue.Pop();
        if (found.Ok(item)) got.emplace_back(i, *item);
      }));
      for (int i = 0; i < 5; ++i) RETURN_IF_ERROR(queue.Push(100 + i));
      scope.Join();
      found.Equal(got, std::vector<std::pair<int, int>>(
                           {{0, 100}, {1, 101}, {2, 102}, {3, 103}, {4, 104}}));
      return absl::OkStatus();
    });
  });
}

TEST_P(Sync, AClosedQueueGivesOutWhatItHolds) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Queue<int> queue(env.tasks, "q", 2);
    return WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      int refused = 0;
      RETURN_IF_ERROR(queue.Push(1));
      RETURN_IF_ERROR(queue.Push(2));
      RETURN_IF_ERROR(SpawnWaiters(env, scope, 2, [&](int) {
        refused += found.Error(queue.Push(3), StatusCode::kFailedPrecondition, "queue q is closed");
      }));
      queue.Close();
      scope.Join();
      found.Equal(refused, 2);
      found.Equal(queue.Pop().value_or(0), 1);
      found.Equal(queue.TryPop().value_or(0), 2);
      found.Code(queue.Pop(), StatusCode::kOutOfRange);
      found.Code(queue.Push(4), StatusCode::kFailedPrecondition);
      return absl::OkStatus();
    });
  });
}

TEST_P(Sync, CloseWakesWhoWaitsForItems) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Queue<int> queue(env.tasks, "q", 2);
    int ended = 0;
    return WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(SpawnWaiters(
          env, scope, 3, [&](int) { ended += found.Code(queue.Pop(), StatusCode::kOutOfRange); }));
      queue.Close();
      scope.Join();
      found.Equal(ended, 3);
      return absl::OkStatus();
    });
  });
}

TEST_P(Sync, ACancelInLineLosesNoItemAndNoWake) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    for (const int victims_first : {0, 1, 3}) {
      io::Queue<int> queue(env.tasks, "q", 1);
      Numbers got;
      const absl::Status status =
          WithScope(env, "survivors", [&](Scope& survivors) -> absl::Status {
            return WithScope(env, "victims", [&](Scope& victims) -> absl::Status {
              const auto pop = [&](int) {
                const absl::StatusOr<int> item = queue.Pop();
                if (item.ok()) got.push_back(*item);
              };
              RETURN_IF_ERROR(SpawnWaiters(env, victims, victims_first, pop));
              RETURN_IF_ERROR(SpawnWaiters(env, survivors, 2, pop));
              RETURN_IF_ERROR(SpawnWaiters(env, victims, 2, pop));
              RETURN_IF_ERROR(queue.Push(1));  // wakes the first in line
              victims.Cancel();
              victims.Join();
              RETURN_IF_ERROR(queue.Push(2, env.Deadline(10s)));
              found.Equal(survivors.Join(env.Deadline(10s)), Wake::kUnparked);
              return absl::OkStatus();
            });
          });
      RETURN_IF_ERROR(status);
      found.Equal(got, Numbers({1, 2}));
    }
    return absl::OkStatus();
  });
}

TEST_P(Sync, ItemsThatOnlyMoveMove) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Mailbox<std::unique_ptr<int>> mailbox(env.tasks, "m", 1, io::kControl);
    found.Ok(mailbox.Send(std::make_unique<int>(7)));
    ASSIGN_OR_RETURN(const std::unique_ptr<int> item, mailbox.Receive());
    found.Equal(*item, 7);
    // What could not be sent is still the sender's.
    auto one = std::make_unique<int>(1);
    auto two = std::make_unique<int>(2);
    found.True(mailbox.TrySend(one), "room");
    found.True(!mailbox.TrySend(two), "full");
    found.True(one == nullptr && two != nullptr, "moved only if sent");
    return absl::OkStatus();
  });
}

TEST_P(Sync, AMailboxIsReceivedFromByItsOwnerOnly) {
  EXPECT_DEATH(Conform(GetParam(),
                       [](io::Env& env, Found&) -> absl::Status {
                         ASSIGN_OR_RETURN(const io::Executor slot,
                                          env.tasks.AddExecutor({.name = "slot 0"}));
                         io::Mailbox<int> mailbox(env.tasks, "jobs", 1, slot);
                         RETURN_IF_ERROR(mailbox.Send(1));
                         (void)mailbox.TryReceive();
                         return absl::OkStatus();
                       }),
               "mailbox jobs belongs to another executor");
}

TEST_P(Sync, ASenderOnAnotherExecutorWaitsForRoomAndSeesTheClose) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const io::Executor slot, env.tasks.AddExecutor({.name = "slot 0"}));
    io::Mailbox<int> mailbox(env.tasks, "m", 2, io::kControl);
    Scope scope(env.tasks, "there", slot);
    std::vector<absl::Status> sent;
    RETURN_IF_ERROR(scope.Spawn("sender", [&] {
      for (int i = 0; i < 10 && (sent.empty() || sent.back().ok()); ++i)
        sent.push_back(mailbox.Send(i));
    }));
    for (int i = 0; i < 3; ++i) found.Equal(mailbox.Receive(env.Deadline(10s)).value_or(-1), i);
    env.Sleep(20ms);
    mailbox.Close();
    found.Equal(scope.Join(env.Deadline(10s)), Wake::kUnparked);
    // Three were received, two lie in the mailbox, the sixth was refused.
    if (found.Equal(sent.size(), size_t{6}))
      found.Code(sent.back(), StatusCode::kFailedPrecondition);
    found.Equal(mailbox.TryReceive().value_or(-1), 3);
    found.Equal(mailbox.TryReceive().value_or(-1), 4);
    found.Code(mailbox.Receive(), StatusCode::kOutOfRange);
    return absl::OkStatus();
  });
}

// ----------------------------------------------------------------------------------------- any

TEST_P(Sync, WaitAnyTellsWhichIsReadyAndTakesNothing) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Event event(env.tasks, "e");
    io::Queue<int> queue(env.tasks, "q", 2);
    io::Mailbox<int> mailbox(env.tasks, "m", 2, io::kControl);
    const auto wait = [&](io::Duration patience) {
      return io::WaitAny(env.tasks, {&event, &queue, &mailbox}, env.Deadline(patience));
    };
    found.Error(wait(1ms).status(), StatusCode::kDeadlineExceeded, "event e, queue q, mailbox m");
    RETURN_IF_ERROR(mailbox.Send(1));
    found.Equal(wait(1ms).value_or(99), size_t{2});
    RETURN_IF_ERROR(queue.Push(1));
    found.Equal(wait(1ms).value_or(99), size_t{1});
    event.Set();
    found.Equal(wait(1ms).value_or(99), size_t{0});
    event.Reset();
    found.Equal(queue.TryPop().value_or(0), 1);
    found.Equal(mailbox.TryReceive().value_or(0), 1);
    found.Code(wait(1ms), StatusCode::kDeadlineExceeded);
    queue.Close();
    found.Equal(wait(1ms).value_or(99), size_t{1});  // the end is something to see
    return absl::OkStatus();
  });
}

TEST_P(Sync, WaitAnyIsWokenByEach) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Event event(env.tasks, "e");
    io::Queue<int> queue(env.tasks, "q", 2);
    io::Mailbox<int> mailbox(env.tasks, "m", 2, io::kControl);
    return WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      for (size_t which = 0; which < 3; ++which) {
        size_t got = 99;
        RETURN_IF_ERROR(SpawnWaiters(env, scope, 1, [&](int) {
          got = io::WaitAny(env.tasks, {&event, &queue, &mailbox}, env.Deadline(10s)).value_or(98);
        }));
        env.Sleep(100us);
        if (which == 0) event.Set();
        if (which == 1) RETURN_IF_ERROR(queue.Push(1));
        if (which == 2) RETURN_IF_ERROR(mailbox.Send(1));
        scope.Join();
        found.Equal(got, which);
        event.Reset();
        (void)queue.TryPop();
      }
      return absl::OkStatus();
    });
  });
}

TEST_P(Sync, WaitAnyThatIsCancelledPassesItsWakeOn) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    io::Queue<int> queue(env.tasks, "q", 2);
    io::Event never(env.tasks, "never");
    return WithScope(env, "survivors", [&](Scope& survivors) -> absl::Status {
      return WithScope(env, "victims", [&](Scope& victims) -> absl::Status {
        RETURN_IF_ERROR(SpawnWaiters(env, victims, 1, [&](int) {
          (void)io::WaitAny(env.tasks, {&never, &queue});
        }));
        int got = 0;
        RETURN_IF_ERROR(SpawnWaiters(
            env, survivors, 1, [&](int) { got = queue.Pop(env.Deadline(10s)).value_or(-1); }));
        RETURN_IF_ERROR(queue.Push(5));
        victims.Cancel();
        survivors.Join();
        found.Equal(got, 5);
        return absl::OkStatus();
      });
    });
  });
}

// A random mix of everything, against what must hold of it: nothing lost, nothing twice, each
// sender's items in order.
TEST_P(Sync, ManySendersReceiversDeadlinesAndCancelsKeepEveryItem) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    constexpr int kSenders = 4;
    constexpr int kItems = 200;
    base::Random random = env.random.Fork("test");
    io::Queue<std::pair<int, int>> queue(env.tasks, "q", 3);
    std::vector<Numbers> got(kSenders);
    const absl::Status status = WithScope(env, "senders", [&](Scope& senders) -> absl::Status {
      for (int s = 0; s < kSenders; ++s) {
        RETURN_IF_ERROR(senders.Spawn("sender", [&, s] {
          base::Random mine = random.Fork(static_cast<uint64_t>(s));
          for (int i = 0; i < kItems;) {
            if (queue.Push({s, i}, env.Deadline(mine.Between(0us, 200us))).ok()) ++i;
            if (mine.Chance({1, 8})) env.Sleep(mine.Between(1us, 50us));
          }
        }));
      }
      const auto take = [&](const std::pair<int, int>& item) {
        got[static_cast<size_t>(item.first)].push_back(item.second);
      };
      // Receivers that are cancelled again and again.
      while (senders.Join(env.Deadline(1us)) != Wake::kUnparked) {
        RETURN_IF_ERROR(WithScope(env, "receivers", [&](Scope& receivers) -> absl::Status {
          for (int r = 0; r < 3; ++r) {
            RETURN_IF_ERROR(receivers.Spawn("receiver", [&, r] {
              for (;;) {
                if (r == 0) (void)io::WaitAny(env.tasks, {&queue});
                const auto item = r == 0 ? queue.TryPop() : std::nullopt;
                if (item.has_value()) take(*item);
                const auto popped = queue.Pop(env.Deadline(100us));
                if (popped.ok()) take(*popped);
              }
            }));
          }
          env.Sleep(random.Between(1us, 300us));
          return absl::OkStatus();
        }));
      }
      while (const auto item = queue.TryPop()) take(*item);
      return absl::OkStatus();
    });
    Numbers expected;
    for (int i = 0; i < kItems; ++i) expected.push_back(i);
    for (const Numbers& numbers : got)
      found.True(numbers == expected, "every item once and in order");
    return status;
  });
}

}  // namespace
}  // namespace weir::tests
