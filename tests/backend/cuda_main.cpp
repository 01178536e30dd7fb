#if __has_include(<catch2/catch_session.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#include <cstdio>
#include <string>

#include <solens/backend/cuda.hpp>

int main(int argc, char** argv) {
  const std::string why = solens::why_no_gpu();
  if (!why.empty()) {
    std::printf("not run: no GPU for the tests of the CUDA backend: %s\n", why.c_str());
    return 0;
  }
  return Catch::Session().run(argc, argv);
}
