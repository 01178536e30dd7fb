#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <vector>

#include <solens/core/dtype.hpp>
#include <solens/core/shape.hpp>
#include <solens/core/tensor_view.hpp>

namespace solens {

/// What a file says of one of its tensors.
struct tensor_info {
  std::string name;
  dtype type = dtype::f32;
  shape extents;
};

/// Anything that named tensors can be read from: a safetensors file, several of them, an .npz.
///
/// `tensors()` lists what there is. `read(name, out)` fills a view of any strides, converting to
/// its number type, and throws `shape_error` where the extents differ, `argument_error` where
/// there is no such tensor, both naming file and tensor; what it has read it need not keep in
/// memory. `name()` is for messages: the file.
template <class S>
concept weight_source = requires(const S& source, std::string_view name, host_view<float> floats,
                                 host_view<double> doubles) {
  { source.tensors() } -> std::same_as<const std::vector<tensor_info>&>;
  source.read(name, floats);
  source.read(name, doubles);
  { source.name() } -> std::convertible_to<std::string>;
};

}  // namespace solens
