#pragma once

#include <algorithm>
#include <cmath>
#include <exception>
#include <limits>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>  // std::move
#include <vector>

#include <solens/backend/reference.hpp>
#include <solens/testing/operands.hpp>

namespace solens::testing {

enum class outcome { ok, failed, not_supported };

/// What came of one case of one operation.
struct conformance_result {
  std::string operation;
  std::string name;  ///< of the case
  outcome what = outcome::ok;
  double error = 0;    ///< the largest, in units of what the bound allows: up to 1 is ok
  std::string detail;  ///< what failed, with numbers; what the backend said that it does not offer
};

/// `gemm, transposed a: failed: element 3 is 1.5, expected 1.25 +- 1e-6`
inline std::string to_string(const conformance_result& r) {
  std::ostringstream text;
  text << r.operation << ", " << r.name << ": ";
  switch (r.what) {
    case outcome::ok: text << "ok, " << r.error << " of the bound"; break;
    case outcome::failed: text << "failed: " << r.detail; break;
    case outcome::not_supported: text << "not supported: " << r.detail; break;
  }
  return text.str();
}

/// How far an element may be from the reference's, in units of the scalar's epsilon: the sum of the
/// parts. All 0: equal.
struct tolerance {
  double of_result = 0;  ///< times the magnitude of the result
  double absolute = 0;
  double of_terms = 0;  ///< times the same operation on the magnitudes of its arguments
};

/// Runs cases on a backend and on the reference in double, and keeps what came of them.
template <tensor_backend B>
class conformance_suite {
 public:
  using T = typename B::scalar;
  using scalars = operand<B, T>;
  using indices = operand<B, index_t>;

  explicit conformance_suite(const B& be) : be_(be) {}

  const B& backend() const { return be_; }
  static constexpr double epsilon() { return std::numeric_limits<T>::epsilon(); }

  /// Runs f(backend, views, index_views) on both and compares every output.
  template <class F>
  void compare(std::string operation, std::string name, tolerance within,
               const std::vector<argument>& arguments, const F& f,
               const std::vector<argument>& index_arguments = {}) {
    record(std::move(operation), std::move(name), [&](conformance_result& r) {
      auto values = operands<scalars>(arguments);
      auto positions = operands<indices>(index_arguments);
      f(be_, views(values), views(positions));
      be_.synchronize();
      f(reference_backend<double>(), twins(values), twins(positions));
      std::vector<host_tensor<double>> terms;
      for (auto& value : values) terms.push_back(value.magnitudes());
      if (within.of_terms > 0) {
        std::vector<host_view<double>> of;
        for (std::size_t i = 0; i < values.size(); ++i) of.push_back(values[i].inside(terms[i]));
        f(reference_backend<double>(), of, twins(positions));
      }
      for (std::size_t i = 0; i < values.size(); ++i) {
        const auto magnitude = values[i].inside(terms[i]);
        judge(r, values[i], [&](index_t e, double want) {
          return epsilon() * (within.of_result * std::abs(want) + within.absolute +
                              within.of_terms * std::abs(element_of(magnitude, e)));
        });
      }
      for (auto& position : positions) judge(r, position, [](index_t, double) { return 0.0; });
    });
  }

  /// Runs f(backend, views) and then holds(results) over what it left in the arguments, in double,
  /// which returns the error in units of its bound.
  template <class F, class G>
  void verify(std::string operation, std::string name, const std::vector<argument>& arguments,
              const F& f, const G& holds) {
    record(std::move(operation), std::move(name), [&](conformance_result& r) {
      auto values = operands<scalars>(arguments);
      f(be_, views(values));
      be_.synchronize();
      std::vector<host_tensor<double>> results;
      for (auto& value : values) {
        const auto got = value.result(be_);
        host_tensor<double> copy(got.extents());
        for (index_t e = 0; e < got.size(); ++e) {
          copy.data()[e] = static_cast<double>(element_of(got, e));
        }
        results.push_back(std::move(copy));
        note(r, value.damage());
      }
      r.error = holds(results);
      if (!(r.error <= 1)) note(r, "error " + printed(r.error) + " times the bound");
    });
  }

  /// Runs f(), which must throw a shape_error.
  template <class F>
  void refuses(std::string operation, std::string name, const F& f) {
    record(std::move(operation), std::move(name), [&](conformance_result& r) {
      try {
        f();
        note(r, "nothing was thrown, expected a shape_error");
      } catch (const shape_error&) {
      }
    });
  }

  std::vector<conformance_result> take() { return std::move(results_); }

 private:
  template <class Operand>
  std::vector<Operand> operands(const std::vector<argument>& arguments) const {
    std::vector<Operand> result;
    result.reserve(arguments.size());
    for (const argument& a : arguments) result.emplace_back(be_, a);
    return result;
  }

  template <class Operand>
  static auto views(std::vector<Operand>& operands) {
    std::vector<decltype(operands.front().view())> result;
    for (Operand& o : operands) result.push_back(o.view());
    return result;
  }

  template <class Operand>
  static auto twins(std::vector<Operand>& operands) {
    std::vector<decltype(operands.front().twin())> result;
    for (Operand& o : operands) result.push_back(o.twin());
    return result;
  }

  template <class Operand, class Bound>
  void judge(conformance_result& r, Operand& operand, const Bound& bound) const {
    const auto got = operand.result(be_);
    note(r, operand.damage());
    if (operand.as() == role::in) return;
    const auto want = operand.twin();
    for (index_t e = 0; e < got.extents().size(); ++e) {
      const auto is = static_cast<double>(element_of(got, e));
      const auto expected = static_cast<double>(element_of(want, e));
      if (is == expected || (std::isnan(is) && std::isnan(expected))) continue;
      const double allowed = bound(e, expected), off = std::abs(is - expected);
      if (!(off <= allowed) || !std::isfinite(expected)) {
        note(r, "element " + std::to_string(e) + " of " + to_string(got.extents()) + " is " +
                    printed(is) + ", expected " + printed(expected) + " +- " + printed(allowed));
        r.error = std::numeric_limits<double>::infinity();
        return;
      }
      r.error = std::max(r.error, off / allowed);
    }
  }

  /// Keeps the first thing that went wrong.
  static void note(conformance_result& r, const std::string& what) {
    if (what.empty() || r.what == outcome::failed) return;
    r.what = outcome::failed;
    r.detail = what;
  }

  template <class F>
  void record(std::string operation, std::string name, const F& run) {
    conformance_result r{std::move(operation), std::move(name), outcome::ok, 0, {}};
    try {
      run(r);
    } catch (const not_supported& what) {
      r.what = outcome::not_supported;
      r.detail = what.what();
    } catch (const std::exception& what) {
      note(r, what.what());
    }
    results_.push_back(std::move(r));
  }

  static std::string printed(double value) {
    std::ostringstream text;
    text.precision(9);
    text << value;
    return text.str();
  }

  const B& be_;
  std::vector<conformance_result> results_;
};

}  // namespace solens::testing
