// A backend that lacks one operation is refused by an error that names it.
#include <solens/backend/reference.hpp>

struct almost_a_backend : solens::reference_backend<float> {
#if defined(SOLENS_MUST_FAIL)
  void softmax() const;  // hides the one that is inherited
#endif
};

template <solens::tensor_backend B>
void algorithm(const B&) {}

int main() { algorithm(almost_a_backend()); }
