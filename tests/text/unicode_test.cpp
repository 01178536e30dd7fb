#include "support/test.hpp"

#include <solens/text/unicode.hpp>

namespace unicode = solens::unicode;
using Catch::Matchers::Contains;

TEST_CASE("UTF-8 goes to code points and back") {
  const std::string text = "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80";
  CHECK(unicode::from_utf8(text) == U"a\u00E9\u20AC\U0001F600");
  CHECK(unicode::to_utf8(unicode::from_utf8(text)) == text);
  CHECK(unicode::from_utf8("").empty());
}

TEST_CASE("invalid UTF-8 is refused with its position") {
  const std::string cases[] = {
      "ab\x80",              // a continuation on its own
      "ab\xC3",              // cut
      "ab\xE2\x82",          // cut
      "ab\xC0\xAF",          // overlong
      "ab\xE0\x80\xAF",      // overlong
      "ab\xF0\x80\x80\xAF",  // overlong
      "ab\xED\xA0\x80",      // a surrogate
      "ab\xF4\x90\x80\x80",  // above 10FFFF
      "ab\xFF",
  };
  for (const std::string& text : cases) {
    CHECK_THROWS_WITH(unicode::from_utf8(text, "words.txt"),
                      Contains("position 2") && Contains("(words.txt)"));
    CHECK_THROWS_AS(unicode::from_utf8(text), solens::format_error);
  }
}

TEST_CASE("letters, numbers and blanks are Unicode's") {
  for (char32_t c : U"azAZ\u00E9\u00DF\u03A3\u0416\u4F60\uAC00\U0001D4BD") {
    if (c != 0) CHECK(unicode::is_letter(c));
  }
  for (char32_t c : U"09\u00B2\u00BD\u0663\u2163\u2460") {
    if (c != 0) CHECK(unicode::is_number(c));
  }
  for (char32_t c : U" \t\u00A0\u2003\u3000\u2028") {
    if (c != 0) CHECK(unicode::is_space(c));
  }
  for (char32_t c : U"@[`{!\u0301\u200B\U0001F600") {
    if (c != 0)
      CHECK_FALSE((unicode::is_letter(c) || unicode::is_number(c) || unicode::is_space(c)));
  }
}

TEST_CASE("lower case knows the dotted I and the final sigma") {
  CHECK(unicode::lower_case(U"\u00C9T\u00C9 \u1E9E", true) == U"\u00E9t\u00E9 \u00DF");
  CHECK(unicode::lower_case(U"\u0130", true) == U"i\u0307");
  CHECK(unicode::lower_case(U"\u03A3\u039F\u03A3", true) == U"\u03C3\u03BF\u03C2");
  CHECK(unicode::lower_case(U"\u03A3\u039F\u03A3'\u0391", true) == U"\u03C3\u03BF\u03C3'\u03B1");
  CHECK(unicode::lower_case(U"\u03A3", true) == U"\u03C3");
  CHECK(unicode::lower_case(U"\u03A3\u039F\u03A3", false) == U"\u03C3\u03BF\u03C3");
}

TEST_CASE("composition orders accents and knows Hangul and exclusions") {
  CHECK(unicode::nfc(U"cafe\u0301") == U"caf\u00E9");
  CHECK(unicode::nfc(U"a\u0302\u0323") == U"\u1EAD");  // the dot below goes first
  CHECK(unicode::nfc(U"e\u0301\u0302") == U"\u00E9\u0302");
  CHECK(unicode::nfc(U"\u1112\u1161\u11AB") == U"\uD55C");
  CHECK(unicode::nfc(U"\u212B") == U"\u00C5");        // a singleton
  CHECK(unicode::nfc(U"\u0958") == U"\u0915\u093C");  // never composed again
  CHECK(unicode::nfc(U"a\u0338") == U"a\u0338");
  CHECK(unicode::nfc(U"\u0301e") == U"\u0301e");
}

TEST_CASE("half and full width become the usual width") {
  CHECK(unicode::standard_width(0xFF21) == U'A');
  CHECK(unicode::standard_width(0x3000) == U' ');
  CHECK(unicode::standard_width(0xFF76) == 0x30AB);
  CHECK(unicode::standard_width(U'A') == U'A');
}
