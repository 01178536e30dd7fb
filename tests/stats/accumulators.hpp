#pragma once

#include <sstream>
#include <string>

#include <solens/stats/accumulator.hpp>

#include "support/test.hpp"

namespace solens::test {

/// The state of an accumulator: two are the same when these are.
template <stats::accumulator A>
std::string state_of(const A& a) {
  std::ostringstream out;
  a.save(out);
  return out.str();
}

template <class A>
A from_state(const std::string& bytes) {
  std::istringstream in(bytes);
  return A::load(in);
}

/// What every accumulator must do with its state: come back from it, and refuse any that is cut,
/// has a byte changed, or is another's.
template <stats::accumulator A>
void check_state(const A& a) {
  const std::string bytes = state_of(a);
  const A back = from_state<A>(bytes);
  CHECK(back.count() == a.count());
  CHECK(state_of(back) == bytes);
  std::size_t survived = 0;
  for (std::size_t i = 0; i < bytes.size(); ++i) {
    std::string damaged = bytes;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x41);
    try {
      from_state<A>(damaged);
      ++survived;
    } catch (const format_error&) {
    }
    try {
      from_state<A>(bytes.substr(0, i));
      ++survived;
    } catch (const format_error&) {
    }
  }
  CHECK(survived == 0);
  std::ostringstream closed;
  closed.setstate(std::ios::badbit);
  CHECK_THROWS_AS(a.save(closed), io_error);
}

}  // namespace solens::test
