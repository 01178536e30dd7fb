#pragma once

#include <solens/backend/cuda/attention.cuh>
#include <solens/backend/cuda/elementwise.cuh>
#include <solens/backend/cuda/lanczos.cuh>
#include <solens/backend/cuda/matrices.cuh>
#include <solens/backend/cuda/rows.cuh>
#include <solens/backend/cuda/top_k.cuh>

// Every kernel for every type: what a program that uses the backend is linked with.

namespace solens::cuda {

#define SOLENS_FOR_ELEMENTS(T)                                                        \
  template void unpack<T>(cudaStream_t, const walk&, index_t, index_t, const T*, T*); \
  template void pack<T>(cudaStream_t, const walk&, index_t, index_t, T*, const T*);   \
  template void copy<T>(cudaStream_t, const walk&, const T*, T*);                     \
  template void fill<T>(cudaStream_t, const walk&, T, T*);

#define SOLENS_FOR_SCALARS(T)                                                                      \
  SOLENS_FOR_ELEMENTS(T)                                                                           \
  template void axpby<T>(cudaStream_t, const walk&, T, const T*, T, T*);                           \
  template void multiply<T>(cudaStream_t, const walk&, const T*, const T*, T*);                    \
  template void divide<T>(cudaStream_t, const walk&, const T*, const T*, T*);                      \
  template void add_bias<T>(cudaStream_t, const walk&, const T*, T*);                              \
  template void activate<T>(cudaStream_t, const walk&, activation, const T*, T*);                  \
  template void bias_activation<T>(cudaStream_t, const walk&, activation, const T*, T*);           \
  template void gather<T>(cudaStream_t, const walk&, index_t, index_t, const T*, const index_t*,   \
                          T*, index_t*);                                                           \
  template void softmax<T>(cudaStream_t, const walk&, index_t, T, line<const T>, line<T>);         \
  template void layer_norm<T>(cudaStream_t, const walk&, index_t, line<const T>, line<T>,          \
                              line<const T>, line<const T>, T, line<T>, T*, T*);                   \
  template void row_norms<T>(cudaStream_t, const walk&, index_t, line<const T>, T*);               \
  template void top_k<T>(cudaStream_t, const walk&, index_t, index_t, line<const T>, line<T>,      \
                         line<index_t>);                                                           \
  template void search<T>(cudaStream_t, const walk&, index_t, search_for, line<const T>, T*,       \
                          index_t*);                                                               \
  template void attention<T>(cudaStream_t, const attention_of<T>&);                                \
  template void factorise<T>(cudaStream_t, index_t, index_t, bool, matrices<const T>,              \
                             matrices<T>);                                                         \
  template void solve<T>(cudaStream_t, index_t, index_t, index_t, matrices<const T>, matrices<T>); \
  template void symmetric<T>(cudaStream_t, index_t, index_t, matrices<const T>, T*, int*);         \
  template void leading_pairs<T>(cudaStream_t, index_t, index_t, index_t, const T*, const T*,      \
                                 const int*, matrices<T>, matrices<T>);                            \
  template void lanczos<T>(cudaStream_t, index_t, index_t, const T*, const int*, T*, double*,      \
                           matrices<T>, matrices<T>);

SOLENS_FOR_SCALARS(float)
SOLENS_FOR_SCALARS(double)
SOLENS_FOR_ELEMENTS(index_t)

#undef SOLENS_FOR_SCALARS
#undef SOLENS_FOR_ELEMENTS

}  // namespace solens::cuda
