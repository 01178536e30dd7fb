#pragma once

#include <cuda_runtime.h>

#include <solens/backend/cuda/rows.cuh>

namespace solens::cuda {

/// out = softmax(scale q k^T) v for 16 queries of one head, with the scores of 32 keys at a time in
/// registers: a warp for four queries; a lane for each key, and then for every 32nd feature. What
/// is summed is rescaled when a larger score comes (online softmax, arXiv 1805.02867).
///
/// @tparam D  features, a multiple of 32; those beyond `of.d` are zeros
template <class T, int D>
class attention_tile {
 public:
  static constexpr int warps = 4, per_warp = 4, keys = 32;
  static constexpr int queries = warps * per_warp, threads = 32 * warps;

  struct memory {
    T q[queries][D], k[keys][D + 1], v[keys][D];  // D + 1: a bank of its own for each lane's key
    T share[warps][keys][per_warp];
  };

  __device__ attention_tile(memory& shared, const attention_of<T>& of, index_t image, index_t head,
                            index_t query)
      : shared_(shared),
        of_(of),
        image_(image),
        head_(head),
        query_(query + per_warp * (threadIdx.x / 32)),
        lane_(static_cast<int>(threadIdx.x % 32)),
        warp_(static_cast<int>(threadIdx.x / 32)) {
    for (int r = 0; r < per_warp; ++r) {
      largest_[r] = -infinity<T>;
      sum_[r] = 0;
      for (int c = 0; c < D / 32; ++c) out_[r][c] = 0;
    }
    __syncthreads();  // the block's tile before has been read
    load(shared_.q, of.q, query, of.queries, of.scale);
    const index_t end = query + queries < of.queries ? query + queries : of.queries;
    for (index_t token = 0; token < seen_by(end - 1); token += keys) {
      __syncthreads();
      load(shared_.k, of.k, token, of.tokens, T{1});
      load(shared_.v, of.v, token, of.tokens, T{1});
      __syncthreads();
      score(token);
      __syncwarp();
      add_values();
    }
    write();
  }

 private:
  /// Rows from `begin` on; zeros where there is none.
  template <int Rows, int Stride>
  __device__ void load(T (&to)[Rows][Stride], const attention_operand<const T>& from, index_t begin,
                       index_t end, T factor) const {
    const T* rows = from.head(image_, head_);
    for (int e = static_cast<int>(threadIdx.x); e < Rows * D; e += threads) {
      const int row = e / D, feature = e % D;
      const bool there = begin + row < end && feature < of_.d;
      to[row][feature] =
          there ? factor * rows[(begin + row) * from.strides[2] + feature * from.strides[3]] : T{0};
    }
  }

  /// How many tokens a query sees.
  __device__ index_t seen_by(index_t query) const {
    return of_.causal ? of_.tokens - of_.queries + query + 1 : of_.tokens;
  }

  /// The shares of the tile's keys, and what they do to those before.
  __device__ void score(index_t first_token) {
    T score[per_warp] = {};
    for (int feature = 0; feature < D; ++feature) {
      const T key = shared_.k[lane_][feature];
      for (int r = 0; r < per_warp; ++r) {
        score[r] += shared_.q[warp_ * per_warp + r][feature] * key;
      }
    }
    for (int r = 0; r < per_warp; ++r) {
      const index_t token = first_token + lane_;
      const bool seen = query_ + r < of_.queries && token < seen_by(query_ + r);
      if (!seen) score[r] = -infinity<T>;
      if (seen && query_ + r == 0 && of_.first.data != nullptr) pattern(token) = score[r];
      const T largest = larger()(largest_[r], reduce_warp(score[r], larger()));
      const T base = largest == -infinity<T> ? T{0} : largest;  // else all NaN from here on
      const T share = exp(score[r] - base), rescale = exp(largest_[r] - base);
      largest_[r] = largest;
      sum_[r] = sum_[r] * rescale + reduce_warp(share, add());
      for (int c = 0; c < D / 32; ++c) out_[r][c] *= rescale;
      shared_.share[warp_][lane_][r] = share;
    }
  }

  __device__ void add_values() {
    for (int key = 0; key < keys; ++key) {
      for (int c = 0; c < D / 32; ++c) {
        const T value = shared_.v[key][lane_ + 32 * c];
        for (int r = 0; r < per_warp; ++r) out_[r][c] += shared_.share[warp_][key][r] * value;
      }
    }
  }

  __device__ void write() const {
    T* out = of_.out.head(image_, head_);
    for (int r = 0; r < per_warp && query_ + r < of_.queries; ++r) {
      for (int c = 0; c < D / 32; ++c) {
        const int feature = lane_ + 32 * c;
        if (feature >= of_.d) continue;
        out[(query_ + r) * of_.out.strides[2] + feature * of_.out.strides[3]] =
            out_[r][c] / sum_[r];
      }
    }
    if (query_ != 0 || of_.first.data == nullptr) return;
    // Each lane has left the scores that it reads here.
    for (index_t token = lane_; token < of_.tokens; token += 32) {
      pattern(token) = token < seen_by(0) ? exp(pattern(token) - largest_[0]) / sum_[0] : T{0};
    }
  }

  __device__ T& pattern(index_t token) const {
    return of_.first.head(image_, head_)[token * of_.first.strides[2]];
  }

  memory& shared_;
  const attention_of<T>& of_;
  index_t image_, head_, query_;
  int lane_, warp_;
  T largest_[per_warp], sum_[per_warp], out_[per_warp][D / 32];
};

template <class T, int D>
__global__ void __launch_bounds__(attention_tile<T, D>::threads)
    attend(const attention_of<T> of, index_t tiles) {
  using tile = attention_tile<T, D>;
  __shared__ typename tile::memory shared;
  const index_t n_tiles = (of.queries + tile::queries - 1) / tile::queries;
  for (index_t t = blockIdx.x; t < tiles; t += gridDim.x) {
    const index_t head = t / n_tiles;
    tile(shared, of, head / of.heads, head % of.heads, t % n_tiles * tile::queries);
  }
}

template <class T>
void attention(cudaStream_t stream, const attention_of<T>& of) {
  constexpr int widest = most_attended<T>;
  using tile = attention_tile<T, 64>;
  const index_t tiles = of.images * of.heads * ((of.queries + tile::queries - 1) / tile::queries);
  if (tiles == 0) return;
  auto* kernel = of.d <= 64 ? attend<T, 64> : attend<T, widest>;
  launch(stream, tiles, tile::threads, kernel, of, tiles);
}

}  // namespace solens::cuda
