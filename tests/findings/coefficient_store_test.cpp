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

void append(coefficient_store<float>& store, index_t first_image, index_t batch) {
  const auto r = record(store.n_writers(), first_image, batch, store.width());
  std::copy(r.begin(), r.end(), store.next(batch).data());
  store.append();
}

void check_block(coefficient_store<float>& store, index_t first, index_t count) {
  coefficient_store<float>::block block;
  store.sync();
  store.read(first, first + count, block);
  bool same = true;
  index_t image = 0;
  for (const auto& piece : block.pieces()) {
    REQUIRE(piece.extents() == shape{count, piece.extent(1), store.width()});
    for (index_t i = 0; i < piece.extent(1); ++i, ++image) {
      for (index_t w = 0; w < count; ++w) {
        for (index_t c = 0; c < store.width(); ++c) {
          same = same && piece(w, i, c) == value(first + w, image, c);
        }
      }
    }
  }
  CHECK(image == store.n_images());
  CHECK(same);
}

}  // namespace

TEST_CASE("what is appended by batch is read by block") {
  test::temporary_folder folder;
  record_writer writer(GENERATE(std::size_t{0}, std::size_t{1} << 20));
  coefficient_store<float> store(writer, folder / "s", 1100, 3);
  append(store, 0, 4);
  append(store, 4, 4);
  append(store, 8, 1);
  CHECK(store.n_images() == 9);
  check_block(store, 0, 1);
  check_block(store, 7, 5);
  check_block(store, 0, 1100);
  check_block(store, 1099, 1);
  check_block(store, 5, 0);
}

TEST_CASE("stores share a writer and its memory") {
  test::temporary_folder folder;
  record_writer writer(3 * page_size);  // less than all the records together
  coefficient_store<float> a(writer, folder / "a", 300, 2), b(writer, folder / "b", 1, 700);
  for (index_t batch = 0; batch < 20; ++batch) {
    append(a, 3 * batch, 3);
    append(b, 2 * batch, 2);
  }
  check_block(a, 100, 200);
  check_block(b, 0, 1);
}

TEST_CASE("memory of a record that is not appended is used again") {
  test::temporary_folder folder;
  record_writer writer(page_size);  // of one record
  coefficient_store<float> store(writer, folder / "s", 5, 2);
  for (int i = 0; i < 3; ++i) store.next(3);
  append(store, 0, 3);
  check_block(store, 0, 5);
}

TEST_CASE("a store goes on from the batches that are known, and forgets what came after") {
  test::temporary_folder folder;
  record_writer writer(1 << 20);
  {
    coefficient_store<float> store(writer, folder / "s", 5, 2);
    append(store, 0, 3);
    append(store, 100, 3);
  }
  coefficient_store<float> store(writer, folder / "s", 5, 2, {3});
  append(store, 3, 2);
  CHECK(store.n_images() == 5);
  check_block(store, 0, 5);
  store.cut(3);
  append(store, 3, 1);
  check_block(store, 0, 5);
  CHECK_THROWS_AS(store.cut(2), argument_error);
}

TEST_CASE("a store that lost bytes says so") {
  test::temporary_folder folder;
  record_writer writer(1 << 20);
  {
    coefficient_store<float> store(writer, folder / "s", 5, 2);
    append(store, 0, 3);
  }
  CHECK_THROWS_AS(coefficient_store<float>(writer, folder / "s", 5, 2, {3, 3}), io_error);

  coefficient_store<float> store(writer, folder / "s", 5, 2, {3});
  std::filesystem::resize_file(folder / "s", 7);
  coefficient_store<float>::block block;
  CHECK_THROWS_AS(store.read(0, 5, block), io_error);
}

TEST_CASE("a folder that is not there and writers that are not there are refused") {
  test::temporary_folder folder;
  record_writer writer(1 << 20);
  CHECK_THROWS_AS(coefficient_store<float>(writer, folder / "no" / "s", 5, 2), io_error);
  coefficient_store<float> store(writer, folder / "s", 5, 2);
  coefficient_store<float>::block block;
  CHECK_THROWS_AS(store.read(0, 6, block), shape_error);
  CHECK_THROWS_AS(store.read(-1, 2, block), shape_error);
}

TEST_CASE("a full disk is said when the store is synchronised, and from then on") {
  if (!std::filesystem::exists("/dev/full")) {
    WARN("not run: this system has no /dev/full");
    return;
  }
  record_writer writer(1 << 20);
  coefficient_store<float> store(writer, "/dev/full", 5, 2);
  append(store, 0, 3);
  CHECK_THROWS_AS(store.sync(), io_error);
  CHECK_THROWS_AS(store.sync(), io_error);
  CHECK_THROWS_AS(append(store, 3, 3), io_error);
}
