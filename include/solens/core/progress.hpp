#pragma once

#include <sys/ioctl.h>  // TIOCGWINSZ: the width of the terminal
#include <unistd.h>     // isatty

#include <algorithm>  // std::clamp
#include <atomic>
#include <chrono>
#include <cmath>   // std::lround
#include <cstdio>  // std::snprintf
#include <iostream>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>  // std::move

#include <solens/core/shape.hpp>

namespace solens {

/// How a `progress` shows itself.
enum class progress_style {
  none,   ///< not at all
  lines,  ///< a line now and then, for logs
  bar,    ///< one line of a terminal, drawn over and over
};

/// What suits standard error: a bar on a terminal, lines elsewhere, nothing when quiet.
inline progress_style progress_style_of_stderr(bool quiet) {
  if (quiet) return progress_style::none;
  return isatty(STDERR_FILENO) != 0 ? progress_style::bar : progress_style::lines;
}

/// The progress of long work, with the time that is left.
///
/// Any thread may call any member. `add` costs one atomic addition and a look at the clock;
/// it draws ten times a second at most (lines: every ten seconds). Whatever else goes to the
/// same stream meanwhile goes through `report`, so that the two never share a line. A progress
/// that is destroyed before `finish`, by an exception say, takes its bar away.
class progress {
 public:
  using clock = std::chrono::steady_clock;

  struct settings {
    progress_style style = progress_style::none;
    std::ostream* out = &std::cerr;
    clock::duration interval{-1};  ///< between two drawings; negative: as the style suggests
    int columns = 0;               ///< width of a bar; 0: as the terminal says
  };

  /// @param task   what is done: "encode"
  /// @param unit   what is counted: "images"
  /// @param total  how many there are; 0 when that is not known
  progress(std::string task, std::string unit, index_t total, settings with)
      : task_(std::move(task)), unit_(std::move(unit)), total_(total), with_(with) {
    if (with_.interval < clock::duration::zero()) {
      with_.interval = with_.style == progress_style::bar
                           ? clock::duration(std::chrono::milliseconds(100))
                           : clock::duration(std::chrono::seconds(10));
    }
    if (with_.columns == 0) with_.columns = terminal_columns();
    // A log does not want to hear that nothing is done yet; who watches a terminal does.
    next_ = with_.style == progress_style::bar ? 0 : with_.interval.count();
    add(0);
  }

  ~progress() { erase_bar(); }
  progress(const progress&) = delete;
  progress& operator=(const progress&) = delete;

  /// `count` more are done.
  void add(index_t count) {
    done_.fetch_add(count, std::memory_order_relaxed);
    if (with_.style == progress_style::none) return;
    const clock::rep now = (clock::now() - start_).count();
    if (now < next_.load(std::memory_order_relaxed)) return;
    if (std::unique_lock lock(mutex_, std::try_to_lock); lock) {
      next_ = now + with_.interval.count();
      draw();
    }
  }

  /// A line of its own on the same stream, whatever the style.
  void report(std::string_view line) {
    const std::lock_guard lock(mutex_);
    erase();
    *with_.out << line << '\n' << std::flush;
    if (with_.style == progress_style::bar) draw();
  }

  /// All is done: the bar gives way to one line that says how much and how fast.
  void finish() {
    const std::lock_guard lock(mutex_);
    erase();
    if (with_.style == progress_style::none) return;
    const index_t done = done_;
    const double s = seconds();
    *with_.out << task_ << ": " << done << ' ' << unit_ << " in " << duration(s) << " ("
               << rate(done, s) << ")\n"
               << std::flush;
  }

  index_t done() const { return done_; }

  /// `1:28`, `2:03:59`, or `0.4 s` below ten seconds.
  static std::string duration(double seconds) {
    if (seconds < 10) return printed("%.1f s", seconds);
    const long s = std::lround(seconds);
    std::string text = s < 3600
                           ? std::to_string(s / 60)
                           : std::to_string(s / 3600) + printed(":%02.0f", double(s / 60 % 60));
    return text + printed(":%02.0f", double(s % 60));
  }

  /// `encode  [####....]  45 %  2250/5000 images  31.2/s  1:28 left`
  /// @param bar  width of the bar, 0 for none
  static std::string line(std::string_view task, std::string_view unit, index_t done, index_t total,
                          double seconds, int bar) {
    std::string text(task);
    const double share = total > 0 ? std::clamp(double(done) / double(total), 0.0, 1.0) : 0.0;
    if (total > 0 && bar > 0) {
      const auto full = static_cast<std::size_t>(std::lround(share * bar));
      text += "  [" + std::string(full, '#') +
              std::string(static_cast<std::size_t>(bar) - full, '.') + "]";
    }
    if (total > 0) text += "  " + printed("%.0f %%", std::floor(100 * share));
    text += "  " + std::to_string(done);
    if (total > 0) text += "/" + std::to_string(total);
    text.append(" ").append(unit);
    if (done > 0) text += "  " + rate(done, seconds);
    if (done > 0 && total > done) {
      text += "  " + duration(seconds * double(total - done) / double(done)) + " left";
    }
    return text;
  }

 private:
  static std::string printed(const char* format, double value) {
    char text[64];
    std::snprintf(text, sizeof text, format, value);
    return text;
  }

  static std::string rate(index_t done, double seconds) {
    return printed("%.1f/s", seconds > 0 ? double(done) / seconds : 0.0);
  }

  static int terminal_columns() {
    winsize size{};
    const bool known = ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0;
    return known ? size.ws_col : 80;
  }

  double seconds() const { return std::chrono::duration<double>(clock::now() - start_).count(); }

  void draw() {
    const bool bar = with_.style == progress_style::bar;
    std::string text =
        line(task_, unit_, done_, total_, seconds(), bar ? std::min(30, with_.columns / 4) : 0);
    if (bar) {
      // A line that wraps could not be drawn over.
      text.resize(std::min(text.size(), static_cast<std::size_t>(std::max(1, with_.columns - 1))));
      *with_.out << '\r' << text << "\x1b[K" << std::flush;
      drawn_ = true;
    } else {
      *with_.out << text << '\n' << std::flush;
    }
  }

  void erase() {
    if (drawn_) *with_.out << "\r\x1b[K" << std::flush;
    drawn_ = false;
  }

  void erase_bar() {
    const std::lock_guard lock(mutex_);
    erase();
  }

  std::string task_, unit_;
  index_t total_;
  settings with_;
  const clock::time_point start_ = clock::now();
  std::atomic<index_t> done_{0};
  std::atomic<clock::rep> next_{0};  ///< when to draw again, since start_
  std::mutex mutex_;
  bool drawn_ = false;  ///< whether a bar stands on the last line
};

}  // namespace solens
