#pragma once

#include <string>
#include <string_view>

/// Text from strangers, words and file names, inside a page: nothing of it may end the element it
/// stands in, or become markup.
namespace solens {

/// JSON as the content of a <script> element: the same JSON without a character that HTML or
/// JavaScript gives a meaning of its own. `<`, `>`, `&` and the line separators U+2028 and U+2029
/// stand in strings only, where an escape means the same.
/// @param json  valid JSON in UTF-8
inline std::string json_for_script(std::string_view json) {
  std::string text;
  text.reserve(json.size());
  for (std::size_t i = 0; i < json.size(); ++i) {
    const std::string_view rest = json.substr(i);
    if (rest[0] == '<') {
      text += "\\u003c";
    } else if (rest[0] == '>') {
      text += "\\u003e";
    } else if (rest[0] == '&') {
      text += "\\u0026";
    } else if (rest.starts_with("\xE2\x80\xA8") || rest.starts_with("\xE2\x80\xA9")) {
      text += rest[2] == '\xA8' ? "\\u2028" : "\\u2029";
      i += 2;
    } else {
      text += rest[0];
    }
  }
  return text;
}

/// Text as the content of an HTML element or of an attribute in quotes.
inline std::string html_text(std::string_view plain) {
  std::string text;
  for (const char c : plain) {
    switch (c) {
      case '&': text += "&amp;"; break;
      case '<': text += "&lt;"; break;
      case '>': text += "&gt;"; break;
      case '"': text += "&quot;"; break;
      case '\'': text += "&#39;"; break;
      default: text += c;
    }
  }
  return text;
}

}  // namespace solens
