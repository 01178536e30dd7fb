#include "support/test.hpp"

#include <solens/text/clean_text.hpp>

using solens::clean_text;

TEST_CASE("plain text is lower-cased and its blanks collapsed") {
  CHECK(clean_text("  A Photo\tof\n a  CAT. ") == "a photo of a cat.");
  CHECK(clean_text("").empty());
  CHECK(clean_text(" \n\t").empty());
  CHECK(clean_text("non\u00A0breaking\u3000space\r\nline\u2028end") ==
        "non breaking space line end");
}

TEST_CASE("quotes, ligatures, widths, control characters and terminal colours are plain") {
  CHECK(clean_text("\u2018a\u2019 \u201Cb\u201D") == "'a' \"b\"");
  CHECK(clean_text("\uFB01ne \uFB04 \u01C5 \u0149") == "fine ffl d\u017E 'n");
  CHECK(clean_text("\uFF21\uFF22\uFF23\uFFE3") == "abc \u0304");
  CHECK(clean_text("\x1B[31;1mred\x1B[0m\x07 bell\x7F") == "red bell");
  CHECK(clean_text(std::string("nul\0byte", 8)) == "nulbyte");
  CHECK(clean_text("broken \u0085 text\u0096dash") == "broken \u2026 text\u2013dash");
  CHECK(clean_text("bom\uFEFFinside") == "bominside");
}

TEST_CASE("character references are read as HTML5 says, twice") {
  CHECK(clean_text("Tom &amp;amp; Jerry") == "tom & jerry");
  CHECK(clean_text("&eacute;t&#233; &#xE9; &#XE9") == "\u00E9t\u00E9 \u00E9 \u00E9");
  CHECK(clean_text("<&lt") == "<<");                        // without a semicolon
  CHECK(clean_text("&notanentity;") == "\u00ACanentity;");  // the longest known beginning
  CHECK(clean_text("&NotEqualTilde;") == "\u2242\u0338");
  CHECK(clean_text("&#128; &#0; &#xD800; &#99999999999;") == "\u20AC \uFFFD \uFFFD \uFFFD");
  CHECK(clean_text("a&#1;b&#xFDD0;c") == "abc");
  CHECK(clean_text("&unknown; & &; &# &#x; &#;") == "&unknown; & &; &# &#x; &#;");
}

TEST_CASE("references in capitals are read as ftfy does, but not in markup") {
  CHECK(clean_text("P&EACUTE;REZ &SZLIG;") == "p\u00E9rez ss");
  CHECK(clean_text("<b> P&EACUTE;REZ") == "<b> p&eacute;rez");
  CHECK(clean_text("P&EACUTE;REZ\n<b>\nP&EACUTE;REZ") == "p\u00E9rez <b> p&eacute;rez");
}

TEST_CASE("mojibake is left as it is") {
  CHECK(clean_text("sch\u00C3\u00B6n") == "sch\u00E3\u00B6n");
}
