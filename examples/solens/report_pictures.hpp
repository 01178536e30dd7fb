#pragma once

#include <string>
#include <vector>

#include <solens/core/host_tensor.hpp>
#include <solens/report/columns.hpp>

#include "commands.hpp"
#include "run_folder.hpp"

namespace solens::program {

/// The images that a report shows of each neuron, over all layers in order.
struct shown_images {
  std::vector<std::string> names;  ///< of all images of the run
  host_tensor<index_t> of_neuron;  ///< [neurons of all layers, shown]: positions among the names
};

/// Small pictures of images and where on them effects arise.
struct report_pictures {
  std::vector<report_column> columns;  ///< thumbnails and heat maps, see `data_js`; may be empty
  index_t count = 0;                   ///< images that have a picture
  index_t heat_ranks = 0;  ///< of each neuron, so many of its strongest have a heat map, too
  std::string note;        ///< what is missing and why; empty where nothing is
};

/// Runs the model over the images that stand highest with most neurons, until the budget is spent.
/// What is not there, images or the model, is said in the note and no error.
report_pictures make_pictures(const report_call&, const run_folder&, const report_json& record,
                              const shown_images&);

}  // namespace solens::program
