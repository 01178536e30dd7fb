#pragma once

#include <string>

#include "run_folder.hpp"
#include "toyland/data_set.hpp"

namespace solens::program {

/// A handful of findings, for people to read: neurons that say one thing, neurons that say two,
/// and the layers, each with how far it is true of the scenes.
/// @param folder  a run with words of toyland, over all pictures of `scenes`
std::string findings_to_read(const run_folder& folder, const toyland::data_set_options& scenes);

}  // namespace solens::program
