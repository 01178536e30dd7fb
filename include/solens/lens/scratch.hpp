#pragma once

#include <optional>

#include <solens/backend/concept.hpp>

namespace solens {

/// Memory that a lens keeps from call to call: it grows to the largest extents asked for and
/// stays, so that a batch like the one before allocates nothing.
template <tensor_backend B>
class scratch {
 public:
  /// A contiguous, uninitialised view; the view before it must no longer be used.
  view_of<B> get(const B& be, const shape& extents) {
    const index_t size = extents.size();
    if (!memory_ || size > capacity_) {
      memory_.reset();  // first, so that the two never stand side by side
      memory_.emplace(be.allocate(shape{size}));
      capacity_ = size;
    }
    return {memory_->view().data(), extents};
  }

 private:
  std::optional<typename B::tensor> memory_;
  index_t capacity_ = 0;
};

}  // namespace solens
