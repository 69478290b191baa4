// The chapter of tasks (engine/io/tasks.h, scope.h): waiting, cancelling and ending, in both
// worlds.

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <exception>
#include <memory>
#include <stdexcept>

#include "engine/base/status_macros.h"
#include "engine/io/scope.h"
#include "engine/io/sync.h"
#include "tests/conformance/worlds.h"

namespace weir::tests {
namespace {

using namespace std::chrono_literals;
using io::Scope;
using io::Wake;
using io::WithScope;

WEIR_CONFORMANCE(Tasks);

// Parks until the end of the task.
void WaitForTheEnd(io::Env& env) {
  for (;;) env.tasks.Park(base::kForever, {"the end"});
}

// Counts the tasks that are about to wait. From any executor.
class Begun {
 public:
  explicit Begun(io::Env& env) : env_(env) {}
  void One() { ++count_; }
  void WaitFor(int count) const {
    while (count_ < count) env_.Sleep(100us);
  }

 private:
  io::Env& env_;
  std::atomic<int> count_{0};
};

// Appends `mark` to `to` when its frame ends.
struct AtEnd {
  std::vector<int>& to;
  int mark;
  ~AtEnd() { to.push_back(mark); }
};

TEST_P(Tasks, AScopeRunsItsTasksAndWaitsForThem) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    int sum = 0;
    const absl::Status status = WithScope(env, "adders", [&](Scope& scope) -> absl::Status {
      for (int i = 1; i <= 100; ++i) {
        RETURN_IF_ERROR(scope.Spawn("adder", [&sum, &env, i] {
          env.tasks.Yield();
          sum += i;
        }));
      }
      found.Equal(sum, 0);  // a spawn does not run the task
      found.Equal(scope.Join(), Wake::kUnparked);
      return absl::OkStatus();
    });
    found.Equal(sum, 5050);
    return status;
  });
}

TEST_P(Tasks, KnowTheirNameAndExecutor) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    found.True(bool(env.tasks.Current()), "the program is a task");
    found.Equal(env.tasks.CurrentExecutor(), io::kControl);
    return WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("reader 7", [&] {
        found.Equal(env.tasks.CurrentName(), std::string_view("reader 7"));
        found.Equal(env.tasks.CurrentExecutor(), io::kControl);
      }));
      scope.Join();
      return absl::OkStatus();
    });
  });
}

TEST_P(Tasks, AnUnparkBeforeTheParkIsNotLost) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    env.tasks.Unpark(env.tasks.Current());
    found.Equal(env.tasks.Park(env.Deadline(5s), {"the token"}), Wake::kUnparked);
    // There is one token, however many calls.
    env.tasks.Unpark(env.tasks.Current());
    env.tasks.Unpark(env.tasks.Current());
    found.Equal(env.tasks.Park(env.Deadline(5s), {"the token"}), Wake::kUnparked);
    found.Equal(env.tasks.Park(env.Deadline(2ms), {"nothing"}), Wake::kTimeout);
    return absl::OkStatus();
  });
}

TEST_P(Tasks, TwoTasksTakeTurns) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    std::string said;
    const io::TaskRef ping = env.tasks.Current();
    bool turn = false;
    const absl::Status status = WithScope(env, "turns", [&](Scope& scope) -> absl::Status {
      io::TaskRef pong;
      RETURN_IF_ERROR(scope.Spawn("pong", [&] {
        pong = env.tasks.Current();
        for (;;) {
          while (!turn) env.tasks.Park(base::kForever, {"turn"});
          said += "o";
          turn = false;
          env.tasks.Unpark(ping);
        }
      }));
      while (!pong) env.tasks.Yield();
      for (int i = 0; i < 50; ++i) {
        said += "i";
        turn = true;
        env.tasks.Unpark(pong);
        while (turn) env.tasks.Park(base::kForever, {"turn"});
      }
      return absl::OkStatus();
    });
    std::string expected;
    for (int i = 0; i < 50; ++i) expected += "io";
    found.Equal(said, expected);
    return status;
  });
}

TEST_P(Tasks, AnUnparkOfATaskThatEndedWakesNobody) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    return WithScope(env, "lives", [&](Scope& scope) -> absl::Status {
      io::TaskRef old;
      RETURN_IF_ERROR(scope.Spawn("old", [&] { old = env.tasks.Current(); }));
      scope.Join();
      // The next task may well live where the old one did.
      Wake wake = Wake::kCancelled;
      RETURN_IF_ERROR(
          scope.Spawn("new", [&] { wake = env.tasks.Park(env.Deadline(20ms), {"nothing"}); }));
      env.tasks.Yield();
      env.tasks.Unpark(old);
      scope.Join();
      found.Equal(wake, Wake::kTimeout);
      return absl::OkStatus();
    });
  });
}

TEST_P(Tasks, JoinHasADeadline) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    return WithScope(env, "long", [&](Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("long", [&] { WaitForTheEnd(env); }));
      found.Equal(scope.Join(env.Deadline(5ms)), Wake::kTimeout);
      scope.Cancel();
      found.Equal(scope.Join(env.Deadline(5s)), Wake::kUnparked);
      return absl::OkStatus();
    });
  });
}

TEST_P(Tasks, CancelEndsTasksOneByOneYoungestFirst) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    std::vector<int> order;
    Begun begun(env);
    const absl::Status status = WithScope(env, "victims", [&](Scope& scope) -> absl::Status {
      for (int i = 0; i < 10; ++i) {
        RETURN_IF_ERROR(scope.Spawn("victim", [&, i] {
          const AtEnd at_end{order, i};
          begun.One();
          WaitForTheEnd(env);
        }));
      }
      begun.WaitFor(10);
      scope.Cancel();
      scope.Join();
      return absl::OkStatus();
    });
    found.Equal(order, std::vector<int>({9, 8, 7, 6, 5, 4, 3, 2, 1, 0}));
    return status;
  });
}

TEST_P(Tasks, ATaskThatNeverRanEndsWithItsScopeAndFreesWhatItHolds) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    const auto held = std::make_shared<int>(1);
    bool ran = false;
    const absl::Status status = WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("never", [held, &ran] { ran = true; }));
      scope.Cancel();
      return absl::OkStatus();
    });
    found.True(!ran, "it did not run");
    found.Equal(held.use_count(), 1);
    return status;
  });
}

TEST_P(Tasks, ACancelledScopeTakesNoMoreTasks) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    return WithScope(env, "closed", [&](Scope& scope) -> absl::Status {
      scope.Cancel();
      found.Error(scope.Spawn("late", [] {}), absl::StatusCode::kCancelled, "\"closed\"");
      return absl::OkStatus();
    });
  });
}

TEST_P(Tasks, AChildMayUseItsParentsFrame) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    std::vector<std::string> seen;
    Begun begun(env);
    const absl::Status status = WithScope(env, "parents", [&](Scope& scope) -> absl::Status {
      for (int p = 0; p < 3; ++p) {
        RETURN_IF_ERROR(scope.Spawn("parent", [&, p] {
          std::vector<std::string> words = {"of", "parent", std::to_string(p)};
          const absl::Status children =
              WithScope(env, "children", [&](Scope& inner) -> absl::Status {
                for (int c = 0; c < 5; ++c) {
                  RETURN_IF_ERROR(inner.Spawn("child", [&words, &env, &begun, c] {
                    struct Touch {
                      std::vector<std::string>& words;
                      int c;
                      ~Touch() { words.push_back(std::to_string(c)); }
                    } touch{words, c};
                    begun.One();
                    WaitForTheEnd(env);
                  }));
                }
                struct See {
                  std::vector<std::string>& words;
                  std::vector<std::string>& seen;
                  ~See() { seen.push_back(words.back()); }
                } see{words, seen};
                begun.One();
                WaitForTheEnd(env);
                return absl::OkStatus();
              });
        }));
      }
      begun.WaitFor(3 * 6);
      return absl::OkStatus();
    });
    // Every child was gone, the oldest last, before its parent's frame began to go.
    found.Equal(seen, std::vector<std::string>({"0", "0", "0"}));
    return status;
  });
}

TEST_P(Tasks, ScopesEndFromTheInside) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    std::vector<int> order;
    Begun begun(env);
    const absl::Status status = WithScope(env, "outer", [&](Scope& outer) -> absl::Status {
      RETURN_IF_ERROR(outer.Spawn("level 1", [&] {
        const AtEnd end1{order, 1};
        const absl::Status ignored = WithScope(env, "middle", [&](Scope& middle) -> absl::Status {
          RETURN_IF_ERROR(middle.Spawn("level 2", [&] {
            const AtEnd end2{order, 2};
            const absl::Status also = WithScope(env, "inner", [&](Scope& inner) -> absl::Status {
              RETURN_IF_ERROR(inner.Spawn("level 3", [&] {
                const AtEnd end3{order, 3};
                begun.One();
                WaitForTheEnd(env);
              }));
              WaitForTheEnd(env);
              return absl::OkStatus();
            });
          }));
          WaitForTheEnd(env);
          return absl::OkStatus();
        });
      }));
      begun.WaitFor(1);
      return absl::OkStatus();
    });
    found.Equal(order, std::vector<int>({3, 2, 1}));
    return status;
  });
}

TEST_P(Tasks, ACancelDuringACancelIsHarmless) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    int ended = 0;
    Begun begun(env);
    const absl::Status status = WithScope(env, "outer", [&](Scope& outer) -> absl::Status {
      RETURN_IF_ERROR(outer.Spawn("parent", [&] {
        const absl::Status ignored = WithScope(env, "inner", [&](Scope& inner) -> absl::Status {
          for (int i = 0; i < 4; ++i) {
            RETURN_IF_ERROR(inner.Spawn("child", [&] {
              struct Count {
                int& ended;
                ~Count() { ++ended; }
              } count{ended};
              begun.One();
              WaitForTheEnd(env);
            }));
          }
          begun.WaitFor(4);
          inner.Cancel();
          outer.Cancel();
          outer.Cancel();
          inner.Cancel();
          WaitForTheEnd(env);
          return absl::OkStatus();
        });
      }));
      outer.Join();
      return absl::OkStatus();
    });
    found.Equal(ended, 4);
    return status;
  });
}

TEST_P(Tasks, EveryCallThatWaitsEndsWithTheTask) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    int past = 0;
    const absl::Status status = WithScope(env, "waiters", [&](Scope& scope) -> absl::Status {
      const std::vector<std::function<void()>> waits = {
          [&] { env.Sleep(1h); },
          [&] { env.tasks.Park(base::kForever, {"nothing"}); },
          [&] { (void)env.signals.WaitForTermination(base::kForever); },
          [&] {
            const auto listener = env.network.Listen({"127.0.0.1", 0});
            if (listener.ok()) (void)(*listener)->Accept(base::kForever);
          },
          [&] {
            const auto listener = env.network.Listen({"127.0.0.1", 0});
            if (!listener.ok()) return;
            const auto stream = env.network.Connect((*listener)->address(), base::kForever);
            char byte = 0;
            if (stream.ok()) (void)(*stream)->Read(absl::MakeSpan(&byte, 1), base::kForever);
          },
          [&] {
            const auto listener = env.network.Listen({"127.0.0.1", 0});
            if (!listener.ok()) return;
            const auto stream = env.network.Connect((*listener)->address(), base::kForever);
            while (stream.ok() &&
                   (*stream)->Write(std::string(1 << 20, 'x'), base::kForever).ok()) {
            }
          },
          [&] {
            (void)WithScope(env, "inner", [&](Scope& inner) -> absl::Status {
              RETURN_IF_ERROR(inner.Spawn("sleeper", [&] { env.Sleep(1h); }));
              inner.Join();
              return absl::OkStatus();
            });
          },
      };
      for (const auto& wait : waits) {
        RETURN_IF_ERROR(scope.Spawn("waiter", [&past, wait] {
          wait();
          ++past;
        }));
      }
      env.Sleep(30ms);
      scope.Cancel();
      found.Equal(scope.Join(env.Deadline(10s)), Wake::kUnparked);
      return absl::OkStatus();
    });
    found.Equal(past, 0);
    return status;
  });
}

TEST_P(Tasks, EachTaskHasItsOwnException) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    std::vector<std::string> rethrown;
    const absl::Status status = WithScope(env, "catchers", [&](Scope& scope) -> absl::Status {
      for (const char* const name : {"A", "B", "C"}) {
        RETURN_IF_ERROR(scope.Spawn(name, [&, name] {
          try {
            try {
              throw std::runtime_error(name);
            } catch (const std::exception&) {
              env.Sleep(std::chrono::milliseconds('D' - name[0]));
              throw;
            }
          } catch (const std::exception& error) {
            rethrown.push_back(std::string(name) + " got " + error.what());
          }
        }));
      }
      scope.Join();
      return absl::OkStatus();
    });
    found.Equal(rethrown, std::vector<std::string>({"C got C", "B got B", "A got A"}));
    return status;
  });
}

TEST_P(Tasks, ACancelInsideOfACatchBlockKeepsTheOthersExceptions) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    std::vector<std::string> rethrown;
    int unwound = 0;
    const absl::Status status = WithScope(env, "catchers", [&](Scope& scope) -> absl::Status {
      return WithScope(env, "victims", [&](Scope& victims) -> absl::Status {
        for (int i = 0; i < 3; ++i) {
          RETURN_IF_ERROR(scope.Spawn("survivor", [&, i] {
            try {
              try {
                throw std::runtime_error("survivor " + std::to_string(i));
              } catch (const std::exception&) {
                env.Sleep(20ms);
                throw;
              }
            } catch (const std::exception& error) {
              rethrown.push_back(error.what());
            }
          }));
          RETURN_IF_ERROR(victims.Spawn("victim", [&] {
            struct Count {
              int& count;
              ~Count() { ++count; }
            } count{unwound};
            try {
              throw std::runtime_error("victim");
            } catch (const std::exception&) {
              WaitForTheEnd(env);
            }
          }));
        }
        env.Sleep(5ms);
        victims.Cancel();
        victims.Join();
        scope.Join();
        return absl::OkStatus();
      });
    });
    std::sort(rethrown.begin(), rethrown.end());
    found.Equal(rethrown, std::vector<std::string>({"survivor 0", "survivor 1", "survivor 2"}));
    found.Equal(unwound, 3);
    return status;
  });
}

TEST_P(Tasks, ADestructorThatWaitsIsToldToGoOn) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    std::vector<Wake> wakes;
    Begun begun(env);
    struct Waits {
      io::Env& env;
      std::vector<Wake>& wakes;
      ~Waits() {
        const io::NoThrowWaits no_throw(env.tasks);
        wakes.push_back(env.Sleep(std::chrono::hours(1)));
      }
    };
    const absl::Status status = WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      // In an unwind, twice over.
      RETURN_IF_ERROR(scope.Spawn("unwinds", [&] {
        const Waits outer{env, wakes};
        const Waits inner{env, wakes};
        begun.One();
        WaitForTheEnd(env);
      }));
      // In the normal course; the cancel comes while it waits.
      RETURN_IF_ERROR(scope.Spawn("returns", [&] {
        const Waits waits{env, wakes};
        begun.One();
      }));
      begun.WaitFor(2);
      return absl::OkStatus();
    });
    found.Equal(wakes, std::vector<Wake>({Wake::kCancelled, Wake::kCancelled, Wake::kCancelled}));
    return status;
  });
}

TEST_P(Tasks, AWaitInAnUnwindNeedsNoScopeToBeToldToGoOn) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    std::vector<Wake> wakes;
    Begun begun(env);
    const absl::Status status = WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("unwinds", [&] {
        struct Waits {
          io::Env& env;
          std::vector<Wake>& wakes;
          ~Waits() { wakes.push_back(env.Sleep(1h)); }
        } waits{env, wakes};
        begun.One();
        WaitForTheEnd(env);
      }));
      begun.WaitFor(1);
      return absl::OkStatus();
    });
    found.Equal(wakes, std::vector<Wake>({Wake::kCancelled}));
    return status;
  });
}

TEST_P(Tasks, AnExceptionThatLeavesAScopesBodyWaitsForTheTasksFirst) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    bool gone = false;
    Begun begun(env);
    try {
      (void)WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
        RETURN_IF_ERROR(scope.Spawn("child", [&] {
          struct Gone {
            bool& gone;
            ~Gone() { gone = true; }
          } at_end{gone};
          begun.One();
          WaitForTheEnd(env);
        }));
        begun.WaitFor(1);
        throw std::runtime_error("of the body");
      });
      found.Fail("it did not throw");
    } catch (const std::runtime_error& error) {
      found.Equal(std::string(error.what()), std::string("of the body"));
      found.True(gone, "the child was gone");
    }
    return absl::OkStatus();
  });
}

TEST_P(Tasks, AnExceptionThatLeavesATaskFailsTheProcessByItsName) {
  ConformError(
      GetParam(), absl::StatusCode::kInternal, "\"thrower\" died of an exception: out of luck",
      [](io::Env& env, Found&) {
        return WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
          RETURN_IF_ERROR(scope.Spawn("thrower", [] { throw std::runtime_error("out of luck"); }));
          WaitForTheEnd(env);
          return absl::OkStatus();
        });
      });
}

TEST_P(Tasks, ATaskThatRefusesToEndIsGivenUpByName) {
  const LeaksAreExpected leaks;
  ConformError(GetParam(), absl::StatusCode::kInternal,
               "\"stubborn\" was cancelled and refused to end 1000 times",
               [](io::Env& env, Found&) {
                 return WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
                   Begun begun(env);
                   RETURN_IF_ERROR(scope.Spawn("stubborn", [&] {
                     begun.One();
                     for (uint64_t refused = 0;; ++refused) {
                       try {
                         env.tasks.Park(base::kForever, {"nothing"});
                       } catch (...) {
                         if (refused > 10'000) throw;  // given up long before
                       }
                     }
                   }));
                   begun.WaitFor(1);
                   return absl::OkStatus();
                 });
               });
}

TEST_P(Tasks, ALoopThatIgnoresKCancelledIsGivenUpByName) {
  const LeaksAreExpected leaks;
  ConformError(GetParam(), absl::StatusCode::kInternal,
               "\"deaf\" was cancelled and refused to end 1000 times", [](io::Env& env, Found&) {
                 return WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
                   Begun begun(env);
                   RETURN_IF_ERROR(scope.Spawn("deaf", [&] {
                     const io::NoThrowWaits no_throw(env.tasks);
                     begun.One();
                     WaitForTheEnd(env);
                   }));
                   begun.WaitFor(1);
                   return absl::OkStatus();
                 });
               });
}

TEST_P(Tasks, NothingParksUnderForeignFrames) {
  EXPECT_DEATH(Conform(GetParam(),
                       [](io::Env& env, Found&) {
                         const io::ForeignFrame frame(env.tasks, "RocksDB");
                         env.Sleep(1ms);
                         return absl::OkStatus();
                       }),
               "waits for sleep .*under RocksDB: nothing may park under user code or a library");
}

TEST_P(Tasks, NothingYieldsUnderForeignFrames) {
  EXPECT_DEATH(Conform(GetParam(),
                       [](io::Env& env, Found&) {
                         const io::ForeignFrame frame(env.tasks, "user code");
                         env.tasks.Yield();
                         return absl::OkStatus();
                       }),
               "yields under user code");
}

TEST_P(Tasks, MayParkAgainAfterForeignFrames) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    { const io::ForeignFrame frame(env.tasks, "user code"); }
    found.Equal(env.Sleep(1us), Wake::kTimeout);
    return absl::OkStatus();
  });
}

TEST_P(Tasks, AScopeThatEndsBeforeItsTasksIsABug) {
  EXPECT_DEATH(Conform(GetParam(),
                       [](io::Env& env, Found&) {
                         Scope scope(env.tasks, "forgetful");
                         CHECK_OK(scope.Spawn("left behind", [&] { WaitForTheEnd(env); }));
                         return absl::OkStatus();
                       }),
               "scope \"forgetful\" ends while its tasks run");
}

TEST_P(Tasks, YieldLetsTheOthersRunAndTimersFire) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    std::array<int, 4> turns{};
    bool fired = false;
    const absl::Status status = WithScope(env, "yielders", [&](Scope& scope) -> absl::Status {
      for (size_t i = 0; i < turns.size(); ++i) {
        RETURN_IF_ERROR(scope.Spawn("yielder", [&, i] {
          for (;;) {
            ++turns[i];
            env.tasks.Charge(1us);
            env.tasks.Yield();
          }
        }));
      }
      env.Sleep(2ms);  // ends although somebody is always ready
      fired = true;
      return absl::OkStatus();
    });
    found.True(fired, "the timer fired");
    const auto [least, most] = std::minmax_element(turns.begin(), turns.end());
    found.True(*least > 0 && *most < 20 * *least, "everybody had a fair part of the turns");
    return status;
  });
}

TEST_P(Tasks, OffloadRunsTheWorkAndComesBack) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    int result = 0;
    env.tasks.Offload("sum", [&] {
      for (int i = 1; i <= 1000; ++i) result += i;
    });
    found.Equal(result, 500500);
    return absl::OkStatus();
  });
}

TEST_P(Tasks, ManyTasksOffloadAtOnce) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    std::array<uint64_t, 50> results{};
    const absl::Status status = WithScope(env, "offloaders", [&](Scope& scope) -> absl::Status {
      for (size_t i = 0; i < results.size(); ++i) {
        RETURN_IF_ERROR(scope.Spawn("offloader", [&, i] {
          for (int round = 0; round < 10; ++round)
            env.tasks.Offload("add", [&] { results[i] += i; });
        }));
      }
      scope.Join();
      return absl::OkStatus();
    });
    for (size_t i = 0; i < results.size(); ++i) found.Equal(results[i], 10 * i);
    return status;
  });
}

TEST_P(Tasks, ACancelDuringOffloadWaitsForTheWork) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    bool begun = false;
    bool done = false;
    bool past = false;
    const absl::Status status = WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn("offloader", [&] {
        begun = true;
        env.tasks.Offload("slow work", [&] {
          const auto file = env.disk.Open("work", io::OpenMode::kOverwrite);
          for (int i = 0; file.ok() && i < 5; ++i) {
            if (!(*file)->Append(std::string(4096, 'w')).ok() || !(*file)->Sync().ok()) return;
          }
          done = true;
        });
        past = true;
      }));
      while (!begun) env.tasks.Yield();
      scope.Cancel();
      scope.Join();
      found.True(done, "the work was done when the task was gone");
      return absl::OkStatus();
    });
    found.True(!past, "the task did not go on");
    return status;
  });
}

TEST_P(Tasks, ExecutorsHaveNumbersOfTheirOwn) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const io::Executor one, env.tasks.AddExecutor({.name = "slot 0"}));
    ASSIGN_OR_RETURN(const io::Executor two, env.tasks.AddExecutor({.name = "slot 1"}));
    found.True(one != two && one != io::kControl && two != io::kControl && one && two,
               "they differ");
    std::vector<io::Executor> seen;
    for (const io::Executor executor : {one, two}) {
      io::Executor got;
      Scope scope(env.tasks, "there", executor);
      RETURN_IF_ERROR(scope.Spawn("there", [&] { got = env.tasks.CurrentExecutor(); }));
      scope.Join();
      seen.push_back(got);
    }
    found.Equal(seen, std::vector<io::Executor>({one, two}));
    return absl::OkStatus();
  });
}

TEST_P(Tasks, MailboxesCrossBetweenExecutors) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const io::Executor slot, env.tasks.AddExecutor({.name = "slot 0"}));
    io::Mailbox<int> requests(env.tasks, "requests", 3, slot);
    io::Mailbox<int> answers(env.tasks, "answers", 2, io::kControl);
    Scope scope(env.tasks, "slot", slot);
    RETURN_IF_ERROR(scope.Spawn("doubler", [&] {
      for (;;) {
        const absl::StatusOr<int> request = requests.Receive();
        if (!request.ok()) break;
        if (!answers.Send(2 * *request).ok()) break;
      }
      answers.Close();
    }));
    int64_t sum = 0;
    const absl::Status status = WithScope(env, "here", [&](Scope& here) -> absl::Status {
      RETURN_IF_ERROR(here.Spawn("sender", [&] {
        for (int i = 1; i <= 2000; ++i) found.Ok(requests.Send(i));
        requests.Close();
      }));
      int expected = 2;
      for (;;) {
        const absl::StatusOr<int> answer = answers.Receive();
        if (!answer.ok()) {
          found.Code(answer, absl::StatusCode::kOutOfRange);
          break;
        }
        found.Equal(*answer, expected);
        expected += 2;
        sum += *answer;
      }
      return absl::OkStatus();
    });
    scope.Join();
    found.Equal(sum, 2 * 2000 * 2001 / 2);
    return status;
  });
}

TEST_P(Tasks, ManyExecutorsSendToOneMailbox) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    constexpr int kExecutors = 3;
    constexpr int kItems = 500;
    io::Mailbox<int> inbox(env.tasks, "inbox", 4, io::kControl);
    std::vector<std::unique_ptr<Scope>> scopes;
    for (int e = 0; e < kExecutors; ++e) {
      ASSIGN_OR_RETURN(const io::Executor slot, env.tasks.AddExecutor({.name = "slot"}));
      scopes.push_back(std::make_unique<Scope>(env.tasks, "slot", slot));
      for (int t = 0; t < 2; ++t) {
        RETURN_IF_ERROR(scopes.back()->Spawn("sender", [&inbox, &found] {
          for (int i = 1; i <= kItems; ++i) found.Ok(inbox.Send(i));
        }));
      }
    }
    int64_t sum = 0;
    for (int i = 0; i < 2 * kExecutors * kItems; ++i) {
      const absl::StatusOr<int> item = inbox.Receive(env.Deadline(20s));
      if (!found.Ok(item)) break;
      sum += *item;
    }
    for (const auto& scope : scopes) {
      scope->Cancel();
      scope->Join();
    }
    found.Equal(sum, int64_t{2} * kExecutors * kItems * (kItems + 1) / 2);
    return absl::OkStatus();
  });
}

TEST_P(Tasks, TheTasksOfAnotherExecutorEndBeforeTheFrameThatOpenedTheirScope) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const io::Executor slot, env.tasks.AddExecutor({.name = "slot 0"}));
    std::vector<std::string> seen;
    Begun begun(env);
    const absl::Status status = WithScope(env, "openers", [&](Scope& openers) -> absl::Status {
      RETURN_IF_ERROR(openers.Spawn("opener", [&] {
        std::vector<std::string> frame = {"opened"};
        struct See {
          std::vector<std::string>& frame;
          std::vector<std::string>& seen;
          ~See() { seen = frame; }
        } see{frame, seen};
        Scope there(env.tasks, "there", slot);
        io::Mailbox<int> up(env.tasks, "up", 1, io::kControl);
        found.Ok(there.Spawn("remote", [&] {
          struct Touch {
            std::vector<std::string>& frame;
            ~Touch() { frame.push_back("remote gone"); }
          } touch{frame};
          found.Ok(up.Send(1));
          WaitForTheEnd(env);
        }));
        found.Ok(up.Receive());
        begun.One();
        WaitForTheEnd(env);
      }));
      begun.WaitFor(1);
      openers.Cancel();
      found.Equal(openers.Join(env.Deadline(10s)), Wake::kUnparked);
      return absl::OkStatus();
    });
    found.Equal(seen, std::vector<std::string>({"opened", "remote gone"}));
    return status;
  });
}

TEST_P(Tasks, AScopeOnAnotherExecutorIsCancelledAndJoinedFromHere) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const io::Executor slot, env.tasks.AddExecutor({.name = "slot 0"}));
    std::vector<int> order;
    for (int round = 0; round < 20; ++round) {
      order.clear();
      Begun begun(env);
      Scope scope(env.tasks, "there", slot);
      for (int i = 0; i < 3; ++i) {
        RETURN_IF_ERROR(scope.Spawn("victim", [&, i] {
          const AtEnd at_end{order, i};
          begun.One();
          WaitForTheEnd(env);
        }));
      }
      if (round % 2 == 0) begun.WaitFor(3);
      scope.Cancel();
      found.Error(scope.Spawn("late", [] {}), absl::StatusCode::kCancelled, "there");
      found.Equal(scope.Join(env.Deadline(10s)), Wake::kUnparked);
      // Those that had begun to run ended in order; the others never ran.
      if (round % 2 == 0) found.Equal(order, std::vector<int>({2, 1, 0}));
    }
    return absl::OkStatus();
  });
}

TEST_P(Tasks, UnparkCrossesExecutors) {
  Conform(GetParam(), [](io::Env& env, Found& found) -> absl::Status {
    ASSIGN_OR_RETURN(const io::Executor slot, env.tasks.AddExecutor({.name = "slot 0"}));
    const io::TaskRef here = env.tasks.Current();
    std::atomic<int> turns{0};
    Scope scope(env.tasks, "there", slot);
    std::atomic<bool> stop{false};
    RETURN_IF_ERROR(scope.Spawn("waker", [&] {
      while (!stop) {
        ++turns;
        env.tasks.Unpark(here);
        env.Sleep(10us);
      }
    }));
    while (turns < 100) found.Equal(env.tasks.Park(env.Deadline(10s), {"turns"}), Wake::kUnparked);
    stop = true;
    found.Equal(scope.Join(env.Deadline(10s)), Wake::kUnparked);
    return absl::OkStatus();
  });
}

TEST_P(Tasks, ThousandsOfTasksLiveAtOnce) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    int ran = 0;
    const absl::Status status = WithScope(env, "crowd", [&](Scope& scope) -> absl::Status {
      for (int i = 0; i < 2000; ++i) {
        RETURN_IF_ERROR(scope.Spawn("one of many", [&] {
          env.Sleep(5ms);
          ++ran;
        }));
      }
      scope.Join();
      return absl::OkStatus();
    });
    found.Equal(ran, 2000);
    return status;
  });
}

TEST_P(Tasks, ATaskGetsTheStackItAsksFor) {
  Conform(GetParam(), [](io::Env& env, Found& found) {
    size_t touched = 0;
    const absl::Status status = WithScope(env, "scope", [&](Scope& scope) -> absl::Status {
      RETURN_IF_ERROR(scope.Spawn({.name = "deep", .stack_bytes = 1 << 20}, [&] {
        volatile char frame[900 << 10];
        for (size_t i = 0; i < sizeof(frame); i += 4096) {
          frame[i] = 1;
          touched += static_cast<size_t>(frame[i]) * 4096;
        }
      }));
      scope.Join();
      return absl::OkStatus();
    });
    found.True(touched >= 900 << 10, "all of the frame was touched");
    return status;
  });
}

}  // namespace
}  // namespace weir::tests
