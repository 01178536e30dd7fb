#pragma once

#include <vector>

#include <solens/testing/conformance_arithmetic.hpp>
#include <solens/testing/conformance_products.hpp>
#include <solens/testing/conformance_rows.hpp>
#include <solens/testing/conformance_solvers.hpp>
#include <solens/testing/conformance_suite.hpp>

namespace solens::testing {

/// Holds every operation of a backend against the reference in double.
///
/// Transposed, strided, repeated and empty operands, the aliases that the contract allows, NaN and
/// infinities, outputs that must not be read, memory that must not be written, and extents that
/// must be refused. The bound of each operation stands with its cases. Touches the backend's memory
/// only through `allocate`, `upload` and `download`.
/// @returns a result a case: ok, failed (why, with numbers), or not supported (the backend threw
///          `not_supported`)
template <tensor_backend B>
std::vector<conformance_result> backend_conformance(const B& be) {
  conformance_suite<B> suite(be);
  transfers(suite);
  arithmetic(suite);
  products(suite);
  row_operations(suite);
  choices(suite);
  fused_operations(suite);
  solvers(suite);
  return suite.take();
}

}  // namespace solens::testing
