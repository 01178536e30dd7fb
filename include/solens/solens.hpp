#pragma once

// All of solens that needs nothing but the standard library. Headers that use a third-party library
// are included by name: <solens/backend/eigen.hpp>, and those of the components files and images.

#include <solens/backend/checks.hpp>
#include <solens/backend/concept.hpp>
#include <solens/backend/ops.hpp>
#include <solens/backend/reference.hpp>
#include <solens/core/error.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/core/shape.hpp>
#include <solens/core/tensor_view.hpp>
#include <solens/model/config.hpp>
#include <solens/model/lens_inputs.hpp>
#include <solens/model/weights.hpp>
