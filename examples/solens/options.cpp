#include "options.hpp"

#include <algorithm>  // std::sort, std::unique

namespace solens::program {

void add_common(option_group command, common_options& o) {
  command.number("--threads", o.threads, "Threads [all usable CPUs]").within(1, 4096);
  command.text("--backend", o.backend, "What computes [auto]", "B")
      .among({"auto", "eigen", "xtensor", "cuda", "reference"});
  command.size("--device-memory", o.device_memory, "Memory of a GPU to stay within [all]", "BYTES");
  command.number("--batch", o.batch, "Images or texts at a time [32]").within(1, 65536);
  command.flag("--quiet", o.quiet, "Show no progress");
}

void add_model(option_group command, model_options& o) {
  add_model(command, command, o).required();
}

option add_model(option_group command, option_group among, model_options& o) {
  const option model = among.path(
      "--model", o.model,
      "Folder or .safetensors file of the model: Hugging Face, open_clip or OpenAI names", "M");
  command.path("--config", o.config, "Configuration to use instead of the model's own")
      .needs(model);
  return model;
}

void add_run(option_group command, std::string& run, const std::string& what) {
  command.path("--run", run, what, "DIR").required();
}

void add_model_of_run(option_group command, model_options& o) {
  const option model =
      command.path("--model", o.model, "The model of the run [where the run found it]", "M");
  command.path("--config", o.config, "Configuration to use instead of the model's own")
      .needs(model);
}

option add_images(option_group command, option_group among, image_options& o) {
  const option images = among.path(
      "--images", o.images, "Folder (recursive, sorted), or text file with a path a line", "PATH");
  command
      .text("--labels", o.labels, "folders: each image lies in the folder of its class", "folders")
      .among({"folders"})
      .needs(images);
  command.flag("--strict", o.strict, "An image that cannot be decoded ends the run");
  return images;
}

void add_pixels(option_group among, image_options& o) {
  among.path("--pixels", o.pixels,
             "Preprocessed images, float32 [images, 3, H, W]: F.safetensors[:tensor] or F.npy",
             "F");
}

void add_input(option_group command, image_options& o) {
  const option_group one = command.one_of("Input, one of");
  add_images(command, one, o);
  add_pixels(one, o);
}

void add_label_ids(option_group command, std::string& file) {
  command.path("--label-ids", file, "Class numbers from 0, one an image: F.npy", "F");
}

option add_vocab(option_group command, std::string& place) {
  return command.path(
      "--vocab", place,
      "Tokenizer of its own: a BPE table (bpe_simple_vocab_16e6.txt.gz), a tokenizer.json, a "
      "folder");
}

option add_texts(option_group command, std::string& file) {
  return command.path("--texts", file, "Text file, a text a line; - for standard input");
}

option add_word_list(option_group command, word_options& o) {
  const option list = command.path("--words", o.list, "Words or phrases, one a line");
  const option embeddings = command
                                .path("--word-embeddings", o.embeddings,
                                      "Their embeddings [words, E], .npy, a row for each line that "
                                      "holds a word [the text tower's]")
                                .needs(list);
  command.text("--template", o.sentence, "Sentence that a word stands in, at {} [{}]")
      .check([](const std::string& text) -> std::string {
        const auto place = text.find("{}");
        if (place != text.npos && text.find("{}", place + 2) == text.npos) return {};
        return "expected one {} for the word, got '" + text + "'";
      })
      .needs(list)
      .excludes(embeddings);
  command
      .path("--cache", o.cache,
            "Where embeddings are kept for later [$XDG_CACHE_HOME/solens or ~/.cache/solens]",
            "DIR")
      .needs(list)
      .excludes(embeddings);
  return list;
}

option add_words(option_group command, word_options& o) {
  const option list = add_word_list(command, o);
  add_vocab(command, o.vocab).needs(list).excludes(command.get("--word-embeddings"));
  const auto take_atoms = [&o](const std::string& text) {
    o.atoms = numbers_in("--atoms", text);
    std::sort(o.atoms.begin(), o.atoms.end());
    o.atoms.erase(std::unique(o.atoms.begin(), o.atoms.end()), o.atoms.end());
    if (o.atoms.front() < 1 || o.atoms.back() > 1024) {
      throw usage_error("--atoms: expected numbers from 1 to 1024, got " + text);
    }
  };
  command
      .read("--atoms", take_atoms,
            "Words a neuron; of several numbers, as in 4,8,16, the weights are kept of each [32]",
            "LIST")
      .needs(list);
  const auto take_scaling = [&o](const std::string& name) {
    o.scaling = name == "unit" ? dictionary_scaling::unit : dictionary_scaling::reference;
  };
  command
      .read("--dictionary", take_scaling,
            "How embeddings are scaled: unit, by word, or reference, by coordinate [unit]", "D")
      .among({"unit", "reference"})
      .needs(list);
  return list;
}

option add_classes(option_group command, option_group among, class_options& o) {
  among.path("--classifier", o.classifier, "Class embeddings: F.npy [E, classes]", "F");
  const option classes = among.path("--classes", o.classes, "Text file, a class name a line");
  add_templates(command, o.templates, "Text file, a sentence with {} a line [a photo of a {}.]")
      .needs(classes);
  return classes;
}

option add_templates(option_group command, std::string& file, const std::string& what) {
  return command.path("--templates", file, what);
}

void add_lens(option_group command, convention& how, double& coefficient) {
  const auto take_convention = [&how](const std::string& name) {
    how = name == "reference" ? convention::reference : convention::centered;
  };
  command
      .read("--convention", take_convention,
            "How means and biases are shared out: centered or reference [centered]", "C")
      .among({"centered", "reference"});
  command.number("--coefficient", coefficient, "Norm that representations are scaled to [100]", "X")
      .positive();
}

void add_count(option_group command, const std::string& name, index_t& count,
               const std::string& what) {
  command.number(name, count, what).within(1, 1'000'000);
}

void add_memory(option_group command, std::size_t& bytes) {
  command.size("--memory", bytes,
               "Memory for the layers; several passes where they need more [4GB]");
}

void add_array_output(option_group command, std::string& file, const std::string& shape) {
  command.text("--out", file, "Where " + shape + " float32 goes: .npy or .safetensors", "FILE")
      .ends_in({".npy", ".safetensors"})
      .required();
}

void add_json_output(option_group command, std::string& file) {
  command.path("--out", file, "Where the JSON goes [standard output]");
}

}  // namespace solens::program
