#pragma once

#include "options.hpp"

/// The subcommands, a .cpp each. They return when all is written and throw otherwise.
namespace solens::program {

void run_demo(const demo_call&);
void run_info(const info_call&);
void run_encode(const encode_call&);
void run_tokenize(const tokenize_call&);
void run_preprocess(const preprocess_call&);
void run_decompose(const decompose_call&);
void run_effects(const effects_call&);
void run_analyze(const analyze_call&);
void run_describe(const describe_call&);
void run_ablate(const ablate_call&);
void run_segment(const segment_call&);
void run_heads(const heads_call&);
void run_pairs(const pairs_call&);
void run_concepts(const concepts_call&);
void run_adversarial(const adversarial_call&);

/// Writes the page and prints its path.
void run_report(const report_call&);

}  // namespace solens::program
