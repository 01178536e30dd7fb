#include <filesystem>

#include <solens/text/load_tokenizer.hpp>
#include <solens/weights/safetensors.hpp>
#include <solens/weights/safetensors_writer.hpp>

bool files_work();

bool files_work() {
  const std::filesystem::path path = "consumer.safetensors";
  const solens::host_tensor<float> written({2, 3}, 1.5f);
  solens::write_safetensors(path, {{"x", written.view()}});
  const solens::host_tensor<float> read = solens::safetensors_file(path).tensor<float>("x");
  std::filesystem::remove(path);
  return read.extents() == written.extents() && read(1, 2) == 1.5f;
}
