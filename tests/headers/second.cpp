#include "everything.hpp"

int second();

int second() { return 0; }
