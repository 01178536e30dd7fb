// A view of const elements is no output.
#include <solens/backend/reference.hpp>

int main() {
  const solens::reference_backend<float> be;
  auto x = be.allocate({3});
#if defined(SOLENS_MUST_FAIL)
  be.fill(1, std::as_const(x).view());
#else
  be.fill(1, x.view());
#endif
}
