#pragma once

#include <cstddef>  // std::size_t
#include <functional>
#include <random>
#include <string>
#include <utility>  // std::move
#include <vector>

#include <solens/backend/concept.hpp>
#include <solens/core/host_tensor.hpp>

/// What the conformance suite calls an operation with.
namespace solens::testing {

/// How a tensor lies in memory.
enum class layout {
  contiguous,  ///< row-major
  padded,      ///< row-major with unused elements between the rows
  transposed,  ///< the last two axes swapped in memory
  strided,     ///< every second element
  repeated,    ///< the first axis has stride 0
};

inline const char* to_string(layout how) {
  switch (how) {
    case layout::contiguous: return "contiguous";
    case layout::padded: return "padded";
    case layout::transposed: return "transposed";
    case layout::strided: return "strided";
    case layout::repeated: break;
  }
  return "repeated";
}

inline shape strides_of(layout how, const shape& extents) {
  shape memory = extents;
  const std::size_t rank = extents.rank();
  const bool swap = how == layout::transposed && rank >= 2;
  if (swap) std::swap(memory[rank - 1], memory[rank - 2]);
  if (how == layout::padded && rank > 0) memory[rank - 1] += 3;
  shape strides = row_major_strides(memory);
  if (swap) std::swap(strides[rank - 1], strides[rank - 2]);
  const bool every_second = how == layout::strided || (how == layout::transposed && rank == 1);
  for (std::size_t i = 0; every_second && i < rank; ++i) strides[i] *= 2;
  if (how == layout::repeated && rank > 0) strides[0] = 0;
  return strides;
}

/// What an operation does with an argument.
enum class role { in, out, inout };

/// An argument as a case states it.
struct argument {
  role as = role::in;
  shape extents;
  layout how = layout::contiguous;
  std::function<double(index_t)> value;  ///< of an element, by its row-major number
};

/// Standard normal values, the same for the same seed.
inline std::function<double(index_t)> normal_values(unsigned seed) {
  return [generator = std::mt19937(seed), normal = std::normal_distribution<double>()](
             index_t) mutable { return normal(generator); };
}

/// An argument in the backend's memory, between guard elements, with a twin in host memory that
/// the reference works on.
///
/// `U` is the backend's scalar or index_t. Everything around and between the elements holds a
/// sentinel, so that `damage()` can tell whether the operation wrote where it must not. An output
/// starts as NaN (indices: as -1), so that one which is read shows.
template <class B, class U>
class operand {
 public:
  static constexpr bool is_index = std::is_same_v<U, index_t>;
  using exact = std::conditional_t<is_index, index_t, double>;

  operand(const B& be, const argument& of)
      : role_(of.as),
        extents_(of.extents),
        strides_(strides_of(of.how, of.extents)),
        memory_(shape{span() + 2 * guard}, sentinel()),
        device_(allocate(be, memory_.extents())) {
    auto generate = of.value;
    for (index_t i = 0; i < extents_.size(); ++i) {
      element_of(inside(memory_), i) = of.as == role::out ? unset() : static_cast<U>(generate(i));
    }
    before_ = memory_.clone();
    twin_ = host_tensor<exact>(memory_.extents());
    for (index_t i = 0; i < memory_.size(); ++i) twin_(i) = static_cast<exact>(memory_(i));
    be.upload(std::as_const(memory_).view(), device_.view());
  }

  /// In the backend's memory.
  tensor_view<U, typename B::space> view() {
    return {device_.view().data() + guard, extents_, strides_};
  }

  /// In host memory, for the reference.
  host_view<exact> twin() { return inside(twin_); }

  /// The magnitudes of what the twin started from; 0 for an output.
  host_tensor<double> magnitudes() {
    host_tensor<double> result(memory_.extents(), 0);
    for (index_t i = 0; i < result.size() && role_ != role::out; ++i) {
      result(i) = std::abs(static_cast<double>(before_(i)));
    }
    return result;
  }
  template <class E>
  host_view<E> inside(host_tensor<E>& memory) const {
    return {memory.data() + guard, extents_, strides_};
  }

  /// Fetches what the backend made of the argument.
  host_view<U> result(const B& be) {
    be.download(const_view(device_), memory_.view());
    return inside(memory_);
  }

  /// What the fetched memory shows that was written but must not be: an input, or what lies beside
  /// the elements. Empty where all is well.
  std::string damage() const {
    std::vector<bool> writable(static_cast<std::size_t>(memory_.size()), false);
    for (index_t i = 0; i < extents_.size() && role_ != role::in; ++i) {
      const U* element =
          &element_of(host_view<const U>(memory_.data() + guard, extents_, strides_), i);
      writable[static_cast<std::size_t>(element - memory_.data())] = true;
    }
    for (index_t i = 0; i < memory_.size(); ++i) {
      const U was = before_(i), is = memory_(i);
      const bool same = is == was || (is != is && was != was);
      if (!same && !writable[static_cast<std::size_t>(i)]) {
        return "element " + std::to_string(i - guard) +
               " from the first, which is not the operation's to write, " + "became " +
               std::to_string(is);
      }
    }
    return {};
  }

  role as() const { return role_; }
  const shape& extents() const { return extents_; }

 private:
  static constexpr index_t guard = 16;  // a cache line of floats keeps the elements aligned

  static constexpr U sentinel() { return static_cast<U>(is_index ? -77 : -12345); }
  static constexpr U unset() {
    if constexpr (is_index) {
      return -1;
    } else {
      return std::numeric_limits<U>::quiet_NaN();
    }
  }
  static auto allocate(const B& be, const shape& extents) {
    if constexpr (is_index) {
      return be.allocate_indices(extents);
    } else {
      return be.allocate(extents);
    }
  }
  template <class Tensor>
  static auto const_view(const Tensor& tensor) {
    return tensor.view();
  }

  /// From the first element to behind the last, in elements.
  index_t span() const {
    index_t last = 0;
    if (extents_.size() == 0) return 0;
    for (std::size_t i = 0; i < extents_.rank(); ++i) last += (extents_[i] - 1) * strides_[i];
    return last + 1;
  }

  role role_;
  shape extents_, strides_;
  host_tensor<U> memory_, before_;
  decltype(allocate(std::declval<const B&>(), shape{})) device_;
  host_tensor<exact> twin_;
};

}  // namespace solens::testing
