// A view of host memory cannot be passed where a backend's own memory is meant.
#include <solens/testing/archetypes.hpp>

int main() {
  const solens::testing::archetype_backend<float> be(0);
  auto x = be.allocate({2, 3});
  solens::host_tensor<float> host({2, 3}, 1);
  be.upload(host.view(), x.view());
#if defined(SOLENS_MUST_FAIL)
  be.fill(1, host.view());
#else
  be.fill(1, x.view());
#endif
}
