// A fused operation that is declared but not there is an error, not a silent detour.
#include <solens/backend/ops.hpp>
#include <solens/backend/reference.hpp>

struct fast_in_words : solens::reference_backend<float> {
#if defined(SOLENS_MUST_FAIL)
  static constexpr solens::fused_op fused = solens::fused_op::bias_activation;
#endif
};

int main() {
  const fast_in_words be;
  auto x = be.allocate({2, 3});
  auto bias = be.allocate({3});
  be.fill(1, x.view());
  be.fill(1, bias.view());
  solens::ops::bias_activation<fast_in_words>(be, solens::activation::gelu, bias.view(), x.view());
}
