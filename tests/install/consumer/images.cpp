#include <filesystem>

#include <solens/image/decode.hpp>
#include <solens/image/encode_png.hpp>

bool images_work();

bool images_work() {
  solens::host_tensor<std::uint8_t> pixels({2, 3, 3}, std::uint8_t{200});
  pixels(1, 2, 0) = 7;
  const std::string bytes = solens::encode_png(pixels);
  const solens::rgb_image read = solens::decode_image(
      {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()}, "pixels");
  return read.height() == 2 && read.width() == 3 && read.view()(1, 2, 0) == 7 &&
         read.view()(0, 0, 2) == 200;
}
