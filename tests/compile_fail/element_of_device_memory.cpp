// Host code cannot read an element of a backend's own memory.
#include <solens/testing/archetypes.hpp>

int main() {
  const solens::testing::archetype_backend<float> be(0);
  auto x = be.allocate({2, 3});
  be.fill(1, x.view());
#if defined(SOLENS_MUST_FAIL)
  return static_cast<int>(x.view()(0, 0));
#else
  solens::host_tensor<float> host({2, 3});
  be.download(std::as_const(x).view(), host.view());
  return static_cast<int>(host(0, 0));
#endif
}
