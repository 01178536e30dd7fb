#include "words.hpp"

#include <algorithm>
#include <cmath>  // std::isfinite
#include <iostream>
#include <map>
#include <span>
#include <utility>  // std::as_const, std::move

#include <solens/core/atomic_file.hpp>
#include <solens/core/progress.hpp>
#include <solens/findings/description.hpp>
#include <solens/findings/text_dictionary.hpp>
#include <solens/model/embed_names.hpp>
#include <solens/weights/npy.hpp>
#include <solens/weights/safetensors_writer.hpp>

#include "backends.hpp"
#include "console.hpp"
#include "hashing.hpp"
#include "model_files.hpp"

namespace solens::program {
namespace {

namespace fs = std::filesystem;
using detail::json;

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

std::string name_of(dictionary_scaling scaling) {
  return scaling == dictionary_scaling::unit ? "unit" : "reference";
}

void report_duplicates(const std::vector<std::string>& duplicates) {
  if (duplicates.empty()) return;
  constexpr std::size_t shown = 5;
  std::string text =
      "words: dropped " + std::to_string(duplicates.size()) + " that an earlier line has, too: ";
  for (std::size_t i = 0; i < std::min(shown, duplicates.size()); ++i) {
    text += (i > 0 ? ", " : "") + duplicates[i];
  }
  std::cerr << text + (duplicates.size() > shown ? ", ...\n" : "\n");
}

void refuse_not_finite(host_view<const float> embeddings, const std::vector<std::string>& words,
                       const std::string& name) {
  for (index_t w = 0; w < embeddings.extent(0); ++w) {
    const auto row = row_of(embeddings, w);
    for (index_t j = 0; j < row.size; ++j) {
      if (std::isfinite(row[j])) continue;
      throw format_error("embed words", "finite embeddings",
                         "NaN or infinity for '" + words[static_cast<std::size_t>(w)] + "'", name);
    }
  }
}

/// The rows of `--word-embeddings` that belong to the words, in their order.
host_tensor<float> read_embeddings(const word_options& o, const word_list& list, index_t d_joint) {
  const npy_file file(o.embeddings);
  const auto n_lines = static_cast<index_t>(list.words.size() + list.duplicates.size());
  const shape expected{n_lines, d_joint};
  if (file.extents() != expected) {
    throw shape_error("embed words",
                      to_string(expected) + ", a row for each line of " + o.list +
                          " that holds a word, as wide as the model's joint space",
                      to_string(file.extents()), o.embeddings);
  }
  host_tensor<float> rows = file.tensor<float>();
  host_tensor<float> kept({std::ssize(list.words), d_joint});
  for (index_t w = 0; w < kept.extent(0); ++w) {
    const auto at = static_cast<index_t>(list.positions[static_cast<std::size_t>(w)]);
    std::copy_n(rows.data() + at * d_joint, d_joint, kept.data() + w * d_joint);
  }
  refuse_not_finite(kept, list.words, o.embeddings);
  return kept;
}

/// Everything that embeddings from a text tower depend on. What the tower reads, the tokens, speaks
/// for the tokenizer.
std::string cache_key(const common_options& common, const word_options& o, const word_list& list,
                      const text_config& c, const std::string& model_hash,
                      const bpe_tokenizer& tokenizer) {
  constexpr int format = 1;
  const std::vector<std::string> texts = fill_templates({prompt_template(o.sentence)}, list.words);
  host_tensor<index_t> tokens({std::ssize(texts), c.context_length});
  tokenizer.tokenize(texts, tokens);
  return json{{"format", format},
              {"solens", SOLENS_VERSION},
              {"model", model_hash},
              {"layers", c.n_layers},
              {"heads", c.n_heads},
              {"activation", program::name_of(c.act)},
              {"eps", c.eps},
              {"end token", c.end_token ? *c.end_token : -1},
              {"context", c.context_length},
              {"words", sha256(joined(list.words))},
              {"template", o.sentence},
              {"tokens", sha256_of(std::as_const(tokens).view())},
              {"backend", common.backend}}
      .dump();
}

template <tensor_backend B>
host_tensor<float> embed(const B& be, const common_options& common, const word_source& words) {
  const word_encoder& encoder = *words.encoder;
  const shape extents{std::ssize(words.list.words), encoder.model.config.d_joint};
  if (auto kept = encoder.cache.find(extents)) return std::move(*kept);
  const text_tower<B> tower = load_text_tower(be, encoder.model);
  const prompt_template sentence(words.options.sentence);
  progress bar("embed", "words", extents[0], {.style = progress_style_of_stderr(common.quiet)});
  auto rows = be.allocate(extents);
  const index_t n_cut = embed_names(be, tower, encoder.tokenizer, words.list.words,
                                    std::span(&sentence, 1), rows.view(), [&](index_t done) {
                                      bar.add(done - bar.done());
                                      throw_if_stopped();
                                    });
  bar.finish();
  if (n_cut > 0) {
    bar.report("words: " + std::to_string(n_cut) + " are longer than the text tower's context of " +
               std::to_string(tower.config().context_length) + " tokens, and were cut");
  }
  host_tensor<float> embeddings(extents);
  be.download(std::as_const(rows).view(), embeddings.view());
  refuse_not_finite(embeddings, words.list.words, encoder.model.weights.name());
  encoder.cache.keep(embeddings);
  return embeddings;
}

bool is_of_code(const std::string& tensor) {
  return tensor == "polysemy" || tensor.starts_with("code_");
}

/// A layer's file, written again with codes in it.
class layer_with_code {
 public:
  /// @param atoms       ascending
  /// @param dictionary  hash of what the codes refer to
  layer_with_code(const fs::path& from, const fs::path& to, const std::vector<index_t>& atoms,
                  const std::string& dictionary)
      : from_(from), atoms_(atoms), out_(to, tensors(), metadata(dictionary)) {
    for (const tensor_info& info : from_.tensors()) {
      if (is_of_code(info.name)) continue;
      if (info.type == dtype::i64) {
        out_.write(info.name, from_.view<index_t>(info.name));
      } else {
        out_.write(info.name, from_.view<float>(info.name));
      }
    }
  }

  host_view<const float> directions() const { return from_.view<float>("direction"); }

  /// Codes of the neurons from `first` on.
  void write(index_t first, const descriptions<float>& found) {
    out_.write_rows("code_atoms", first, found.codes.atoms.view());
    out_.write_rows("code_weights", first, found.codes.weights.view());
    for (std::size_t a = 0; a < found.codes.also.size(); ++a) {
      out_.write_rows(weights_name(atoms_[a]), first, found.codes.also[a].view());
    }
    out_.write_rows("code_cosine", first, found.cosine.view());
    out_.write_rows("polysemy", first, found.polysemy.view());
  }

  void commit() { out_.commit(); }

 private:
  static std::string weights_name(index_t size) { return "code_weights_" + std::to_string(size); }

  std::vector<tensor_info> tensors() const {
    std::vector<tensor_info> all;
    for (const tensor_info& info : from_.tensors()) {
      if (!is_of_code(info.name)) all.push_back(info);
    }
    const index_t n = directions().extent(0), m = atoms_.back();
    all.push_back({"code_atoms", dtype::i64, {n, m}});
    all.push_back({"code_weights", dtype::f32, {n, m}});
    for (index_t size : std::span(atoms_).first(atoms_.size() - 1)) {
      all.push_back({weights_name(size), dtype::f32, {n, size}});
    }
    all.push_back({"code_cosine", dtype::f32, {n}});
    all.push_back({"polysemy", dtype::f32, {n}});
    return all;
  }

  std::map<std::string, std::string> metadata(const std::string& dictionary) const {
    auto all = from_.metadata();
    all["dictionary"] = dictionary;
    return all;
  }

  safetensors_file from_;
  std::vector<index_t> atoms_;
  safetensors_writer out_;
};

/// Makes the dictionary that codes refer to, and writes it.
/// @param hash  gets the SHA-256 of its numbers
template <tensor_backend B>
typename B::tensor make_dictionary(const B& be, host_tensor<float> embeddings,
                                   dictionary_scaling scaling, const report_json& record,
                                   const fs::path& file, std::string& hash) {
  auto rows = be.allocate(embeddings.extents());
  be.upload(std::as_const(embeddings).view(), rows.view());
  auto dictionary = text_dictionary(be, std::as_const(rows).view(), scaling);
  be.download(std::as_const(dictionary).view(), embeddings.view());
  hash = sha256_of(std::as_const(embeddings).view());
  write_safetensors(file, {{"embeddings", std::as_const(embeddings).view()}},
                    {{"dictionary", hash}, {"words", record.dump()}});
  return dictionary;
}

/// Describes neurons, as many at a time as make what a pursuit sets up little.
template <tensor_backend B>
void describe_files(const B& be, const_view_of<B> dictionary, const omp_options& pursuit,
                    std::vector<layer_with_code>& files, bool quiet) {
  constexpr index_t at_once = 1024;
  index_t total = 0, exhausted = 0;
  for (const layer_with_code& file : files) total += file.directions().extent(0);
  progress bar("describe", "neurons", total, {.style = progress_style_of_stderr(quiet)});
  auto device = be.allocate({at_once, dictionary.extent(1)});
  for (layer_with_code& file : files) {
    const index_t n = file.directions().extent(0);
    for (index_t first = 0; first < n; first += at_once) {
      const auto rows = file.directions().slice(0, first, std::min(n, first + at_once));
      const auto part = device.view().slice(0, 0, rows.extent(0));
      be.upload(rows, part);
      const auto found = describe(be, dictionary, const_view_of<B>(part), pursuit);
      file.write(first, found);
      exhausted += found.codes.n_exhausted;
      bar.add(rows.extent(0));
      throw_if_stopped();
    }
    file.commit();
  }
  bar.finish();
  if (exhausted == 0) return;
  bar.report("words: " + std::to_string(exhausted) + " of " + std::to_string(total) +
             " neurons have fewer than " + std::to_string(pursuit.n_atoms) +
             ", as no other brings anything");
}

report_json record_of(const word_source& words) {
  const word_options& o = words.options;
  report_json record{{"list", o.list},
                     {"sha256", words.list_hash},
                     {"count", std::ssize(words.list.words)},
                     {"duplicates", std::ssize(words.list.duplicates)}};
  if (words.encoder) {
    record["embeddings"] = "text tower";
    record["template"] = o.sentence;
  } else {
    record["embeddings"] = o.embeddings;
    record["embeddings_sha256"] = words.embeddings_hash;
  }
  record["dictionary"] = name_of(o.scaling);
  record["atoms"] = o.atoms;
  return record;
}

}  // namespace

word_source open_words(const common_options& common, const word_options& o,
                       const clip_source* model, const std::string& model_hash, index_t d_joint) {
  word_source words{o, {}, {}, {}, {}, {}};
  if (!o.embeddings.empty()) {
    words.list = read_word_list(o.list);
    words.embeddings = read_embeddings(o, words.list, d_joint);
    words.embeddings_hash = sha256_of_file(o.embeddings);
  } else {
    const text_config& c = text_of(*model);
    bpe_tokenizer tokenizer = open_tokenizer(o.vocab, *model);
    words.list = read_word_list(o.list, &tokenizer);
    embedding_cache cache(o.cache, cache_key(common, o, words.list, c, model_hash, tokenizer));
    words.encoder.emplace(word_encoder{*model, std::move(tokenizer), std::move(cache)});
  }
  words.list_hash = sha256_of_file(o.list);
  report_duplicates(words.list.duplicates);
  return words;
}

host_tensor<float> embeddings_of(const common_options& common, const word_source& words) {
  if (!words.encoder) return words.embeddings.clone();
  host_tensor<float> result;
  with_backend(common, [&]<tensor_backend B>(const B& be) { result = embed(be, common, words); });
  return result;
}

json identity_of(const word_source& words) {
  return {{"--words", words.list_hash},           {"--word-embeddings", words.embeddings_hash},
          {"--template", words.options.sentence}, {"--vocab", words.options.vocab},
          {"--atoms", words.options.atoms},       {"--dictionary", name_of(words.options.scaling)}};
}

report_json describe_layers(const common_options& common, const word_source& words,
                            const std::vector<index_t>& layers, const fs::path& from,
                            const fs::path& to) {
  const report_json record = record_of(words);
  const std::vector<index_t>& atoms = words.options.atoms;
  write_file_atomically(to / "words.txt", joined(words.list.words));
  with_backend(common, [&]<tensor_backend B>(const B& be) {
    std::string hash;
    const auto dictionary = make_dictionary(be, embeddings_of(common, words), words.options.scaling,
                                            record, to / "dictionary.safetensors", hash);
    std::vector<layer_with_code> files;
    for (index_t layer : layers) {
      const std::string name = run_folder::layer_file(layer);
      files.emplace_back(from / name, to / name, atoms, hash);
    }
    describe_files(be, dictionary.view(),
                   {.n_atoms = atoms.back(), .also = {atoms.begin(), atoms.end() - 1}}, files,
                   common.quiet);
  });
  return record;
}

}  // namespace solens::program
