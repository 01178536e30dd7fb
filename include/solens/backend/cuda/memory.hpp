#pragma once

#include <algorithm>  // std::max
#include <bit>        // std::bit_ceil
#include <cstddef>    // std::size_t
#include <map>
#include <string>
#include <unordered_map>

#include <solens/backend/cuda/error.hpp>
#include <solens/core/shape.hpp>

namespace solens::cuda {

/// A device's memory in pieces, kept for the next one who asks, within a budget.
///
/// A piece that is given back may be handed out at once, though the work that used it may still be
/// under way: all of it is on one stream, where what comes next runs after. Used by one thread at a
/// time.
class memory_pool {
 public:
  /// @param budget  bytes at most; 0 for as many as the device has
  explicit memory_pool(std::size_t budget) : budget_(budget) {}
  memory_pool(const memory_pool&) = delete;
  memory_pool& operator=(const memory_pool&) = delete;
  ~memory_pool() {
    for (const auto& [piece, size] : sizes_) cudaFree(piece);
  }

  /// At least so many bytes, aligned to 256; not initialised.
  /// @throws out_of_memory
  void* take(std::size_t bytes) {
    const std::size_t size = rounded(bytes);
    const auto kept = kept_.lower_bound(size);
    if (kept != kept_.end() && kept->first <= 2 * size) {
      void* piece = kept->second;
      kept_.erase(kept);
      return piece;
    }
    void* piece = allocate(size);
    if (piece == nullptr) {
      release();
      piece = allocate(size);
    }
    if (piece == nullptr) refuse(bytes);
    sizes_.emplace(piece, size);
    held_ += size;
    return piece;
  }

  void give_back(void* piece) { kept_.emplace(sizes_.at(piece), piece); }

  /// Bytes in use, and kept for use.
  std::size_t held() const { return held_; }

  /// Hands what is not in use back to the device. Waits for all work on it.
  void release() {
    for (const auto& [size, piece] : kept_) {
      check(cudaFree(piece), "free device memory");
      sizes_.erase(piece);
      held_ -= size;
    }
    kept_.clear();
  }

 private:
  /// Few different sizes, an eighth apart, so that a piece fits again.
  static std::size_t rounded(std::size_t bytes) {
    const std::size_t step = std::max<std::size_t>(512, std::bit_ceil(bytes) / 8);
    return (std::max<std::size_t>(1, bytes) + step - 1) / step * step;
  }

  void* allocate(std::size_t size) const {
    if (budget_ > 0 && held_ + size > budget_) return nullptr;
    void* piece = nullptr;
    const cudaError_t status = cudaMalloc(&piece, size);
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      return nullptr;
    }
    check(status, "allocate device memory");
    return piece;
  }

  [[noreturn]] void refuse(std::size_t bytes) const {
    const auto megabytes = [](std::size_t n) {
      return std::to_string((n + 999999) / 1000000) + " MB";
    };
    const std::string room =
        budget_ > 0 ? "the budget's " + megabytes(budget_) : "what the device has";
    throw out_of_memory(
        "allocate device memory",
        room + " to be enough: take fewer images, or neurons, at a time, or allow more",
        megabytes(bytes) + " asked for beside " + megabytes(held_) + " in use");
  }

  std::size_t budget_, held_ = 0;
  std::unordered_map<void*, std::size_t> sizes_;  ///< of every piece
  std::multimap<std::size_t, void*> kept_;        ///< those not in use
};

}  // namespace solens::cuda
