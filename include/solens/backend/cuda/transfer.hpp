#pragma once

#include <cuda_runtime_api.h>

#include <algorithm>  // std::min
#include <array>
#include <cstddef>  // std::size_t
#include <memory>
#include <type_traits>
#include <utility>  // std::move

#include <solens/backend/cuda/context.hpp>
#include <solens/backend/cuda/kernels.hpp>
#include <solens/core/tensor_view.hpp>

namespace solens::cuda {

/// Copies between host and device by way of a ring of slots, each of pinned host memory and as much
/// of the device's, so that neither side waits for the other's: the caller's memory is free when
/// `upload` returns, the bytes cross while earlier work still runs, and a kernel then puts them
/// where that work may have been.
class transfer {
 public:
  explicit transfer(std::shared_ptr<context> of) : context_(std::move(of)) {}
  transfer(const transfer&) = delete;
  transfer& operator=(const transfer&) = delete;
  ~transfer() { context_->finish(); }

  /// Waits only where the ring is full: for its oldest slot.
  template <class U, class Space>
  void upload(const host_view<const U>& from, const tensor_view<U, Space>& to) {
    const index_t at_once = slot_bytes / index_t{sizeof(U)};
    const walk elements(to.extents(), {row_major_strides(to.extents()), to.strides()}, true);
    for (index_t begin = 0; begin < from.size(); begin += at_once) {
      const index_t end = std::min(from.size(), begin + at_once);
      slot& s = next();
      U* packed = static_cast<U*>(s.pinned.get());
      each_element(from, begin, end, [&packed](const U& element) { *packed++ = element; });
      check(cudaMemcpyAsync(s.device.get(), s.pinned.get(), bytes<U>(end - begin),
                            cudaMemcpyHostToDevice, context_->copies()),
            "upload");
      check(cudaEventRecord(s.crossed.get(), context_->copies()), "upload");
      const cudaStream_t stream = context_->stream();
      check(cudaStreamWaitEvent(stream, s.crossed.get(), 0), "upload");
      unpack(stream, elements, begin, end, reinterpret_cast<const U*>(s.device.get()), to.data());
      check(cudaEventRecord(s.done.get(), stream), "upload");
    }
  }

  /// Waits for all earlier work, and for the copy.
  template <class U, class Space>
  void download(const tensor_view<const U, Space>& from, const host_view<U>& to) {
    const index_t at_once = slot_bytes / index_t{sizeof(U)};
    const walk elements(from.extents(), {row_major_strides(from.extents()), from.strides()}, true);
    slot* pending = nullptr;
    index_t pending_begin = 0;
    const auto finish = [&](index_t end) {
      check(cudaEventSynchronize(pending->done.get()), "download");
      const U* packed = static_cast<const U*>(pending->pinned.get());
      each_element(to, pending_begin, end, [&packed](U& element) { element = *packed++; });
    };
    for (index_t begin = 0; begin < from.size(); begin += at_once) {
      const index_t end = std::min(from.size(), begin + at_once);
      slot& s = next();
      const cudaStream_t stream = context_->stream();
      pack(stream, elements, begin, end, reinterpret_cast<U*>(s.device.get()), from.data());
      check(cudaMemcpyAsync(s.pinned.get(), s.device.get(), bytes<U>(end - begin),
                            cudaMemcpyDeviceToHost, stream),
            "download");
      check(cudaEventRecord(s.done.get(), stream), "download");
      if (pending != nullptr) finish(begin);
      pending = &s;
      pending_begin = begin;
    }
    if (pending != nullptr) finish(from.size());
  }

 private:
  static constexpr index_t slot_bytes = index_t{4} << 20;

  struct free_pinned {
    void operator()(void* p) const { cudaFreeHost(p); }
  };
  struct destroy_event {
    void operator()(cudaEvent_t e) const { cudaEventDestroy(e); }
  };
  using event = std::unique_ptr<std::remove_pointer_t<cudaEvent_t>, destroy_event>;

  struct slot {
    std::unique_ptr<void, free_pinned> pinned;
    device_array<std::byte> device;
    event crossed, done;
  };

  template <class U>
  static std::size_t bytes(index_t elements) {
    return static_cast<std::size_t>(elements) * sizeof(U);
  }

  /// The oldest slot, when it is free.
  slot& next() {
    slot& s = slots_[next_];
    next_ = (next_ + 1) % slots_.size();
    if (s.pinned == nullptr) {
      // Memory from the pool may still be in use on that stream, and copies are on another.
      check(cudaStreamSynchronize(context_->stream()), "make room for copies");
      void* pinned = nullptr;
      check(cudaMallocHost(&pinned, static_cast<std::size_t>(slot_bytes)), "pin host memory");
      s.pinned.reset(pinned);
      s.device = device_array<std::byte>(context_, slot_bytes);
      s.crossed = new_event();
      s.done = new_event();
    } else {
      check(cudaEventSynchronize(s.done.get()), "wait for a copy");
    }
    return s;
  }

  static event new_event() {
    cudaEvent_t e = nullptr;
    check(cudaEventCreateWithFlags(&e, cudaEventDisableTiming), "make an event");
    return event(e);
  }

  /// Calls f on elements [begin, end) in row-major order.
  template <class U, class F>
  static void each_element(const host_view<U>& x, index_t begin, index_t end, const F& f) {
    while (begin < end) {
      const index_t width = x.rank() == 0 ? 1 : x.extents()[x.rank() - 1];
      const auto row = row_of(x, begin / width);
      const index_t first = begin % width, last = std::min(width, first + end - begin);
      for (index_t i = first; i < last; ++i) f(row[i]);
      begin += last - first;
    }
  }

  std::shared_ptr<context> context_;
  std::array<slot, 4> slots_;
  std::size_t next_ = 0;
};

}  // namespace solens::cuda
