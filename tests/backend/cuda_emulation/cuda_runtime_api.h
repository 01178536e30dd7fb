#pragma once

// What solens uses of the CUDA runtime, on the CPU. A stream does nothing until something waits for
// it, so that what relies on more than the order of its stream, or lets go of memory too early,
// fails. Memory starts as NaN.

#include <cstddef>  // std::size_t
#include <cstdlib>  // std::malloc, std::free
#include <cstring>  // std::memcpy, std::memset
#include <deque>
#include <functional>
#include <map>
#include <set>

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInvalidConfiguration = 9,
  cudaErrorInvalidDevice = 101
};
inline const char* cudaGetErrorString(cudaError_t status) {
  switch (status) {
    case cudaSuccess: return "no error";
    case cudaErrorInvalidValue: return "invalid argument";
    case cudaErrorMemoryAllocation: return "out of memory";
    case cudaErrorInvalidConfiguration: return "invalid configuration argument";
    case cudaErrorInvalidDevice: break;
  }
  return "invalid device ordinal";
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }

inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = 1;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int device) {
  return device == 0 ? cudaSuccess : cudaErrorInvalidDevice;
}

// Streams and events.

struct CUstream_st {
  std::deque<std::function<void()>> waiting;
  std::size_t asked = 0, done = 0;

  void add(std::function<void()> work) {
    waiting.push_back(std::move(work));
    ++asked;
  }
  /// Does the first `count` pieces of work that were ever asked for.
  void run_to(std::size_t count) {
    while (done < count) {
      const auto work = std::move(waiting.front());
      waiting.pop_front();
      work();
      ++done;
    }
  }
};
using cudaStream_t = CUstream_st*;

struct CUevent_st {
  cudaStream_t stream = nullptr;
  std::size_t after = 0;
};
using cudaEvent_t = CUevent_st*;

namespace solens::emulation {

struct device_state {
  std::set<cudaStream_t> streams;
  std::map<const char*, std::size_t> device, pinned;  ///< address, bytes
};
inline device_state& state() {
  static device_state the;
  return the;
}
inline void run_all() {
  for (cudaStream_t s : state().streams) s->run_to(s->asked);
}

/// Whether a piece of memory holds all these bytes.
inline bool holds(const std::map<const char*, std::size_t>& pieces, const void* p,
                  std::size_t bytes) {
  auto piece = pieces.upper_bound(static_cast<const char*>(p));
  if (piece == pieces.begin()) return false;
  --piece;
  return static_cast<const char*>(p) + bytes <= piece->first + piece->second;
}

inline cudaError_t allocate(std::map<const char*, std::size_t>& pieces, void** p,
                            std::size_t bytes) {
  *p = std::malloc(bytes);
  if (*p == nullptr) return cudaErrorMemoryAllocation;
  std::memset(*p, 0xff, bytes);
  pieces.emplace(static_cast<const char*>(*p), bytes);
  return cudaSuccess;
}
inline cudaError_t release(std::map<const char*, std::size_t>& pieces, void* p) {
  run_all();
  if (pieces.erase(static_cast<const char*>(p)) == 0) return cudaErrorInvalidValue;
  std::free(p);
  return cudaSuccess;
}

}  // namespace solens::emulation

constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2;

inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new CUstream_st;
  solens::emulation::state().streams.insert(*stream);
  return cudaSuccess;
}
inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  stream->run_to(stream->asked);
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  stream->run_to(stream->asked);
  solens::emulation::state().streams.erase(stream);
  delete stream;
  return cudaSuccess;
}
inline cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  *event = new CUevent_st;
  return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}
inline cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  *event = {stream, stream->asked};
  return cudaSuccess;
}
inline cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->stream != nullptr) event->stream->run_to(event->after);
  return cudaSuccess;
}
inline cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  stream->add([of = *event] {
    if (of.stream != nullptr) of.stream->run_to(of.after);
  });
  return cudaSuccess;
}

// Memory.

inline cudaError_t cudaMalloc(void** p, std::size_t bytes) {
  return solens::emulation::allocate(solens::emulation::state().device, p, bytes);
}
inline cudaError_t cudaFree(void* p) {
  return solens::emulation::release(solens::emulation::state().device, p);
}
inline cudaError_t cudaMallocHost(void** p, std::size_t bytes) {
  return solens::emulation::allocate(solens::emulation::state().pinned, p, bytes);
}
inline cudaError_t cudaFreeHost(void* p) {
  return solens::emulation::release(solens::emulation::state().pinned, p);
}

enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
/// Host memory must be pinned: only then is the real one asynchronous.
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, std::size_t bytes,
                                   cudaMemcpyKind kind, cudaStream_t stream) {
  const auto& s = solens::emulation::state();
  const bool up = kind == cudaMemcpyHostToDevice;
  if (!solens::emulation::holds(up ? s.device : s.pinned, to, bytes) ||
      !solens::emulation::holds(up ? s.pinned : s.device, from, bytes)) {
    return cudaErrorInvalidValue;
  }
  stream->add([=] { std::memcpy(to, from, bytes); });
  return cudaSuccess;
}
