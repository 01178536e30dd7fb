#pragma once

#include <condition_variable>
#include <cstddef>  // std::size_t
#include <deque>
#include <exception>  // std::exception_ptr
#include <functional>
#include <mutex>
#include <thread>
#include <utility>  // std::move

namespace solens {

/// A thread of its own that does tasks in the order in which they came: writing to a disk, say,
/// while the caller computes.
///
/// The first task that fails is the last one done: whatever comes after it is dropped, and every
/// later `post` and `wait` throws what it threw.
class background {
 public:
  background() : thread_([this] { run(); }) {}

  /// Waits for the task under way; drops those that have not begun.
  ~background() {
    {
      const std::lock_guard lock(mutex_);
      leaving_ = true;
      tasks_.clear();
    }
    changed_.notify_all();
    thread_.join();
  }
  background(const background&) = delete;
  background& operator=(const background&) = delete;

  void post(std::function<void()> task) {
    {
      const std::lock_guard lock(mutex_);
      if (failure_) std::rethrow_exception(failure_);
      tasks_.push_back(std::move(task));
    }
    changed_.notify_all();
  }

  /// Returns when everything posted is done, but for the last `left` tasks.
  void wait(std::size_t left = 0) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this, left] { return tasks_.size() <= left; });
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void run() {
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return leaving_ || !tasks_.empty(); });
      if (leaving_) return;
      // A task stays at the front while it is under way, so that `wait` counts it in.
      const std::function<void()> task = std::move(tasks_.front());
      lock.unlock();
      std::exception_ptr failure;
      try {
        task();
      } catch (...) {
        failure = std::current_exception();
      }
      lock.lock();
      if (failure) {
        failure_ = failure;
        tasks_.clear();
      } else if (!tasks_.empty()) {
        tasks_.pop_front();
      }
      changed_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> tasks_;
  std::exception_ptr failure_;
  bool leaving_ = false;
  std::thread thread_;  // last: it uses all the others
};

}  // namespace solens
