#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>  // std::move

#include <solens/core/error.hpp>
#include <solens/core/json.hpp>
#include <solens/text/bpe_table.hpp>
#include <solens/text/bpe_tokenizer.hpp>

namespace solens::detail {

/// @throws what `read_text` does; format_error
inline json read_tokenizer_object(const std::filesystem::path& path) {
  return parse_json_object(read_text(path), "read tokenizer", path.string());
}

/// A place in tokenizer.json. Errors name the file and the path to the place.
class json_place {
 public:
  json_place(const json& value, std::string name) : value_(&value), name_(std::move(name)) {}

  const json& value() const { return *value_; }
  bool null() const { return value_->is_null(); }

  /// A member; a null place where there is none.
  json_place operator[](const std::string& key) const {
    static const json nothing;
    if (!null() && !value_->is_object()) fail("an object");
    const auto found = value_->find(key);
    return {null() || found == value_->end() ? nothing : *found, name_ + "/" + key};
  }
  json_place operator[](std::size_t i) const {
    if (i >= size()) fail("a list of " + std::to_string(i + 1) + " or more");
    return {(*value_)[i], name_ + "/" + std::to_string(i)};
  }

  std::size_t size() const {
    if (!value_->is_array()) fail("a list");
    return value_->size();
  }
  std::string text() const {
    if (!value_->is_string()) fail("a string");
    return value_->get<std::string>();
  }
  index_t id() const {
    if (!value_->is_number_integer() || value_->get<index_t>() < 0) fail("a token id");
    return value_->get<index_t>();
  }
  /// A flag that is false where it is not given.
  bool flag(const std::string& key) const {
    const json_place place = (*this)[key];
    if (!place.null() && !place.value_->is_boolean()) place.fail("true or false");
    return !place.null() && place.value_->get<bool>();
  }
  /// The member `type`, empty where it is not given.
  std::string type() const {
    const json_place place = (*this)["type"];
    return place.null() ? std::string() : place.text();
  }

  [[noreturn]] void fail(const std::string& expected) const {
    throw format_error("read tokenizer", expected, shown(), name_);
  }
  [[noreturn]] void refuse(const std::string& expected) const {
    throw not_supported("read tokenizer", expected, shown(), name_);
  }

 private:
  std::string shown() const {
    std::string text = value_->dump(-1, ' ', true, json::error_handler_t::replace);
    return text.size() <= 80 ? text : text.substr(0, 77) + "...";
  }

  const json* value_;
  std::string name_;
};

inline void read_vocabulary(const json_place& place, bpe_vocabulary& vocabulary) {
  if (!place.value().is_object()) place.fail("ids by token");
  for (const auto& item : place.value().items()) {
    vocabulary.ids[item.key()] = json_place(item.value(), vocabulary.name + ": " + item.key()).id();
  }
}

/// The id of a token that a file names.
inline index_t named_token(const bpe_vocabulary& vocabulary, const json_place& place) {
  const std::string token = place.text();
  for (const special_token& special : vocabulary.specials) {
    if (special.text == token) return special.id;
  }
  const auto found = vocabulary.ids.find(token);
  if (found == vocabulary.ids.end()) place.fail("a token of the vocabulary");
  return found->second;
}

inline void read_model(const json_place& model, bpe_vocabulary& vocabulary) {
  if (!model.type().empty() && model.type() != "BPE") model["type"].refuse("BPE");
  for (const char* flag : {"fuse_unk", "byte_fallback", "ignore_merges"}) {
    if (model.flag(flag)) model[flag].refuse("false");
  }
  const json_place dropout = model["dropout"];
  if (!dropout.null() && dropout.value() != 0) dropout.refuse("no dropout");
  const json_place prefix = model["continuing_subword_prefix"];
  if (!prefix.null() && !prefix.text().empty()) prefix.refuse("no prefix");
  const json_place suffix = model["end_of_word_suffix"];
  vocabulary.end_of_word = suffix.null() ? std::string() : suffix.text();
  read_vocabulary(model["vocab"], vocabulary);
  const json_place merges = model["merges"];
  for (std::size_t i = 0; i < merges.size(); ++i) {
    const json_place merge = merges[i];
    if (merge.value().is_string()) {
      const std::string text = merge.text();
      const std::size_t blank = text.find(' ');
      if (blank == text.npos) merge.fail("two tokens");
      vocabulary.merges.emplace_back(text.substr(0, blank), text.substr(blank + 1));
    } else {
      if (merge.size() != 2) merge.fail("two tokens");
      vocabulary.merges.emplace_back(merge[0].text(), merge[1].text());
    }
  }
}

inline void read_added_tokens(const json_place& tokens, bpe_vocabulary& vocabulary) {
  if (tokens.null()) return;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const json_place token = tokens[i];
    for (const char* flag : {"lstrip", "rstrip", "single_word"}) {
      if (token.flag(flag)) token[flag].refuse("false");
    }
    vocabulary.specials.push_back({token["content"].text(), token["id"].id(),
                                   token.flag("normalized") ? special_match::after_normalizing
                                                            : special_match::before_normalizing});
  }
}

inline void read_normalizer(const json_place& step, text_normalizer& normalizer) {
  if (step.null()) return;
  const std::string type = step.type();
  if (type == "Sequence") {
    const json_place steps = step["normalizers"];
    for (std::size_t i = 0; i < steps.size(); ++i) read_normalizer(steps[i], normalizer);
  } else if (type == "NFC") {
    if (normalizer.lower_case) step.refuse("NFC before Lowercase");
    normalizer.compose = true;
  } else if (type == "Lowercase") {
    normalizer.lower_case = true;
  } else if (type == "Replace") {
    // Blanks only separate words, so that how many there are is of no effect.
    if (step["pattern"].value() != json{{"Regex", "\\s+"}}) step["pattern"].refuse("\\s+");
    if (step["content"].text() != " ") step["content"].refuse("one blank");
  } else {
    step["type"].refuse("NFC, Lowercase, Replace or a Sequence of them");
  }
}

inline void read_pre_tokenizer(const json_place& whole) {
  if (whole.type() != "Sequence") whole["type"].refuse("Sequence");
  const json_place steps = whole["pretokenizers"];
  if (steps.size() != 2) steps.refuse("Split, then ByteLevel");
  const json_place split = steps[0], bytes = steps[1];
  if (split.type() != "Split") split["type"].refuse("Split");
  // ByteLevel cuts the special tokens of the second pattern apart again.
  constexpr std::string_view words = R"('s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+)";
  constexpr std::string_view specials = R"(<\|startoftext\|>|<\|endoftext\|>|)";
  const json_place regex = split["pattern"]["Regex"];
  const std::string pattern = regex.text();
  const bool with_specials = pattern == std::string(specials).append(words);
  if (pattern != words && !with_specials) regex.refuse("CLIP's pattern");
  if (split["behavior"].text() != "Removed") split["behavior"].refuse("Removed");
  if (!split.flag("invert")) split["invert"].refuse("true");
  if (bytes.type() != "ByteLevel") bytes["type"].refuse("ByteLevel");
  if (bytes.flag("add_prefix_space")) bytes["add_prefix_space"].refuse("false");
  const json_place use_regex = bytes["use_regex"];
  if (with_specials && !use_regex.null() && !bytes.flag("use_regex")) use_regex.refuse("true");
}

/// Start and end tokens.
inline void read_post_processor(const json_place& processor, bpe_vocabulary& vocabulary) {
  if (processor.type() == "RobertaProcessing") {
    vocabulary.start = processor["cls"][1].id();
    vocabulary.end = processor["sep"][1].id();
  } else if (processor.type() == "TemplateProcessing") {
    const json_place single = processor["single"];
    if (single.size() != 3 || single[1]["Sequence"].null()) {
      single.refuse("a special token, the text, a special token");
    }
    vocabulary.start = named_token(vocabulary, single[0]["SpecialToken"]["id"]);
    vocabulary.end = named_token(vocabulary, single[2]["SpecialToken"]["id"]);
  } else {
    processor["type"].refuse("RobertaProcessing or TemplateProcessing");
  }
}

}  // namespace solens::detail

namespace solens {

/// A vocabulary from Hugging Face's tokenizer.json, as it is given there: BPE over bytes with
/// CLIP's way of splitting words, any vocabulary, special tokens and their ids, suffix and
/// normalizer.
///
/// Padding is the end token where the file sets none, as transformers has it for CLIP.
/// @throws io_error, format_error; not_supported for anything else that the file asks for, by name
inline bpe_vocabulary read_tokenizer_json(const std::filesystem::path& path) {
  const detail::json file = detail::read_tokenizer_object(path);
  const detail::json_place root(file, path.string() + ": ");
  bpe_vocabulary vocabulary;
  vocabulary.name = path.string();
  detail::read_model(root["model"], vocabulary);
  detail::read_added_tokens(root["added_tokens"], vocabulary);
  detail::read_normalizer(root["normalizer"], vocabulary.normalizer);
  detail::read_pre_tokenizer(root["pre_tokenizer"]);
  detail::read_post_processor(root["post_processor"], vocabulary);
  const detail::json_place unknown = root["model"]["unk_token"];
  if (!unknown.null()) vocabulary.unknown = detail::named_token(vocabulary, unknown);
  for (const char* side : {"padding", "truncation"}) {
    const detail::json_place direction = root[side]["direction"];
    if (!direction.null() && direction.text() != "Right") direction.refuse("Right");
  }
  const detail::json_place padding = root["padding"]["pad_id"];
  vocabulary.padding = padding.null() ? vocabulary.end : padding.id();
  return vocabulary;
}

/// A vocabulary from Hugging Face's older pair of files. Text is composed (NFC) and lower-cased;
/// `<|startoftext|>` and `<|endoftext|>` are the special tokens, the latter for padding too.
/// @throws io_error, format_error naming file and line
inline bpe_vocabulary read_vocab_and_merges(const std::filesystem::path& vocab_json,
                                            const std::filesystem::path& merges_txt) {
  const detail::json file = detail::read_tokenizer_object(vocab_json);
  bpe_vocabulary vocabulary;
  vocabulary.name = vocab_json.string();
  detail::read_vocabulary({file, vocabulary.name}, vocabulary);
  detail::merge_lines lines(detail::read_text(merges_txt), merges_txt.string());
  for (std::string_view line; lines.next(line);) {
    if (line.empty() || line.starts_with("#version")) continue;
    auto merge = lines.merge(line);
    if (!vocabulary.ids.contains(merge.first) || !vocabulary.ids.contains(merge.second) ||
        !vocabulary.ids.contains(merge.first + merge.second)) {
      lines.fail("tokens of " + vocabulary.name, line);
    }
    vocabulary.merges.push_back(std::move(merge));
  }
  vocabulary.normalizer = {.compose = true, .lower_case = true};
  for (const char* token : {"<|startoftext|>", "<|endoftext|>"}) {
    const auto found = vocabulary.ids.find(token);
    if (found == vocabulary.ids.end()) {
      throw format_error("read tokenizer", token, "no such token", vocabulary.name);
    }
    vocabulary.specials.push_back({token, found->second});
  }
  vocabulary.start = vocabulary.specials[0].id;
  vocabulary.end = vocabulary.specials[1].id;
  vocabulary.padding = vocabulary.end;
  vocabulary.unknown = vocabulary.end;
  return vocabulary;
}

}  // namespace solens
