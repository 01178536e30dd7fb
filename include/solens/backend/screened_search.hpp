#pragma once

#include <algorithm>  // std::max, std::min, std::all_of
#include <bit>        // std::countr_zero
#include <cmath>
#include <cstdint>  // std::int8_t, std::uint64_t
#include <limits>
#include <utility>  // std::as_const
#include <vector>

#include <solens/backend/byte_products.hpp>
#include <solens/backend/product_search.hpp>

namespace solens {

/// The same search as `product_search`, on host memory, by products of bytes with a proven bound:
/// they leave a handful of rows for each vector, whose products in double decide.
///
/// Rows a and vectors x are first mapped to a' = V a and x' = W x, where W^T W = A^T A / n + a
/// multiple of the identity, A is the table, and V = W^-T up to rounding, and then quantised to
/// bytes, ^a and ^x. Whatever W is,
///
///     |x . a  -  ^x . ^a|  <=  |W x| |a' - ^a|  +  |W x - ^x| |^a|  +  |x| |a - W^T a'|
///
/// This W makes |W x| the root mean square of the products of x with all rows, so that the bound
/// is a third of that (for d = 512) however uneven the table's spectrum is, while the largest of
/// many products is several times as large. A vector that the bound leaves with too many rows,
/// one of extreme size, and every one where the table is not finite, goes to `product_search`.
/// @note costs n * n_rows * d products of bytes, 2 n d^2 flops, and some 10 n d for the decision;
///       a table of r rows takes 6 r d^2 flops once, and r d bytes
template <class B>
class screened_search {
 public:
  using scalar = typename B::scalar;

  /// @param table  [n_rows, d], kept as a view; one row or more
  /// @param with   multiplies bytes; null for no screen
  /// @throws shape_error when there is no row
  screened_search(const B& be, host_view<const scalar> table, index_t vectors_at_once,
                  const bytes::kernel* with = bytes::fast())
      : by_products_(be, table, vectors_at_once), kernel_(with), team_(be.threads()) {
    const index_t d = table.extent(1);
    if (with == nullptr || table.stride(1) != 1 || d > bytes::max_depth ||
        table.extent(0) > std::numeric_limits<std::int32_t>::max()) {
      return;
    }
    depth_ = rounded_up(d, with->tile_depth);
    mapped_ = host_tensor<scalar>({std::max(vectors_at_once, rows_at_once), d});
    hints_.assign(static_cast<std::size_t>(mapped_.extent(0)), 0);
    screens_ = find_map(be) && pack(be);
  }

  host_view<const scalar> table() const { return by_products_.table(); }

  /// Whether vectors are screened.
  bool screens() const { return screens_; }
  /// Vectors that the screen has left to `product_search`.
  index_t n_left() const { return n_left_; }

  /// @param x        [n, d], at most `vectors_at_once`
  /// @param values   [n], signed: the largest magnitude or, with `positive`, the largest value
  /// @param indices  [n]; ties go to the lower index, NaN counts as lowest
  void operator()(const B& be, host_view<const scalar> x, bool positive, host_view<scalar> values,
                  host_view<index_t> indices) {
    if (!screens_) return by_products_(be, x, positive, values, indices);
    const index_t n = x.extent(0), d = table().extent(1);
    checks::same("row_search", shape{n, d}, x.extents(), "x");
    be.gemm(1, x, map_.view().transposed(), 0, mapped_.view().slice(0, 0, n));
    std::vector<char> decided(static_cast<std::size_t>(n));
    const index_t tile = kernel_->tile_rows;
    team_.split(rounded_up(n, tile) / tile, 1, [&](index_t from, index_t to) {
      const index_t first = from * tile;
      auto queries = screen(x, first, std::min(n, to * tile), positive);
      for (std::size_t q = 0; q < queries.size(); ++q) {
        const index_t r = first + static_cast<index_t>(q);
        if (queries[q].open || queries[q].candidates.empty()) continue;
        decide(queries[q], positive, values(r), indices(r));
        hints_[static_cast<std::size_t>(r)] = queries[q].second;
        decided[static_cast<std::size_t>(r)] = 1;
      }
    });
    decide_by_products(be, x, decided, positive, values, indices);
  }

 private:
  static constexpr index_t rows_at_once = 32 * bytes::panel_rows;  ///< in preparing the table
  static constexpr float infinity = std::numeric_limits<float>::infinity();

  /// The largest of each norm over the rows of a panel.
  struct panel_bound {
    float error = 0;   ///< a' - ^a
    float size = 0;    ///< ^a
    float missed = 0;  ///< a - W^T a'
  };

  struct candidate {
    float at_most;
    std::int32_t row;
  };

  /// A vector on its way through the panels.
  struct query {
    std::vector<double> vector = {};
    std::int32_t excess = 0;                ///< of products with bytes that are 128 too large
    double quantum = 0;                     ///< of the vector's bytes, the unit of what follows
    float size = 0, error = 0, missed = 0;  ///< what multiplies the panel's error, size, missed
    float at_least = -infinity;             ///< some row has a product of so much
    bool open = false;                      ///< left to the products
    std::vector<candidate> candidates = {};
    std::int32_t second = 0;  ///< a row with a large product, perhaps the second largest
  };

  static index_t rounded_up(index_t n, index_t to) { return (n + to - 1) / to * to; }

  /// Up by more than what rounding a float, and a few operations with it, takes away.
  static float up(double x) { return static_cast<float>(x * (1 + 0x1p-18)); }

  /// The factor of what rounding makes of a sum of k products and a number more, in any order.
  static double rounding(index_t k) {
    const double u = static_cast<double>(k + 2) * std::numeric_limits<scalar>::epsilon() / 2;
    return u / (1 - u);
  }

  /// W and V; whether there are such.
  bool find_map(const B& be) {
    const index_t n = table().extent(0), d = table().extent(1);
    host_tensor<scalar> gram({1, d, d}), factor({1, d, d}), turn({d, d});
    be.gemm(1 / static_cast<scalar>(n), table().transposed(), table(), 0, gram.view()[0]);
    scalar trace = 0;
    for (index_t i = 0; i < d; ++i) trace += gram(0, i, i);
    // far from where floats overflow or lose digits; NaN is refused too
    if (!(trace > scalar(1e-16) && trace < scalar(1e16))) return false;
    for (index_t i = 0; i < d; ++i) gram(0, i, i) += scalar(0.1) * trace / static_cast<scalar>(d);
    be.cholesky(std::as_const(gram).view(), factor.view());
    fill_turn(turn.view());
    map_ = host_tensor<scalar>({d, d});
    be.gemm(1, std::as_const(turn).view(), std::as_const(factor).view()[0].transposed(), 0,
            map_.view());
    inverse_ = host_tensor<scalar>({1, d, d});
    be.copy(std::as_const(map_).view().transposed(), inverse_.view()[0]);
    be.cholesky_solve(std::as_const(gram).view(), inverse_.view());
    double squares = 0;
    for (scalar w : map_) squares += static_cast<double>(w) * static_cast<double>(w);
    map_size_ = std::sqrt(squares) * (1 + 1e-9);
    return std::isfinite(map_size_);
  }

  /// An orthogonal matrix that spreads what is concentrated in a few dimensions over all, so that
  /// no element of a mapped vector is much larger than the others: cosines with mixed signs.
  static void fill_turn(host_view<scalar> turn) {
    const index_t d = turn.extent(0);
    const double step = 3.14159265358979323846 / static_cast<double>(2 * d);
    for (index_t i = 0; i < d; ++i) {
      const double scale = std::sqrt((i == 0 ? 1.0 : 2.0) / static_cast<double>(d));
      for (index_t j = 0; j < d; ++j) {
        const auto sign = (static_cast<std::uint32_t>(j) * 2654435761U >> 31U) != 0 ? -1.0 : 1.0;
        const auto angle = static_cast<double>((2 * j + 1) * i % (4 * d)) * step;
        turn(i, j) = static_cast<scalar>(sign * scale * std::cos(angle));
      }
    }
  }

  /// Maps and quantises the table; whether all of it is finite.
  bool pack(const B& be) {
    const index_t n = table().extent(0), d = table().extent(1);
    const index_t n_panels = rounded_up(n, bytes::panel_rows) / bytes::panel_rows;
    bytes_ = host_tensor<std::uint8_t>({n_panels, depth_ / 4, bytes::panel_rows, 4}, 128);
    scales_ = host_tensor<float>({n_panels, bytes::panel_rows}, 0);
    bounds_.assign(static_cast<std::size_t>(n_panels), {});
    host_tensor<scalar> missed({rows_at_once, d});
    for (index_t first = 0; first < n; first += rows_at_once) {
      const index_t count = std::min(rows_at_once, n - first);
      const auto rows = table().slice(0, first, first + count);
      const auto mapped = mapped_.view().slice(0, 0, count);
      be.gemm(1, rows, std::as_const(inverse_).view()[0], 0, mapped);
      be.copy(rows, missed.view().slice(0, 0, count));
      be.gemm(-1, host_view<const scalar>(mapped), map_.view(), 1,
              missed.view().slice(0, 0, count));
      team_.split(rounded_up(count, bytes::panel_rows) / bytes::panel_rows, 1,
                  [&](index_t from, index_t to) {
                    const index_t end = std::min(count, to * bytes::panel_rows);
                    for (index_t r = from * bytes::panel_rows; r < end; ++r) {
                      pack_row(first + r, &mapped(r, 0), &missed(r, 0));
                    }
                  });
    }
    inverse_ = {};
    return std::all_of(bounds_.begin(), bounds_.end(), [](const panel_bound& b) {
      return b.error < infinity && b.size < infinity && b.missed < infinity;
    });
  }

  void pack_row(index_t row, const scalar* mapped, const scalar* missed) {
    const index_t d = table().extent(1), p = row / bytes::panel_rows, l = row % bytes::panel_rows;
    std::vector<std::int8_t> q(static_cast<std::size_t>(d));
    const auto of = bytes::quantise(mapped, d, q.data());
    std::uint8_t* to = &bytes_(p, 0, l, 0);
    for (index_t k = 0; k < d; ++k) {
      to[k / 4 * 4 * bytes::panel_rows + k % 4] =
          static_cast<std::uint8_t>(q[static_cast<std::size_t>(k)] + 128);
    }
    scales_(p, l) = of.scale;
    const double rounded =  // and a little for what underflows
        1e-35 + rounding(d) * (static_cast<double>(rows::norm(&table()(row, 0), d)) +
                               map_size_ * static_cast<double>(rows::norm(mapped, d)));
    panel_bound& bound = bounds_[static_cast<std::size_t>(p)];
    raise(bound.error, of.error);
    raise(bound.size, of.size);
    raise(bound.missed, static_cast<double>(rows::norm(missed, d)) + rounded);
  }

  /// Up to `by` where that is more; not finite once `by` is not.
  static void raise(float& x, double by) {
    if (!(up(by) <= x)) x = std::isnan(by) ? infinity : up(by);
  }

  /// The candidates of vectors first, ..., last - 1.
  std::vector<query> screen(host_view<const scalar> x, index_t first, index_t last,
                            bool positive) const {
    constexpr index_t width = bytes::panel_rows;
    constexpr index_t at_once = 96;  // of every kernel's tile_rows a multiple; the sums fit a cache
    const index_t n = last - first, panel_bytes = width * depth_;
    host_tensor<std::int8_t> q({rounded_up(n, kernel_->tile_rows), depth_}, 0);
    host_tensor<std::int32_t> sums({at_once, width});
    std::vector<query> queries;
    queries.reserve(static_cast<std::size_t>(n));
    for (index_t i = 0; i < n; ++i) {
      queries.push_back(quantise(row_of(x, first + i), &mapped_(first + i, 0), &q(i, 0)));
      expect(queries.back(), hints_[static_cast<std::size_t>(first + i)], positive);
    }
    for (index_t p = 0; p < scales_.extent(0); ++p) {
      const std::uint8_t* panel = bytes_.data() + p * panel_bytes;
      for (index_t i = 0; i < n; i += at_once) {
        const index_t end = std::min(n, i + at_once);
        kernel_->multiply(panel, q.data() + i * depth_, rounded_up(end - i, kernel_->tile_rows),
                          depth_, sums.data());
        for (index_t j = i; j < end; ++j) {
          collect(queries[static_cast<std::size_t>(j)], p, sums.data() + (j - i) * width, positive);
        }
      }
    }
    return queries;
  }

  query quantise(row_span<const scalar> x, const scalar* mapped, std::int8_t* q) const {
    query result{.vector = std::vector<double>(static_cast<std::size_t>(x.size))};
    double* vector = result.vector.data();
    double squares = 0;
    SOLENS_SIMD(reduction(+ : squares))
    for (index_t k = 0; k < x.size; ++k) {
      vector[k] = static_cast<double>(x[k]);
      squares += vector[k] * vector[k];
    }
    const auto of = bytes::quantise(mapped, x.size, q);
    result.quantum = static_cast<double>(of.scale);
    result.excess = 128 * of.sum;
    result.open = !(squares > 1e-16 && squares < 1e16 && of.scale > 0);
    if (result.open) return result;
    const double norm = std::sqrt(squares);
    const double rounded = rounding(x.size) * map_size_ * norm;
    result.size = up((of.size + of.error + rounded) / result.quantum);
    // and what the scores and the bounds lose as floats, relative to |^x| |^a|
    result.error = up((of.error + rounded + 0x1p-20 * of.size) / result.quantum);
    result.missed = up(norm / result.quantum);
    return result;
  }

  /// Any row's product is one that the largest reaches. That of the row which came second to the
  /// vector in the same place the last time, as in a pursuit, leaves few others to look at.
  void expect(query& q, std::int32_t hint, bool positive) const {
    if (q.open) return;
    const double p = product(q.vector, hint);
    const double score = (positive ? p : std::abs(p)) / q.quantum;
    q.at_least = static_cast<float>(score - std::abs(score) * 0x1p-18);
  }

  /// Adds the rows of a panel that may be the one.
  void collect(query& q, index_t p, const std::int32_t* sums, bool positive) const {
    if (q.open) return;
    const panel_bound& panel = bounds_[static_cast<std::size_t>(p)];
    const float bound = q.size * panel.error + q.error * panel.size + q.missed * panel.missed;
    float scores[bytes::panel_rows];
    const index_t first = p * bytes::panel_rows;
    std::uint64_t reached = kernel_->score(sums, q.excess, scales_.data() + first, !positive,
                                           q.at_least - bound, scores);
    if (reached == 0) return;
    const index_t n = table().extent(0) - first;
    if (n < bytes::panel_rows) reached &= (std::uint64_t{1} << static_cast<unsigned>(n)) - 1;
    const auto each = [reached](const auto& f) {
      for (std::uint64_t left = reached; left != 0; left &= left - 1) f(std::countr_zero(left));
    };
    each([&](int l) { q.at_least = std::max(q.at_least, scores[l] - bound); });
    each([&](int l) {
      if (scores[l] + bound < q.at_least) return;
      q.candidates.push_back({scores[l] + bound, static_cast<std::int32_t>(first) + l});
    });
    if (static_cast<index_t>(q.candidates.size()) > too_many()) thin_out(q);
  }

  /// More candidates than this cost as much as a vector's products.
  index_t too_many() const { return std::max<index_t>(256, table().extent(0) / 16); }

  void thin_out(query& q) const {
    std::erase_if(q.candidates, [&](const candidate& c) { return c.at_most < q.at_least; });
    q.open = static_cast<index_t>(q.candidates.size()) > too_many() / 2;
  }

  double product(const std::vector<double>& vector, std::int32_t row) const {
    const scalar* a = &table()(row, 0);
    double sum = 0;
    SOLENS_SIMD(reduction(+ : sum))
    for (std::size_t k = 0; k < vector.size(); ++k) sum += vector[k] * static_cast<double>(a[k]);
    return sum;
  }

  /// The best of the candidates, by products in double.
  void decide(query& q, bool positive, scalar& value, index_t& index) const {
    // the most promising first, which leaves few of the others
    std::iter_swap(q.candidates.begin(),
                   std::max_element(q.candidates.begin(), q.candidates.end(),
                                    [](const candidate& a, const candidate& b) {
                                      return a.at_most < b.at_most;
                                    }));
    double best = -std::numeric_limits<double>::infinity(), second = best;
    for (const candidate& c : q.candidates) {
      if (static_cast<double>(c.at_most) * q.quantum < best) continue;
      const double p = product(q.vector, c.row), score = positive ? p : std::abs(p);
      if (score > best || (score == best && c.row < index)) {
        if (best > second) q.second = static_cast<std::int32_t>(index);
        second = best;
        best = score;
        value = static_cast<scalar>(p);
        index = c.row;
      } else if (score > second) {
        second = score;
        q.second = c.row;
      }
    }
  }

  void decide_by_products(const B& be, host_view<const scalar> x, const std::vector<char>& decided,
                          bool positive, host_view<scalar> values, host_view<index_t> indices) {
    std::vector<index_t> left;
    for (std::size_t r = 0; r < decided.size(); ++r) {
      if (!decided[r]) left.push_back(static_cast<index_t>(r));
    }
    if (left.empty()) return;
    const auto n = static_cast<index_t>(left.size());
    n_left_ += n;
    host_tensor<scalar> vectors({n, x.extent(1)}), value({n});
    host_tensor<index_t> index({n});
    be.gather(x, host_view<const index_t>(left.data(), {n}), vectors.view());
    by_products_(be, std::as_const(vectors).view(), positive, value.view(), index.view());
    for (index_t i = 0; i < n; ++i) {
      values(left[static_cast<std::size_t>(i)]) = value(i);
      indices(left[static_cast<std::size_t>(i)]) = index(i);
    }
  }

  product_search<B> by_products_;
  const bytes::kernel* kernel_;
  thread_team team_;
  bool screens_ = false;
  index_t depth_ = 0;  ///< d, rounded up to the kernel's tile_depth
  index_t n_left_ = 0;
  host_tensor<scalar> map_;          ///< W [d, d]
  host_tensor<scalar> inverse_;      ///< V^T, while the table is prepared
  host_tensor<scalar> mapped_;       ///< x', or a'
  double map_size_ = 0;              ///< Frobenius norm of W
  host_tensor<std::uint8_t> bytes_;  ///< of ^a, plus 128: [n_panels, depth / 4, panel_rows, 4]
  host_tensor<float> scales_;        ///< of ^a: [n_panels, panel_rows]
  std::vector<panel_bound> bounds_;
  std::vector<std::int32_t> hints_;  ///< for each vector, a row that may have a large product
};

}  // namespace solens
