// Rules: what the decorators of this folder do to calls, controlled by a test while the calls go
// on. A rule says which calls (the decorator's part), from the how-manieth on and how often. Every
// call that matches is counted by each rule that it matches, and a rule knows how often it struck,
// so that a test can tell a fault that bit from one that never did.
//
// Rules may be added and removed from any task of any executor; calls that a rule holds back go on
// when it is removed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <deque>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/base/check.h"
#include "engine/base/ids.h"
#include "engine/base/spinlock.h"
#include "engine/io/clock.h"
#include "engine/io/tasks.h"

namespace weir::faults {

using RuleId = base::Id<struct RuleTag, uint32_t>;

// Of the calls that a rule matches: those from number `first` on, `times` of them. Decorators
// derive their rules from it.
struct Strikes {
  uint64_t first = 1;
  uint64_t times = 1;
  static constexpr uint64_t kAlways = UINT64_MAX;
};

// `pattern` with '*' for any number of characters; an empty pattern matches everything.
bool Matches(std::string_view pattern, std::string_view text);

template <typename Rule>
class RuleBook {
 public:
  RuleBook(io::Tasks& tasks, io::Clock& clock) : tasks_(tasks), clock_(clock) {}
  RuleBook(const RuleBook&) = delete;
  RuleBook& operator=(const RuleBook&) = delete;

  RuleId Add(const Rule& rule) {
    base::SpinHold hold(lock_);
    entries_.push_back({.rule = rule});
    return RuleId(static_cast<uint32_t>(entries_.size()));
  }
  void Remove(RuleId id) {
    std::vector<io::TaskRef> held;
    {
      base::SpinHold hold(lock_);
      Entry& entry = At(id);
      entry.removed = true;
      held = entry.held;
    }
    for (const io::TaskRef task : held) tasks_.Unpark(task);
  }
  void RemoveAll() {
    for (uint32_t id = 1; id <= Count(); ++id) Remove(RuleId(id));
  }
  // How many calls the rule has harmed.
  uint64_t strikes(RuleId id) const {
    base::SpinHold hold(lock_);
    return At(id).struck;
  }

  // ---- For decorators.

  // Shows every rule that is in force to `visit(id, rule, strike)`, in the order in which they were
  // added. `strike()` counts a call that the rule matches, and says whether it is harmed. Under a
  // lock: `visit` neither waits nor calls back.
  template <typename Visit>
  void ForEach(Visit visit) {
    base::SpinHold hold(lock_);
    for (uint32_t i = 0; i < entries_.size(); ++i) {
      Entry& entry = entries_[i];
      if (entry.removed) continue;
      visit(RuleId(i + 1), entry.rule, [&entry] {
        ++entry.seen;
        const bool due =
            entry.seen >= entry.rule.first && entry.seen - entry.rule.first < entry.rule.times;
        entry.struck += due ? 1 : 0;
        return due;
      });
    }
  }

  // Waits for so long. kUnparked: it is over; kTimeout: the deadline came first.
  io::Wake Delay(io::Duration delay, io::Monotonic deadline) {
    const io::Monotonic until = base::After(clock_.Now(), delay);
    io::Wake wake = io::Wake::kUnparked;
    while (wake == io::Wake::kUnparked)
      wake = tasks_.Park(std::min(until, deadline), {"a delay by a rule"});
    return wake == io::Wake::kTimeout && until <= deadline ? io::Wake::kUnparked : wake;
  }

  // Waits until the rule is removed. kTimeout: the deadline came first.
  io::Wake Hold(RuleId id, io::Monotonic deadline) {
    const Place place(*this, id, tasks_.Current());
    while (!Removed(id)) {
      const io::Wake wake = tasks_.Park(deadline, {"the end of a rule"});
      if (wake != io::Wake::kUnparked) return wake;
    }
    return io::Wake::kUnparked;
  }

 private:
  struct Entry {
    Rule rule;
    uint64_t seen = 0;
    uint64_t struck = 0;
    bool removed = false;
    std::vector<io::TaskRef> held{};
  };

  // A held task's place in its rule, however the wait ends.
  class Place {
   public:
    Place(RuleBook& book, RuleId id, io::TaskRef task) : book_(book), id_(id), task_(task) {
      base::SpinHold hold(book_.lock_);
      book_.At(id_).held.push_back(task_);
    }
    ~Place() {
      base::SpinHold hold(book_.lock_);
      std::vector<io::TaskRef>& held = book_.At(id_).held;
      held.erase(std::find(held.begin(), held.end(), task_));
    }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    RuleBook& book_;
    const RuleId id_;
    const io::TaskRef task_;
  };

  Entry& At(RuleId id) {
    CHECK(id && id.value() <= entries_.size()) << "no rule " << id;
    return entries_[id.value() - 1];
  }
  const Entry& At(RuleId id) const { return const_cast<RuleBook*>(this)->At(id); }
  bool Removed(RuleId id) const {
    base::SpinHold hold(lock_);
    return At(id).removed;
  }
  uint32_t Count() const {
    base::SpinHold hold(lock_);
    return static_cast<uint32_t>(entries_.size());
  }

  io::Tasks& tasks_;
  io::Clock& clock_;
  mutable base::SpinLock lock_;
  std::deque<Entry> entries_;  // never shrinks: a rule's number stays its number
};

}  // namespace weir::faults
