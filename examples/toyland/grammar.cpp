#include "grammar.hpp"

#include <algorithm>  // std::find
#include <array>
#include <cctype>   // std::isalpha, std::tolower
#include <cstddef>  // std::size_t
#include <map>
#include <optional>
#include <variant>

#include <solens/core/error.hpp>

namespace toyland {

using std::string_view;

std::string with_article(const std::string& noun) {
  const bool vowel = string_view("aeiou").find(noun[0]) != string_view::npos;
  return (vowel ? "an " : "a ") + noun;
}

namespace {

std::string_view one_of(words choices, random_source& r) {
  return r.chance(50) ? choices[0] : r.pick_of(choices);  // the name more often than a synonym
}

std::string noun_phrase(const mention& m, random_source& r) {
  if (!m.what) {
    throw solens::argument_error("caption", "things whose kind is told", "a thing without one");
  }
  std::string text;
  if (m.pattern) text.append(one_of(words_of(*m.pattern), r)).append(" ");
  if (m.hue) text.append(one_of(words_of(*m.hue), r)).append(" ");
  return with_article(text.append(one_of(words_of(*m.what), r)));
}

}  // namespace

description choose_words(const description& all, random_source& r) {
  description said = all;
  for (mention& m : said.things) {
    if (m.hue && !r.chance(80)) m.hue.reset();
    if (m.pattern && !r.chance(m.pattern == texture::plain ? 6 : 80)) m.pattern.reset();
  }
  if (said.between && !r.chance(75)) said.between.reset();
  if (said.place && !r.chance(70)) said.place.reset();
  return said;
}

std::string caption(const description& d, random_source& r) {
  static constexpr std::array<string_view, 5> openings{
      "a picture of ", "a drawing of ", "a painting of ", "a photo of ", "there is "};
  static constexpr std::array<string_view, 2> joints{" and ", " with "};
  std::string text;
  if (r.chance(50)) text += r.pick_of(openings);
  for (std::size_t i = 0; i < d.things.size(); ++i) {
    if (i == 1 && d.between) {
      text.append(" ").append(one_of(words_of(*d.between), r)).append(" ");
    } else if (i > 0) {
      text += r.pick_of(joints);
    }
    text += noun_phrase(d.things[i], r);
  }
  if (d.place) {
    if (d.things.empty()) {
      text.append("the ").append(one_of(words_of(*d.place), r));
    } else {
      text.append(" ").append(one_of(phrases_of(*d.place), r));
    }
  }
  return text;
}

std::string caption_of(const scene& s, random_source& r) {
  const description said = choose_words(describe(s), r);
  return caption(said, r);
}

namespace {

/// Calls `f` with every value of an enumeration of `n`.
template <class T, class F>
void for_each_value(int n, F&& f) {
  for (int i = 0; i < n; ++i) f(static_cast<T>(i));
}

}  // namespace

std::vector<std::string> words_and_phrases() {
  std::vector<std::string> all;
  const auto add_words = [&all](auto value) {
    for (const string_view word : words_of(value)) all.emplace_back(word);
  };
  for_each_value<kind>(n_kinds, add_words);
  for_each_value<colour>(n_colours, add_words);
  for_each_value<texture>(n_textures, add_words);
  for_each_value<setting>(n_settings, add_words);
  for_each_value<relation>(n_relations, add_words);
  for_each_value<kind>(n_kinds, [&all](kind k) {
    const std::string noun(name_of(k));
    for_each_value<colour>(n_colours,
                           [&](colour c) { all.push_back(std::string(name_of(c)) + " " + noun); });
    for_each_value<texture>(n_textures, [&](texture t) {
      if (t != texture::plain) all.push_back(std::string(name_of(t)) + " " + noun);
    });
    for_each_value<setting>(
        n_settings, [&](setting s) { all.push_back(noun + " " + std::string(phrases_of(s)[0])); });
  });
  return all;
}

namespace {

struct small_word {};
using meaning = std::variant<small_word, kind, colour, texture, setting, relation>;

constexpr std::size_t longest_phrase = 4;  // words: "to the left of"

/// Every phrase of the world, and the small words.
const std::map<std::string, meaning, std::less<>>& lexicon() {
  static const auto table = [] {
    std::map<std::string, meaning, std::less<>> m;
    const auto add = [&m](auto value) {
      for (const string_view word : words_of(value)) m.emplace(word, value);
    };
    for_each_value<kind>(n_kinds, add);
    for_each_value<colour>(n_colours, add);
    for_each_value<texture>(n_textures, add);
    for_each_value<setting>(n_settings, add);
    for_each_value<relation>(n_relations, add);
    for (const string_view word :
         {"a",  "an",   "the",     "of",      "is",       "are",   "and",  "with",
          "in", "at",   "to",      "there",   "that",     "this",  "it",   "its",
          "by", "very", "picture", "drawing", "painting", "photo", "image"}) {
      m.emplace(word, small_word{});
    }
    return m;
  }();
  return table;
}

/// The words of a text in lower case, without punctuation.
std::vector<std::string> split(string_view text) {
  std::vector<std::string> result(1);
  for (const char c : text) {
    const auto letter = static_cast<unsigned char>(c);
    if (std::isalpha(letter) || letter >= 0x80) {
      result.back() += static_cast<char>(letter < 0x80 ? std::tolower(letter) : c);
    } else if (!result.back().empty()) {
      result.emplace_back();
    }
  }
  if (result.back().empty()) result.pop_back();
  return result;
}

/// Reads words from left to right, the longest phrase that is known first.
class prompt_reader {
 public:
  parsed_prompt prompt(string_view text) {
    read(text);
    if (told().things.size() < 2) told().between.reset();
    check(text);
    return std::move(result_);
  }

  description claim(string_view phrase) {
    read(phrase);
    if (told().things.empty() && next_ != mention{}) told().things.push_back(next_);
    if (!told().between) told().between = pending_;
    if (told() == description{} || !result_.ignored.empty()) {
      throw solens::argument_error("claim_of", "words of toyland",
                                   "\"" + std::string(phrase) + "\"");
    }
    return std::move(told());
  }

 private:
  description& told() { return result_.told; }

  void read(string_view all) {
    const std::vector<std::string> text = split(all);
    for (std::size_t at = 0; at < text.size();) at += read(text, at);
    mention* last = told().things.empty() ? nullptr : &told().things.back();
    if (last != nullptr && !last->hue) last->hue = next_.hue;
    if (last != nullptr && !last->pattern) last->pattern = next_.pattern;
  }

  /// @return how many words were read
  std::size_t read(const std::vector<std::string>& text, std::size_t at) {
    for (std::size_t n = std::min(longest_phrase, text.size() - at); n > 0; --n) {
      std::string phrase = text[at];
      for (std::size_t i = 1; i < n; ++i) phrase += " " + text[at + i];
      auto found = lexicon().find(phrase);
      for (const string_view plural : {"s", "es"}) {
        if (found != lexicon().end() || !phrase.ends_with(plural)) continue;
        found = lexicon().find(string_view(phrase).substr(0, phrase.size() - plural.size()));
      }
      if (found == lexicon().end()) continue;
      std::visit([this](auto value) { understand(value); }, found->second);
      return n;
    }
    result_.ignored.push_back(text[at]);
    return 1;
  }

  void understand(small_word) {}
  void understand(colour c) { next_.hue = c; }
  void understand(texture t) { next_.pattern = t; }
  void understand(relation r) { pending_ = r; }
  void understand(setting s) {
    if (!told().place) told().place = s;
    pending_.reset();  // "on the sea" relates no things
  }
  void understand(kind k) {
    if (told().things.size() == 1) told().between = pending_;
    next_.what = k;
    told().things.push_back(next_);
    next_ = {};
    pending_.reset();
  }

  void check(string_view prompt) {
    const std::string quoted = "\"" + std::string(prompt) + "\"";
    if (told().things.empty() && !told().place) {
      throw solens::argument_error("parse", "a thing or a setting of toyland", quoted);
    }
    if (told().things.size() > most_things) {
      throw solens::argument_error("parse", "at most " + std::to_string(most_things) + " things",
                                   quoted);
    }
  }

  parsed_prompt result_;
  mention next_;                     ///< what was said of the thing that is to come
  std::optional<relation> pending_;  ///< what was said since the last thing
};

}  // namespace

parsed_prompt parse(std::string_view prompt) { return prompt_reader().prompt(prompt); }

description claim_of(std::string_view phrase) { return prompt_reader().claim(phrase); }

}  // namespace toyland
