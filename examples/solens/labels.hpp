#pragma once

#include <string>
#include <vector>

#include <solens/core/shape.hpp>

#include "options.hpp"

namespace solens::program {

/// The right class of every image of an input, by position.
///
/// Labels are the class folders that images lie in, sorted by name or in the order of `classes`,
/// or the numbers of an .npy file.
/// @param n_images   of the input
/// @param n_classes  of the classifier
/// @param classes    names in the classifier's order; empty: the sorted folders' names
/// @throws argument_error, shape_error naming folder, class or file: a class without images, a
///         folder that is no class, a number that is none, another number of labels than images
std::vector<index_t> labels_of(const image_options&, const std::string& label_ids, index_t n_images,
                               index_t n_classes, const std::vector<std::string>& classes);

}  // namespace solens::program
