#include <solens/report/script_text.hpp>

#include <nlohmann/json.hpp>

#include <support/test.hpp>

using namespace solens;

TEST_CASE("JSON in a script element means the same and holds no markup") {
  const nlohmann::json hostile{"</script><script>alert(1)</script>",
                               "<!-- <![CDATA[ ]]> -->",
                               "quotes \" ' ` and \\ and \\u003c",
                               "separators \xE2\x80\xA8 and \xE2\x80\xA9 and \xE2\x80\xAA",
                               "a & b &lt; c",
                               "a\nline\tand\x01 control"};
  const std::string text = json_for_script(hostile.dump());
  CHECK(text.find_first_of("<>&") == text.npos);
  CHECK(text.find("\xE2\x80\xA8") == text.npos);
  CHECK(text.find("\xE2\x80\xA9") == text.npos);
  CHECK(text.find("\xE2\x80\xAA") != text.npos);  // others are left alone
  CHECK(nlohmann::json::parse(text) == hostile);
  CHECK(json_for_script(R"({"a":[1,-2.5e3,true,null]})") == R"({"a":[1,-2.5e3,true,null]})");
}

TEST_CASE("text in an element or attribute is text") {
  CHECK(html_text("</title><b a='1' b=\"2\">&amp;") ==
        "&lt;/title&gt;&lt;b a=&#39;1&#39; b=&quot;2&quot;&gt;&amp;amp;");
  CHECK(html_text("a cat") == "a cat");
}
