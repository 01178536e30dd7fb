#include "support/test.hpp"

#include <solens/findings/images_of_writers.hpp>

using namespace solens;

TEMPLATE_TEST_CASE("images are centered across the batches in which they came", "", float, double) {
  constexpr index_t writers = 6, width = 5, images = 23, first = 2, last = 5;
  const auto x = test::random_tensor<TestType>({writers, images, width}, 1);
  test::temporary_folder folder;
  record_writer disk(1 << 20);
  coefficient_store<TestType> store(disk, folder / "s", writers, width);
  for (index_t i = 0; i < images;) {
    const index_t batch = std::min<index_t>(images - i, 1 + i % 5);
    const auto record = store.next(batch);
    for (index_t w = 0; w < writers; ++w) {
      for (index_t j = 0; j < batch * width; ++j) {
        record.data()[w * batch * width + j] = (&x(w, i, 0))[j];
      }
    }
    store.append();
    i += batch;
  }
  store.sync();
  typename coefficient_store<TestType>::block read;
  CHECK(images_of_writers<TestType>(read).empty());
  store.read(first, last, read);
  images_of_writers<TestType> block(read);
  block.measure(0, 1);  // in parts
  block.measure(1, last - first);
  CHECK_FALSE(block.empty());

  host_tensor<double> mean({last - first, width}, 0.0);
  for (index_t w = first; w < last; ++w) {
    for (index_t i = 0; i < images; ++i) {
      for (index_t j = 0; j < width; ++j) {
        mean(w - first, j) += static_cast<double>(x(w, i, j)) / static_cast<double>(images);
      }
    }
  }
  const double bound = sizeof(TestType) == 8 ? 1e-14 : 1e-6;
  CHECK(test::relative_difference<TestType, double>(block.mean().view(), mean.view()) < bound);

  const auto centered = [&](index_t w, index_t i, index_t j) {
    return static_cast<double>(x(first + w, i, j)) - mean(w, j);
  };
  for (const auto& [begin, end] : {std::pair{0, 23}, {0, 1}, {3, 4}, {7, 22}, {22, 23}}) {
    for (index_t writer = 0; writer < last - first; ++writer) {
      host_tensor<TestType> out({last - first - writer, end - begin, width});
      host_tensor<double> expected(out.extents());
      block.centered(writer, begin, out.view());
      for (index_t w = 0; w < out.extent(0); ++w) {
        for (index_t i = begin; i < end; ++i) {
          for (index_t j = 0; j < width; ++j)
            expected(w, i - begin, j) = centered(writer + w, i, j);
        }
      }
      CHECK(test::relative_difference<TestType, double>(out.view(), expected.view()) < bound);
    }
  }

  host_tensor<index_t> chosen({last - first, 2});
  const index_t which[] = {22, 0, 5, 5, 11, 1};
  std::copy_n(which, 6, chosen.data());
  host_tensor<TestType> out({last - first, 2, width});
  host_tensor<double> expected(out.extents());
  block.centered(std::as_const(chosen).view(), out.view());
  for (index_t w = 0; w < last - first; ++w) {
    for (index_t i = 0; i < 2; ++i) {
      for (index_t j = 0; j < width; ++j) expected(w, i, j) = centered(w, chosen(w, i), j);
    }
  }
  CHECK(test::relative_difference<TestType, double>(out.view(), expected.view()) < bound);
}
