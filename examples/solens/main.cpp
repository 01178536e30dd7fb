// The program `solens`.

#include "commands.hpp"
#include "console.hpp"

int main(int argc, char** argv) {
  using namespace solens::program;
  set_up_console();
  command_line line("Says in words what single neurons of a CLIP do.");
  add_demo(line);
  add_info(line);
  add_encode(line);
  add_tokenize(line);
  add_preprocess(line);
  add_decompose(line);
  add_effects(line);
  add_analyze(line);
  add_describe(line);
  add_ablate(line);
  add_segment(line);
  add_heads(line);
  add_pairs(line);
  add_report(line);
  add_concepts(line);
  add_adversarial(line);
  return line.run(argc, argv);
}
