// The file that the page is made of. What it does in a browser is tested by page_test.py.

#include <solens/report/page.hpp>

#include <support/test.hpp>

using namespace solens;

namespace {

std::string page_of(const report_data& data) {
  std::string page;
  write_report_page(data, [&](std::string_view part) { page += part; });
  return page;
}

/// How often a text holds another.
int count(const std::string& text, const std::string& part) {
  int n = 0;
  for (std::size_t at = text.find(part); at != text.npos; at = text.find(part, at + 1)) ++n;
  return n;
}

}  // namespace

TEST_CASE("a page holds its data, and no markup out of them") {
  column_writer<std::int8_t> writer("heat");
  writer.add(-1);
  const report_data tame{"a run", R"({"words":["boat"]})", {writer.column()}};
  const report_data hostile{"</title><script>", R"({"words":["</script><script>alert(1)//"]})",
                            tame.columns};
  const std::string page = page_of(tame);
  CHECK(page.starts_with("<!doctype html>"));
  CHECK(count(page, R"({"words":["boat"]})") == 1);
  CHECK(count(page, R"(id="column-heat" data-type="Int8">/w==<)") == 1);
  CHECK(count(page, "<title>a run</title>") == 1);
  for (const char* markup : {"<script", "</script", "</title", "<style", "</style"}) {
    CAPTURE(markup);
    CHECK(count(page_of(hostile), markup) == count(page, markup));
  }
}

TEST_CASE("a page asks nothing of a network") {
  const std::string page = page_of({"a run", "{}", {}});
  CHECK(count(page, "default-src 'none'") == 1);
  // The one address is the name of SVG's elements, which nothing is fetched from.
  CHECK(count(page, "http") ==
        count(page, "http-equiv") + count(page, "http://www.w3.org/2000/svg"));
  for (const char* word : {"@import", "url(", "fetch(", "XMLHttpRequest", "innerHTML", "src=\""}) {
    CAPTURE(word);
    CHECK(count(page, word) == 0);
  }
}
