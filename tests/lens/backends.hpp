#pragma once

#include <tuple>
#include <type_traits>
#include <utility>

#include <solens/testing/archetypes.hpp>

#include "support/backends.hpp"

namespace solens::test {

/// The CPU backends, and one that offers the contract and nothing more.
using backends = decltype(std::tuple_cat(
    std::declval<cpu_backends>(), std::declval<std::tuple<testing::archetype_backend<double>>>()));

template <class B>
B make_backend() {
  if constexpr (std::is_default_constructible_v<B>) {
    return B{};
  } else {
    return B{0};
  }
}

}  // namespace solens::test
