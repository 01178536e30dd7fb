#include "support/test.hpp"

#include <solens/findings/coefficient_store.hpp>

using namespace solens;

namespace {

/// value(writer, image, column), so that a misplaced element shows.
float value(index_t w, index_t i, index_t c) { return static_cast<float>(w * 10000 + i * 10 + c); }

host_tensor<float> record(index_t n_writers, index_t first_image, index_t batch, index_t width) {
  host_tensor<float> r(shape{n_writers, batch, width});
  for (index_t w = 0; w < n_writers; ++w) {
    for (index_t i = 0; i < batch; ++i) {
      for (index_t c = 0; c < width; ++c) r(w, i, c) = value(w, first_image + i, c);
    }
  }
  return r;
}

void check_block(const coefficient_store<float>& store, index_t first, index_t count) {
  host_tensor<float> block(shape{count, store.n_images(), store.width()});
  store.read(first, block);
  bool same = true;
  for (index_t w = 0; w < count; ++w) {
    for (index_t i = 0; i < store.n_images(); ++i) {
      for (index_t c = 0; c < store.width(); ++c) {
        same = same && block(w, i, c) == value(first + w, i, c);
      }
    }
  }
  CHECK(same);
}

}  // namespace

TEST_CASE("what is appended by batch is read by block") {
  test::temporary_folder folder;
  coefficient_store<float> store(folder / "s", 1100, 3);
  store.append(record(1100, 0, 4, 3));
  store.append(record(1100, 4, 4, 3));
  store.append(record(1100, 8, 1, 3));
  CHECK(store.n_images() == 9);
  check_block(store, 0, 1);
  check_block(store, 7, 5);
  check_block(store, 0, 1100);  // more pieces than one system call takes
}

TEST_CASE("a store goes on from the batches that are known, and forgets what came after") {
  test::temporary_folder folder;
  {
    coefficient_store<float> store(folder / "s", 5, 2);
    store.append(record(5, 0, 3, 2));
    store.append(record(5, 100, 3, 2));
  }
  coefficient_store<float> store(folder / "s", 5, 2, {3});
  store.append(record(5, 3, 2, 2));
  CHECK(store.n_images() == 5);
  check_block(store, 0, 5);
}

TEST_CASE("a store that lost bytes says so") {
  test::temporary_folder folder;
  { coefficient_store<float>(folder / "s", 5, 2).append(record(5, 0, 3, 2)); }
  CHECK_THROWS_AS(coefficient_store<float>(folder / "s", 5, 2, {3, 3}), io_error);

  coefficient_store<float> store(folder / "s", 5, 2, {3});
  std::filesystem::resize_file(folder / "s", 7);
  host_tensor<float> block(shape{5, 3, 2});
  CHECK_THROWS_AS(store.read(0, block), io_error);
}

TEST_CASE("a folder that is not there and shapes that do not fit are refused") {
  test::temporary_folder folder;
  CHECK_THROWS_AS(coefficient_store<float>(folder / "no" / "s", 5, 2), io_error);
  coefficient_store<float> store(folder / "s", 5, 2);
  CHECK_THROWS_AS(store.append(record(4, 0, 3, 2)), shape_error);
  host_tensor<float> block(shape{6, 0, 2});
  CHECK_THROWS_AS(store.read(0, block), shape_error);
}

TEST_CASE("a full disk is an error and leaves the store as it was") {
  if (!std::filesystem::exists("/dev/full")) {
    WARN("not run: this system has no /dev/full");
    return;
  }
  coefficient_store<float> store("/dev/full", 5, 2);
  CHECK_THROWS_AS(store.append(record(5, 0, 3, 2)), io_error);
  CHECK(store.n_images() == 0);
}
