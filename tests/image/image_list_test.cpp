#include <sys/stat.h>  // mkfifo

#include <solens/image/image_list.hpp>

#include <support/test.hpp>

using namespace solens;
using Catch::Matchers::Contains;
namespace fs = std::filesystem;

namespace {

/// A folder with images in folders, and files that are none.
struct gallery {
  test::temporary_folder folder;
  gallery() {
    for (const char* name : {"b", "a", "b/deep"}) fs::create_directories(folder / name);
    for (const char* name :
         {"b/2.png", "b/10.JPEG", "a/x.Jpg", "b/deep/1.PNG", "top.jpeg", "notes.txt", "a/jpg"}) {
      test::write_file(folder / name, "");
    }
  }
  std::vector<std::string> relative(const image_list& list) const {
    std::vector<std::string> names;
    for (const auto& path : list.paths) {
      names.push_back(path.lexically_relative(folder.path()).generic_string());
    }
    return names;
  }
};

using names = std::vector<std::string>;

}  // namespace

TEST_CASE("a folder's images are found at any depth and sorted by path") {
  const gallery images;
  const image_list list = list_images(images.folder.path());
  CHECK(images.relative(list) ==
        names{"a/x.Jpg", "b/10.JPEG", "b/2.png", "b/deep/1.PNG", "top.jpeg"});
  CHECK(list.labels.empty());
}

TEST_CASE("links to folders are followed, and not in circles") {
  const gallery images;
  const test::temporary_folder elsewhere;
  test::write_file(elsewhere / "far.png", "");
  fs::create_directory_symlink(elsewhere.path(), images.folder / "link");
  fs::create_directory_symlink(images.folder.path(), images.folder / "a/circle");
  CHECK(images.relative(list_images(images.folder.path())) ==
        names{"a/x.Jpg", "b/10.JPEG", "b/2.png", "b/deep/1.PNG", "link/far.png", "top.jpeg"});
}

TEST_CASE("class folders give labels") {
  const gallery images;
  const image_list list = images_in_class_folders(images.folder.path());
  CHECK(list.classes == names{"a", "b"});
  CHECK(images.relative(list) == names{"a/x.Jpg", "b/10.JPEG", "b/2.png", "b/deep/1.PNG"});
  CHECK(list.labels == std::vector<index_t>{0, 1, 1, 1});
}

TEST_CASE("a text file names images, however it was written") {
  const gallery images;
  const fs::path absolute = images.folder / "top.jpeg";
  test::write_file(images.folder / "list.txt",
                   "\xEF\xBB\xBF"
                   "b/2.png\r\n\r\n" +
                       absolute.string() + "\r\na/with space.png\nmissing.png");
  const image_list list = list_images(images.folder / "list.txt");
  CHECK(images.relative(list) == names{"b/2.png", "top.jpeg", "a/with space.png", "missing.png"});
}

TEST_CASE("a path of the text file that is found from the working folder is taken from there") {
  const gallery images;
  const test::temporary_folder other;
  test::write_file(other / "list.txt", "b/2.png\n");
  const fs::path before = fs::current_path();
  fs::current_path(images.folder.path());
  const image_list list = list_images(other / "list.txt");
  fs::current_path(before);
  CHECK(list.paths.front() == fs::path("b/2.png"));
}

TEST_CASE("one image is a list of one") {
  const gallery images;
  CHECK(list_images(images.folder / "top.jpeg").paths ==
        std::vector<fs::path>{images.folder / "top.jpeg"});
}

TEST_CASE("lists without an image are errors that name the place") {
  const gallery images;
  const test::temporary_folder empty;
  CHECK_THROWS_AS(list_images(empty.path()), io_error);
  CHECK_THROWS_WITH(list_images(empty.path()), Contains(empty.path().string()));
  CHECK_THROWS_AS(images_in_class_folders(empty.path()), io_error);
  CHECK_THROWS_AS(list_images(empty / "nowhere"), io_error);
  CHECK_THROWS_WITH(list_images(empty / "nowhere"), Contains("nowhere"));
  CHECK_THROWS_AS(images_in_folder(empty / "nowhere"), io_error);
  CHECK_THROWS_AS(list_images(images.folder / "notes.txt"), format_error);
  REQUIRE(::mkfifo((empty / "pipe").c_str(), 0600) == 0);
  CHECK_THROWS_AS(list_images(empty / "pipe"), io_error);
  test::write_file(empty / "binary", std::string("ab\0c\n", 5));
  CHECK_THROWS_AS(list_images(empty / "binary"), format_error);
  CHECK_THROWS_WITH(list_images(empty / "binary"), Contains("no text"));
}
