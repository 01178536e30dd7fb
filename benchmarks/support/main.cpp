#include <benchmark/benchmark.h>

// OpenBLAS's own name for the kernels that it chose; null with any other BLAS.
extern "C" [[gnu::weak]] char* openblas_get_corename();

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::AddCustomContext("blas",
                              openblas_get_corename
                                  ? std::string("OpenBLAS, kernels for ") + openblas_get_corename()
                                  : "not OpenBLAS");
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
