#include "support/test.hpp"

#include <set>
#include <sstream>

#include <toyland/data_set.hpp>
#include <toyland/grammar.hpp>

using namespace toyland;
using Catch::Matchers::Contains;
using strings = std::vector<std::string>;

TEST_CASE("a caption is read back as what it was made from") {
  random_source r(5);
  std::set<std::string> words;
  for (int i = 0; i < 3000; ++i) {
    const description all = describe(scene_of({.seed = 6}, i));
    for (const description& told : {all, choose_words(all, r)}) {
      const std::string text = caption(told, r);
      CAPTURE(text);
      const parsed_prompt read = parse(text);
      CHECK(read.told == told);
      CHECK(read.ignored.empty());
      std::istringstream in(text);
      for (std::string word; in >> word;) words.insert(word);
    }
  }
  CHECK(words.contains("toadstool"));  // synonyms are in use
  CHECK(words.contains("stripy"));
  CHECK(words.contains("beneath"));
}

TEST_CASE("a seed gives the same words on every machine") {
  random_source r(1);
  CHECK(caption_of(scene_of({.seed = 1}, 2), r) ==
        "a blue bird with a plain pink cloud on the water");
  CHECK(caption_of(scene_of({.seed = 1}, 4), r) ==
        "a picture of a dotted crimson bird above a tree with a checked white cloud");
  CHECK(caption_of(scene_of({.seed = 1}, 3), r) ==
        "a drawing of a dotted red toadstool and a red apple in a room");
}

TEST_CASE("captions are free in their words, the same for the same seed") {
  const scene s = scene_of({.seed = 6, .things = 2}, 1);
  random_source a(1), b(1);
  std::set<std::string> captions;
  for (int i = 0; i < 20; ++i) {
    const std::string text = caption_of(s, a);
    CHECK(text == caption_of(s, b));
    captions.insert(text);
  }
  CHECK(captions.size() > 10);
}

TEST_CASE("a prompt may be free text") {
  const parsed_prompt p = parse("Two striped CATS, under a crimson parasol; and the ocean!");
  CHECK(p.told ==
        description{{{kind::cat, {}, texture::striped}, {kind::umbrella, colour::red, {}}},
                    relation::below,
                    setting::sea});
  CHECK(p.ignored == strings{"two"});
}

TEST_CASE("on the sea is no relation, on a house is one") {
  CHECK(parse("a red boat on the sea and a yellow moon").told ==
        description{
            {{kind::boat, colour::red, {}}, {kind::moon, colour::yellow, {}}}, {}, setting::sea});
  CHECK(parse("a boat on a house").told.between == relation::on);
  CHECK(parse("a boat to the left of").told == description{{{kind::boat, {}, {}}}, {}, {}});
}

TEST_CASE("what is told after the last thing belongs to it") {
  CHECK(parse("a green cup and a boat that is blue").told.things ==
        std::vector<mention>{{kind::cup, colour::green, {}}, {kind::boat, colour::blue, {}}});
  CHECK(parse("the night sky").told == description{{}, {}, setting::night});
}

TEST_CASE("a prompt that tells of nothing here, or of too much, is refused") {
  CHECK_THROWS_WITH(parse("a quantum computer"), Contains("a quantum computer"));
  CHECK_THROWS_AS(parse(""), solens::argument_error);
  CHECK_THROWS_AS(parse("red"), solens::argument_error);
  CHECK_THROWS_WITH(parse("cat cat cat cat"), Contains("at most 3 things"));
}

TEST_CASE("captions tell of kinds") {
  random_source r(1);
  CHECK_THROWS_AS(caption({{{}}, {}, {}}, r), solens::argument_error);
}

TEST_CASE("the world's words and phrases are many, each once, and all of them mean something") {
  const strings phrases = words_and_phrases();
  CHECK(phrases.size() > 400);
  CHECK(std::set<std::string>(phrases.begin(), phrases.end()).size() == phrases.size());
  const std::set<std::string> all(phrases.begin(), phrases.end());
  for (const char* some : {"boat", "toadstool", "red", "left of", "red boat", "striped cat",
                           "boat on the sea", "moon at night"}) {
    CHECK(all.contains(some));
  }
  for (const std::string& phrase : phrases) {
    CAPTURE(phrase);
    CHECK(parse("a cat and " + phrase).ignored.empty());
  }
}

TEST_CASE("words and phrases say something that scenes fit or do not") {
  const auto claims = words_and_phrases();
  std::vector<int> fitting(claims.size(), 0);
  for (int i = 0; i < 1000; ++i) {
    const scene s = scene_of({.seed = 4, .how = {.planted = false}}, i);
    random_source r(static_cast<std::uint64_t>(i));
    CHECK(fits(parse(caption_of(s, r)).told, s));
    for (std::size_t c = 0; c < claims.size(); ++c) fitting[c] += fits(claim_of(claims[c]), s);
  }
  for (std::size_t c = 0; c < claims.size(); ++c) {
    CAPTURE(claims[c]);
    CHECK(fitting[c] > 0);
    CHECK(fitting[c] < 800);
  }
}

TEST_CASE("a claim is true of some scenes") {
  const scene s = imagine(parse("a red boat left of a striped blue cat on the sea").told, 1);
  for (const char* words : {"ship", "crimson", "red boat", "boat at sea", "stripy", "blue",
                            "left of", "boat and cat", "cat and boat", "boat left of cat"}) {
    CAPTURE(words);
    CHECK(fits(claim_of(words), s));
  }
  for (const char* words : {"car", "red cat", "boat in the snow", "striped red", "right of",
                            "boat and boat", "cat left of boat", "boat right of cat"}) {
    CAPTURE(words);
    CHECK_FALSE(fits(claim_of(words), s));
  }
  for (const char* words : {"", "the", "red bicycle"}) {
    CHECK_THROWS_AS(claim_of(words), solens::argument_error);
  }
}
