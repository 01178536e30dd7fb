#include "support/test.hpp"

#include <solens/text/templates.hpp>

using Catch::Matchers::Contains;
using strings = std::vector<std::string>;

TEST_CASE("templates take words") {
  const solens::test::temporary_folder folder;
  const auto path = folder / "templates.txt";
  solens::test::write_file(path, "a photo of a {}.\r\n\n{} toy\n");
  const auto templates = solens::read_templates(path);
  REQUIRE(templates.size() == 2);
  CHECK(templates[0].text() == "a photo of a {}.");
  CHECK(solens::fill_templates(templates, {"cat", "{}"}) ==
        strings{"a photo of a cat.", "cat toy", "a photo of a {}.", "{} toy"});
}

TEST_CASE("a line that is no template is named") {
  const solens::test::temporary_folder folder;
  const auto path = folder / "templates.txt";
  for (const char* line : {"a photo", "{} and {}"}) {
    solens::test::write_file(path, std::string("a {}\n") + line);
    CHECK_THROWS_AS(solens::read_templates(path), solens::format_error);
    CHECK_THROWS_WITH(solens::read_templates(path),
                      Contains("templates.txt, line 2") && Contains(line));
  }
  solens::test::write_file(path, "");
  CHECK_THROWS_AS(solens::read_templates(path), solens::format_error);
}

TEST_CASE("the 80 templates of ImageNet are read") {
  const auto path = solens::test::shared_data("templates-80.txt");
  SOLENS_NEEDS(path);
  CHECK(solens::read_templates(path).size() == 80);
}
