#pragma once

#include <cstddef>  // std::size_t
#include <string>
#include <vector>

#include "options.hpp"

/// The commands, a .cpp each, which declares its options and does the work.
namespace solens::program {

void add_demo(command_line&);
void add_info(command_line&);
void add_encode(command_line&);
void add_tokenize(command_line&);
void add_preprocess(command_line&);
void add_decompose(command_line&);
void add_effects(command_line&);
void add_analyze(command_line&);
void add_describe(command_line&);
void add_ablate(command_line&);
void add_segment(command_line&);
void add_heads(command_line&);
void add_pairs(command_line&);
void add_report(command_line&);
void add_concepts(command_line&);
void add_adversarial(command_line&);

// What the demo calls too. They return when all is written and throw otherwise.

struct analyze_call {
  common_options common;
  model_options model;
  image_options input;
  word_options words;
  std::vector<index_t> layers;  ///< empty: all that have later blocks
  index_t top = 100;
  convention how = convention::centered;
  double coefficient = 100;
  std::size_t memory = std::size_t{4} << 30;  ///< bytes
  double save_every = 60;                     ///< seconds between two states on disk
  std::string out;
};
void run_analyze(const analyze_call&);

struct report_call {
  common_options common;
  model_options model;  ///< empty: the one that the run names
  std::string run;
  std::string ablation;  ///< JSON of `ablate`; empty: what the run folder holds, if anything
  index_t top = 24;      ///< images shown of each neuron
  std::size_t thumbnails = std::size_t{20} << 20;  ///< bytes of the page for pictures; 0: none
  std::string out;                                 ///< empty: report.html in the run folder
};
/// Writes the page and prints its path.
void run_report(const report_call&);

}  // namespace solens::program
