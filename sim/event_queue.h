// What will happen, ordered by (virtual time, number): two events of the same instant happen in the
// order in which they were planned. A 4-ary heap of plain values; no event allocates.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/time.h"

namespace weir::sim {

// Part of the world to which events are addressed by number. Never a process's memory, and never
// gone before the queue.
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void OnEvent(uint64_t a, uint64_t b) = 0;
};

struct Event {
  base::Monotonic at;
  uint64_t number = 0;
  EventSink* sink = nullptr;  // null: not light; the world's driver runs it on its own stack
  uint64_t a = 0;
  uint64_t b = 0;

  bool operator<(const Event& other) const {
    return at != other.at ? at < other.at : number < other.number;
  }
};

class EventQueue {
 public:
  bool empty() const { return heap_.empty(); }
  size_t size() const { return heap_.size(); }
  const Event& next() const { return heap_[0]; }

  void Push(const Event& event) {
    size_t index = heap_.size();
    heap_.push_back(event);
    while (index > 0) {
      const size_t parent = (index - 1) / 4;
      if (!(event < heap_[parent])) break;
      heap_[index] = heap_[parent];
      index = parent;
    }
    heap_[index] = event;
  }

  Event Pop() {
    const Event top = heap_[0];
    const Event last = heap_.back();
    heap_.pop_back();
    if (heap_.empty()) return top;
    size_t index = 0;
    for (;;) {
      const size_t first = 4 * index + 1;
      if (first >= heap_.size()) break;
      const size_t end = first + 4 < heap_.size() ? first + 4 : heap_.size();
      size_t least = first;
      for (size_t child = first + 1; child < end; ++child) {
        if (heap_[child] < heap_[least]) least = child;
      }
      if (!(heap_[least] < last)) break;
      heap_[index] = heap_[least];
      index = least;
    }
    heap_[index] = last;
    return top;
  }

 private:
  std::vector<Event> heap_;
};

}  // namespace weir::sim
