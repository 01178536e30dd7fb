// where_is MODEL IMAGES THING OUT.png: finds out what the neurons of a CLIP stand for, on the
// pictures of a folder, and draws where a thing ("a boat") is in the 16 that hold most of it.

#include <algorithm>
#include <filesystem>
#include <iostream>
#include <string>
#include <utility>
#include <vector>

#include <solens/backend/eigen.hpp>
#include <solens/findings/analysis.hpp>
#include <solens/image/decode.hpp>
#include <solens/image/encode_png.hpp>
#include <solens/image/preprocess_json.hpp>
#include <solens/model/load.hpp>
#include <solens/solens.hpp>
#include <solens/text/load_tokenizer.hpp>

int main(int argc, char** argv) try {
  using namespace solens;
  using backend = eigen_backend<float>;
  if (argc != 5) return std::cerr << "usage: where_is MODEL IMAGES THING OUT.png\n", 2;
  const std::filesystem::path folder = argv[1];
  const backend be;
  auto model = load_clip(be, folder);
  const vision_tower tower(model.config.vision, std::move(*model.weights.vision));
  const text_tower texts(model.config.text.value(), std::move(*model.weights.text));
  const auto how = read_preprocess_options(folder / "preprocessor_config.json");

  // One pass over the pictures, which keeps what is asked of one late layer.
  const auto paths = images_in_folder(argv[2]).paths;
  const index_t n = std::ssize(paths), layer = tower.config().n_layers - 2;
  const index_t side = tower.config().image_size, grid = tower.config().grid();
  host_tensor<float> pixels({n, 3, side, side}), representations({n, tower.d_joint()});
  for (index_t i = 0; i < n; ++i) {
    preprocess(read_image(paths[static_cast<std::size_t>(i)]), how, pixels.view()[i]);
  }
  auto cache = tower.make_cache(be, n, second_order_sites(tower.config(), {layer}));
  auto work = tower.make_workspace(be, n);
  tower.forward(be, pixels, work, representations, &cache);
  const lens_activations<backend> activations = lens_activations_of(cache);

  // The direction that each neuron pushes representations in, and those that push toward the thing.
  analysis<backend> effects(be, lens_weights_of(tower), {.layers = {layer}, .top = n / 10});
  effects.add(be, activations);
  const auto directions = effects.finish(be, layer).direction.direction;
  const std::vector<std::string> things{argv[3]};
  const std::vector sentences{prompt_template("a photo of {}")};
  const auto thing = zero_shot_classifier(be, texts, load_tokenizer(folder), things, sentences);
  const directions_of_layer<float> layers[] = {{layer, directions.view()}};
  segmentation<backend> finder(be, layers, thing.view(), {.n_writers = 20, .by_magnitude = false});

  // Where these are active; and the pictures whose representations lie closest to the thing.
  const index_t shown = std::min<index_t>(16, n), columns = 8;
  host_tensor<float> maps({n, 1, grid * grid}), cosines({n, 1}), most({1, shown});
  host_tensor<index_t> chosen({1, shown});
  finder.maps(be, activations, std::vector<index_t>{0}, maps);
  normalize_rows(be, representations.view());
  be.gemm(1, representations, thing.view(), 0, cosines);
  be.top_k(cosines.view().transposed(), most, chosen);

  // Each of them, and under it the same with its heat and the edge of its mask.
  rgb_image sheet((shown + columns - 1) / columns * 2 * side, columns * side);
  std::fill_n(sheet.row(0), sheet.view().size(), std::uint8_t{255});
  for (index_t i = 0; i < shown; ++i) {
    const rgb_image picture = denormalize(pixels.view()[chosen(0, i)], how);
    const auto heat = heat_map(maps.view()[chosen(0, i)][0].split(0, grid), side, side);
    const rgb_image over = overlay(picture, heat, mask_of(heat, 0.5F));
    for (index_t y = 0; y < side; ++y) {
      std::uint8_t* to = sheet.row(i / columns * 2 * side + y) + 3 * side * (i % columns);
      std::copy_n(picture.row(y), 3 * side, to);
      std::copy_n(over.row(y), 3 * side, to + 3 * sheet.width() * side);
    }
  }
  write_png(argv[4], sheet.view());
  std::cout << argv[3] << " in " << shown << " of " << n << " pictures, by 20 neurons such as "
            << finder.chosen(0)[0].writer << " of layer " << layer << '\n';
} catch (const std::exception& e) {
  std::cerr << "where_is: " << e.what() << '\n';
  return 1;
}
