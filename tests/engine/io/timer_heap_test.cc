// The timer heap against a sorted set, over random histories.

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <vector>

#include "engine/io/scheduler.h"

namespace weir::io {
namespace {

// A world in which nothing happens: it lends its tasks to the heap under test.
class StillWorld final : public Scheduler {
 public:
  explicit StillWorld(size_t tasks) : group_(OpenGroup("tasks", kControl, nullptr, nullptr)) {
    for (size_t i = 0; i < tasks; ++i) EXPECT_TRUE(Spawn(group_, "task", 0, [] {}).ok());
    all_ = ready_;
  }
  ~StillWorld() override {
    RunTasks();
    CloseGroup(group_);
  }
  Task* task(size_t index) const { return all_[index]; }

  void Post(absl::AnyInvocable<void()> work) override { work(); }
  void UnparkFromAnywhere(TaskRef ref) override { Unpark(ref); }

 private:
  Task* PickNext() override {
    if (ready_.empty()) return nullptr;
    Task* const task = ready_.back();
    ready_.pop_back();
    return task;
  }
  void Ready(Task* task) override { ready_.push_back(task); }
  Monotonic Now() override { return Monotonic{}; }
  void OnTaskFailed(Task*, std::string reason) override { ADD_FAILURE() << reason; }

  TaskGroup* const group_;
  std::vector<Task*> ready_;
  std::vector<Task*> all_;
};

TEST(TimerHeap, EmptyIsForever) {
  const TimerHeap heap;
  EXPECT_TRUE(heap.empty());
  EXPECT_EQ(heap.next(), base::kForever);
}

TEST(TimerHeap, EqualDeadlinesComeInTheOrderOfTheirNumbers) {
  StillWorld world(5);
  TimerHeap heap;
  for (const size_t i : {3, 1, 4, 0, 2}) heap.Set(world.task(i), Monotonic(Duration(7)), i);
  for (size_t i = 0; i < 5; ++i) EXPECT_EQ(heap.Pop(), world.task(i));
  EXPECT_TRUE(heap.empty());
}

TEST(TimerHeap, ATaskHasOneEntry) {
  StillWorld world(1);
  TimerHeap heap;
  for (const int64_t at : {50, 10, 90}) heap.Set(world.task(0), Monotonic(Duration(at)), 1);
  EXPECT_EQ(heap.size(), 1u);
  EXPECT_EQ(heap.next(), Monotonic(Duration(90)));
  heap.Remove(world.task(0));
  heap.Remove(world.task(0));
  EXPECT_TRUE(heap.empty());
}

// Against the obvious model: an ordered set of (deadline, number, task).
RC_GTEST_PROP(properties_TimerHeap, BehavesAsAnOrderedSet, ()) {
  constexpr size_t kTasks = 24;
  StillWorld world(kTasks);
  TimerHeap heap;
  std::set<std::tuple<int64_t, uint64_t, size_t>> model;
  std::map<size_t, std::tuple<int64_t, uint64_t, size_t>> entry_of;
  uint64_t number = 0;
  const auto forget = [&](size_t index) {
    if (const auto it = entry_of.find(index); it != entry_of.end()) {
      model.erase(it->second);
      entry_of.erase(it);
    }
  };
  const int steps = *rc::gen::inRange(0, 200);
  for (int step = 0; step < steps; ++step) {
    const auto index = *rc::gen::inRange<size_t>(0, kTasks);
    const int action = *rc::gen::inRange(0, 10);
    if (action < 6) {
      const auto at = *rc::gen::inRange<int64_t>(0, 20);
      heap.Set(world.task(index), Monotonic(Duration(at)), ++number);
      forget(index);
      entry_of[index] = {at, number, index};
      model.insert(entry_of[index]);
    } else if (action < 8) {
      heap.Remove(world.task(index));
      forget(index);
    } else if (!model.empty()) {
      const auto [at, first_number, first] = *model.begin();
      RC_ASSERT(heap.Pop() == world.task(first));
      forget(first);
    }
    RC_ASSERT(heap.size() == model.size());
    RC_ASSERT(heap.empty() == model.empty());
    if (!model.empty()) {
      RC_ASSERT(heap.next() == Monotonic(Duration(std::get<0>(*model.begin()))));
      RC_ASSERT(heap.next_number() == std::get<1>(*model.begin()));
    }
  }
  while (!heap.empty()) heap.Pop();
}

}  // namespace
}  // namespace weir::io
