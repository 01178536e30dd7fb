#include "support/test.hpp"

#if defined(SOLENS_WITH_HDF5)

#include <thread>

#include <solens/image/hdf5_segmentation.hpp>

#include "support/mat_file.hpp"

using namespace solens;
using namespace solens::test;
using Catch::Matchers::Contains;

namespace {

/// Images of sizes of their own, with random pixels and masks.
std::vector<marked_image> made_up(int count) {
  std::mt19937 generator(1);
  std::vector<marked_image> all;
  for (int i = 0; i < count; ++i) {
    marked_image one{rgb_image(5 + i, 9 - i), host_tensor<std::uint8_t>({5 + i, 9 - i})};
    for (index_t j = 0; j < one.image.view().size(); ++j) {
      one.image.row(0)[j] = static_cast<std::uint8_t>(generator() % 256);
    }
    for (std::uint8_t& m : one.mask) m = static_cast<std::uint8_t>(generator() % 2);
    all.push_back(std::move(one));
  }
  return all;
}

bool holds(const imagenet_segmentation& file, index_t i, const marked_image& expected) {
  const rgb_image image = file.image(i);
  const auto mask = file.mask(i);
  return image.view().extents() == expected.image.view().extents() &&
         std::equal(image.row(0), image.row(0) + image.view().size(), expected.image.row(0)) &&
         mask.extents() == expected.mask.extents() &&
         std::equal(mask.begin(), mask.end(), expected.mask.begin());
}

/// What is wrong with a file that `fill` writes, which is to be refused.
template <class F>
std::string fault(F fill) {
  const temporary_folder folder;
  {
    mat_file file(folder / "bad.mat");
    fill(file);
  }
  try {
    const imagenet_segmentation read(folder / "bad.mat");
    for (index_t i = 0; i < read.size(); ++i) read.image(i), read.mask(i);
  } catch (const error& e) {
    CHECK_THAT(e.what(), Contains("bad.mat"));
    return e.what();
  }
  return "nothing";
}

}  // namespace

TEST_CASE("ImageNet-Segmentation's layout is read as it was written, by any number of threads") {
  const temporary_folder folder;
  const auto written = made_up(4);
  write_segmentation(folder / "x.mat", written);
  const imagenet_segmentation file(folder / "x.mat");
  REQUIRE(file.size() == 4);
  std::atomic<int> good = 0;
  std::vector<std::thread> readers;
  for (int t = 0; t < 4; ++t) {
    readers.emplace_back([&] {
      for (index_t i = 0; i < 4; ++i) good += holds(file, i, written[static_cast<std::size_t>(i)]);
    });
  }
  for (std::thread& reader : readers) reader.join();
  CHECK(good == 16);
}

TEST_CASE("files that are not of the layout are refused by name and place") {
  const auto all = made_up(2);
  const auto images = [&](mat_file& f) {
    f.references("/value/img", {write_image(f, all[0].image), write_image(f, all[1].image)});
  };
  const auto masks = [&](mat_file& f) {
    f.references("/value/gt", {write_mask(f, all[0].mask), write_mask(f, all[1].mask)});
  };
  CHECK(fault([&](mat_file& f) { images(f), masks(f); }) == "nothing");
  CHECK_THAT(fault(images), Contains("a dataset /value/gt") && Contains("doesn't exist"));
  CHECK_THAT(fault(masks), Contains("a dataset /value/img"));
  CHECK_THAT(fault([&](mat_file& f) {
               const std::uint8_t one = 1;
               f.write("/value/img", {1, 1}, &one, H5T_STD_U8LE, false);
               masks(f);
             }),
             Contains("references to objects") && Contains("/value/img"));
  CHECK_THAT(fault([&](mat_file& f) {
               const hobj_ref_t one = write_image(f, all[0].image);
               f.write("/value/img", {1}, &one, H5T_STD_REF_OBJ, false);
               masks(f);
             }),
             Contains("2 axes, got 1") && Contains("/value/img"));
  CHECK_THAT(fault([&](mat_file& f) {
               images(f);
               f.references("/value/gt", {write_mask(f, all[0].mask)});
             }),
             Contains("2 masks") && Contains("got 1") && Contains("/value/gt"));

  // One image, or one mask, that is another thing.
  const auto bad_image = [&](auto make) {
    return fault([&](mat_file& f) {
      f.references("/value/img", {write_image(f, all[0].image), make(f)});
      masks(f);
    });
  };
  const auto bad_mask = [&](auto make) {
    return fault([&](mat_file& f) {
      images(f);
      f.references("/value/gt", {write_mask(f, all[0].mask), make(f)});
    });
  };
  CHECK_THAT(bad_image([](mat_file& f) {
               return f.value({3, 8, 6}, std::vector<float>(144), H5T_IEEE_F32LE);
             }),
             Contains("uint8") && Contains("/value/img[1]"));
  CHECK_THAT(bad_image([](mat_file& f) {
               return f.value({3, 8, 6}, std::vector<std::int8_t>(144), H5T_STD_I8LE);
             }),
             Contains("uint8") && Contains("/value/img[1]"));
  CHECK_THAT(bad_image([](mat_file& f) {
               return f.bytes({8, 6}, std::vector<std::uint8_t>(48));
             }),
             Contains("3 axes, got 2") && Contains("/value/img[1]"));
  CHECK_THAT(bad_image([](mat_file& f) {
               return f.bytes({4, 8, 6}, std::vector<std::uint8_t>(192));
             }),
             Contains("3 colours, got [4, 8, 6]") && Contains("/value/img[1]"));
  CHECK_THAT(bad_image([](mat_file& f) {
               return f.bytes({3, 0, 6}, {});
             }),
             Contains("one element or more") && Contains("/value/img[1]"));
  CHECK_THAT(bad_image([](mat_file&) { return hobj_ref_t{0}; }),
             Contains("a reference") && Contains("/value/img[1]"));
  CHECK_THAT(bad_image([](mat_file&) { return hobj_ref_t{1'000'000'007}; }),
             Contains("a reference") && Contains("/value/img[1]"));
  CHECK_THAT(bad_image([](mat_file& f) { return f.group("/value/more"); }),
             Contains("a dataset") && Contains("/value/img[1]"));
  CHECK_THAT(bad_mask([&](mat_file& f) { return write_mask(f, all[0].mask); }),
             Contains("[8, 6]") && Contains("got [9, 5]") && Contains("/value/gt[1][0]"));
  CHECK_THAT(bad_mask([&](mat_file& f) { return write_image(f, all[1].image); }),
             Contains("references to objects") && Contains("/value/gt[1]"));
  CHECK_THAT(bad_mask([&](mat_file& f) { return f.references({}); }),
             Contains("one element or more") && Contains("/value/gt[1]"));
  CHECK_THAT(bad_mask([&](mat_file& f) {
               return write_mask(f, host_tensor<std::uint8_t>({6, 8}, std::uint8_t{2}));
             }),
             Contains("0 or 1, got 2") && Contains("/value/gt[1][0]"));
}

TEST_CASE("a file that is missing, of another kind, cut short or too large is refused by name") {
  const temporary_folder folder;
  CHECK_THROWS_AS(imagenet_segmentation(folder / "missing.mat"), io_error);
  CHECK_THROWS_AS(imagenet_segmentation(folder.path()), io_error);
  write_file(folder / "text.mat", "MATLAB 5.0 MAT-file");
  CHECK_THROWS_AS(imagenet_segmentation(folder / "text.mat"), format_error);
  CHECK_THROWS_WITH(imagenet_segmentation(folder / "text.mat"),
                    Contains("MATLAB 7.3") && Contains("text.mat"));

  const auto written = made_up(2);
  write_segmentation(folder / "x.mat", written);
  const std::string whole = read_file(folder / "x.mat");
  for (std::size_t size = 0; size < whole.size(); size += 97) {
    INFO("cut to " << size << " of " << whole.size());
    write_file(folder / "cut.mat", whole.substr(0, size));
    CHECK_THROWS_AS(imagenet_segmentation(folder / "cut.mat"), format_error);
  }
  CHECK_THROWS_WITH(imagenet_segmentation(folder / "cut.mat"),
                    Contains("truncated file") && Contains("cut.mat"));
  CHECK_THROWS_WITH(imagenet_segmentation(folder / "x.mat", {.max_pixels = 47}),
                    Contains("at most 47 pixels, got 8 x 6") && Contains("/value/img[1]"));
}

#else

TEST_CASE("ImageNet-Segmentation's layout is read as it was written") {
  WARN("not run: HDF5 is not here");
}

#endif
