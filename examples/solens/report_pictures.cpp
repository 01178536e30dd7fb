#include "report_pictures.hpp"

#include <algorithm>
#include <cmath>  // std::lround
#include <filesystem>
#include <memory>
#include <numeric>  // std::iota
#include <optional>
#include <span>
#include <utility>

#include <solens/image/encode_jpeg.hpp>
#include <solens/image/encode_png.hpp>
#include <solens/image/preprocess.hpp>
#include <solens/lens/second_order.hpp>
#include <solens/weights/safetensors.hpp>

#include "lens_run.hpp"
#include "run_images.hpp"
#include "run_model.hpp"

namespace solens::program {
namespace {

namespace fs = std::filesystem;

constexpr index_t thumbnail_side = 112;

/// A place where an image is shown: of a neuron (counted over all layers), at a rank.
struct showing {
  index_t neuron, rank;
};

/// What the pictures are made of while they are.
struct gallery {
  std::vector<std::vector<showing>> shown_at;  ///< by image
  std::vector<std::string> thumbnails;         ///< by image; empty for none
  std::vector<float> heat;                     ///< a row of tokens for each showing that has one
  host_tensor<index_t> heat_row;               ///< [neurons, shown]: its row, or -1
  index_t n_tokens = 0;
  index_t heat_ranks = 0;  ///< showings of a lower rank have a heat map
  std::size_t room = 0;    ///< bytes of the page that are left
  bool full = false;       ///< an image did not fit any more

  /// Gives half of the room to heat maps, of the same ranks for all neurons.
  void share_room() {
    const auto one_rank = static_cast<std::size_t>(heat_row.extent(0) * n_tokens) * 4 / 3;
    heat_ranks = std::min(heat_row.extent(1), static_cast<index_t>(room / 2 / one_rank));
  }

  /// Takes the room that an image needs with its heat maps, in base64.
  bool reserve(index_t image, std::size_t thumbnail_bytes) {
    const auto& places = shown_at[static_cast<std::size_t>(image)];
    const auto n = std::count_if(places.begin(), places.end(),
                                 [&](const showing& s) { return s.rank < heat_ranks; });
    const std::size_t bytes = (thumbnail_bytes + static_cast<std::size_t>(n * n_tokens)) * 4 / 3;
    full = bytes > room;
    if (!full) room -= bytes;
    return !full;
  }
};

/// The images that are shown anywhere, those first that stand highest with most neurons.
std::vector<index_t> by_use(const gallery& of) {
  std::vector<double> use;
  for (const auto& places : of.shown_at) {
    double sum = 0;
    for (const showing& s : places) sum += 1 / static_cast<double>(1 + s.rank);
    use.push_back(sum);
  }
  std::vector<index_t> order;
  for (index_t i = 0; i < std::ssize(use); ++i) {
    if (use[static_cast<std::size_t>(i)] > 0) order.push_back(i);
  }
  std::stable_sort(order.begin(), order.end(), [&](index_t a, index_t b) {
    return use[static_cast<std::size_t>(a)] > use[static_cast<std::size_t>(b)];
  });
  return order;
}

/// The bytes of a picture of what the model sees, as PNG or JPEG, whichever is shorter.
/// @param pixels  [3, side, side], normalised
std::string thumbnail(host_view<const float> pixels, const preprocess_options& how) {
  rgb_image image(pixels.extent(1), pixels.extent(2));
  for (index_t c = 0; c < 3; ++c) {
    const auto channel = static_cast<std::size_t>(c);
    for (index_t y = 0; y < image.height(); ++y) {
      for (index_t x = 0; x < image.width(); ++x) {
        const double value =
            (static_cast<double>(pixels(c, y, x)) * how.std[channel] + how.mean[channel]) *
            how.white;
        image.row(y)[3 * x + c] =
            static_cast<std::uint8_t>(std::lround(std::clamp(value, 0.0, 255.0)));
      }
    }
  }
  if (image.height() > thumbnail_side) {
    image = resize(image, thumbnail_side, thumbnail_side, interpolation::bicubic);
  }
  const host_view<const std::uint8_t> view = std::as_const(image).view();
  std::string png = encode_png(view), jpeg = encode_jpeg(view);
  return png.size() < jpeg.size() ? png : jpeg;
}

/// A layer as the heat maps need it.
template <tensor_backend B>
struct layer_of_gallery {
  second_order_map<B> map;
  typename B::tensor q;  ///< [neurons, sources]: each direction seen through each later head
  index_t first;         ///< neuron, counted over all layers
};

template <tensor_backend B>
std::vector<layer_of_gallery<B>> read_layers(const B& be, const run_folder& folder,
                                             const report_json& record, const head_maps<B>& heads,
                                             const lens_weights<B>& weights) {
  std::vector<layer_of_gallery<B>> layers;
  index_t first = 0;
  for (const index_t layer : layers_of(record)) {
    const safetensors_file found(folder.path() / run_folder::layer_file(layer));
    second_order_map<B> map(be, heads, weights, layer);
    auto direction = be.allocate({map.n_writers(), map.d_joint()});
    auto q = be.allocate({map.n_writers(), map.n_sources()});
    be.upload(found.view<float>("direction"), direction.view());
    map.project(be, std::as_const(direction).view(), q.view());
    const index_t n = map.n_writers();
    layers.push_back({std::move(map), std::move(q), first});
    first += n;
  }
  return layers;
}

/// Keeps the heat maps of a batch: of each image, those of the neurons that show it.
template <tensor_backend B>
void keep_heat(const B& be, layer_of_gallery<B>& layer, const attention_routes<B>& routes,
               const_view_of<B> writers, std::span<const index_t> images, scratch<B>& memory,
               gallery& to) {
  const index_t n = layer.map.n_writers();
  const shape extents{writers.extent(0), n, writers.extent(1)};
  const view_of<B> terms = memory.get(be, extents);
  layer.map.project_by_token(be, routes, writers, std::as_const(layer.q).view(), terms);
  host_tensor<float> host(extents);
  be.download(const_view_of<B>(terms), host);
  for (index_t i = 0; i < std::ssize(images); ++i) {
    for (const showing& s :
         to.shown_at[static_cast<std::size_t>(images[static_cast<std::size_t>(i)])]) {
      if (s.neuron < layer.first || s.neuron >= layer.first + n) continue;
      if (s.rank >= to.heat_ranks) continue;
      to.heat_row(s.neuron, s.rank) = std::ssize(to.heat) / to.n_tokens;
      const auto row = row_of(std::as_const(host).view()[i], s.neuron - layer.first);
      to.heat.insert(to.heat.end(), row.data, row.data + row.size);
    }
  }
}

/// The images of a run: files, or where there are none the run's tensor.
std::unique_ptr<image_input> open_again(const report_call& call, const run_folder& folder,
                                        const report_json& record,
                                        const preprocess_options& preprocess,
                                        std::vector<fs::path> files) {
  const int threads = threads_of(call.common);
  return files.empty()
             ? open_images(images_of_run(folder, record), preprocess, call.common.batch, threads)
             : open_images(image_files(std::move(files)), preprocess, call.common.batch, threads);
}

/// Runs the model over images until the budget is spent.
/// @param order  their numbers in the run
/// @param paths  their files; none where they are rows of the run's tensor
template <tensor_backend B>
void fill(const B& be, const report_call& call, const run_folder& folder, const report_json& record,
          const clip_source& model, const std::vector<index_t>& order, std::vector<fs::path> paths,
          gallery& to) {
  const auto preprocess = preprocess_of(model);
  auto input = open_again(call, folder, record, preprocess, std::move(paths));
  const std::vector<index_t> layers = layers_of(record);
  const auto sites = second_order_sites(vision_of(model), layers);
  lens_run<B> run(be, load_vision_tower(be, model), std::min(call.common.batch, input->size()),
                  sites);
  const auto weights = lens_weights_of(run.tower());
  const bool reference = record.at("options").at("convention") == "reference";
  const head_maps<B> heads(be, weights, reference ? convention::reference : convention::centered);
  auto of_layers = read_layers(be, folder, record, heads, weights);
  attention_routes<B> routes(record.at("options").at("coefficient").get<double>());
  scratch<B> memory;
  for_each_batch(*input, "report", call.common.quiet, [&](const image_input::batch& batch) {
    std::vector<index_t> images;
    for (std::size_t i = 0; i < batch.positions.size(); ++i) {
      const index_t image = order[static_cast<std::size_t>(batch.positions[i])];
      std::string picture = thumbnail(batch.pixels[static_cast<index_t>(i)], preprocess);
      if (!to.reserve(image, picture.size())) break;
      to.thumbnails[static_cast<std::size_t>(image)] = std::move(picture);
      images.push_back(image);
    }
    const index_t n = std::ssize(images);
    if (n == 0) return false;
    const auto activations = run(batch.pixels.slice(0, 0, n));
    routes.update(be, activations, layers.front() + 1);
    for (std::size_t l = 0; l < layers.size(); ++l) {
      const auto writers = activations.blocks[static_cast<std::size_t>(layers[l])].writers;
      keep_heat(be, of_layers[l], routes, writers, images, memory, to);
    }
    return n == std::ssize(batch.positions);
  });
}

std::vector<report_column> columns_of(const gallery& of) {
  column_writer<std::uint8_t> bytes("thumbnails");
  column_writer<std::uint32_t> sizes("thumbnail_sizes");
  for (const std::string& picture : of.thumbnails) {
    for (const char c : picture) bytes.add(static_cast<std::uint8_t>(c));
    sizes.add(static_cast<std::uint32_t>(picture.size()));
  }
  // One scale a neuron, so that its maps can be compared.
  column_writer<std::int8_t> heat("heat");
  column_writer<float> scales("heat_scale");
  const std::span<const float> all(of.heat);
  const auto n_tokens = static_cast<std::size_t>(of.n_tokens);
  for (index_t n = 0; n < of.heat_row.extent(0); ++n) {
    std::vector<std::span<const float>> rows;
    double scale = 0;
    for (index_t r = 0; r < of.heat_row.extent(1); ++r) {
      if (of.heat_row(n, r) < 0) continue;
      rows.push_back(all.subspan(static_cast<std::size_t>(of.heat_row(n, r)) * n_tokens, n_tokens));
      scale = std::max(scale, largest_magnitude(rows.back()));
    }
    for (const auto& row : rows) add_quantized(row, scale, heat);
    scales.add(static_cast<float>(scale));
  }
  return {bytes.column(), sizes.column(), heat.column(), scales.column()};
}

/// The images' files in the order given; those that are gone are taken out of it.
std::vector<fs::path> files_of(const shown_images& shown, std::vector<index_t>& order) {
  std::vector<fs::path> paths;
  std::erase_if(order, [&](index_t image) {
    fs::path path = shown.names[static_cast<std::size_t>(image)];
    std::error_code ignored;
    if (!fs::is_regular_file(path, ignored)) return true;
    paths.push_back(std::move(path));
    return false;
  });
  return paths;
}

/// An empty gallery for the images shown.
gallery open_gallery(const report_call& call, const shown_images& shown) {
  gallery g;
  const index_t n = shown.of_neuron.extent(0), ranks = shown.of_neuron.extent(1);
  g.shown_at.resize(shown.names.size());
  g.thumbnails.resize(shown.names.size());
  g.heat_row = host_tensor<index_t>({n, ranks}, index_t{-1});
  g.room = call.thumbnails;
  for (index_t w = 0; w < n; ++w) {
    for (index_t r = 0; r < ranks; ++r) {
      g.shown_at[static_cast<std::size_t>(shown.of_neuron(w, r))].push_back({w, r});
    }
  }
  return g;
}

/// What of the images wanted has no picture, and why.
/// @param there  how many of them have files
std::string what_is_missing(const gallery& g, index_t count, index_t there, index_t wanted) {
  const auto of_images = [&](index_t part) {
    return std::to_string(part) + " of the " + std::to_string(wanted) + " images";
  };
  std::string note;
  const auto add = [&](const std::string& text) { note += (note.empty() ? "" : "; ") + text; };
  if (there < wanted) add(of_images(wanted - there) + " are gone");
  if (g.full) {
    add("pictures of " + of_images(count) + ", for which --thumbnails has room");
  } else if (count < there) {
    add(of_images(there - count) + " cannot be read");
  }
  return note;
}

}  // namespace

report_pictures make_pictures(const report_call& call, const run_folder& folder,
                              const report_json& record, const shown_images& shown) {
  if (call.thumbnails == 0) return {};
  gallery g = open_gallery(call, shown);
  std::vector<index_t> order = by_use(g);
  std::vector<fs::path> paths;
  const bool from_tensor = !images_of_run(folder, record).pixels.empty();
  if (from_tensor) {  // which is read as it lies
    order.resize(shown.names.size());
    std::iota(order.begin(), order.end(), index_t{0});
  }
  const index_t wanted = std::ssize(order);
  if (!from_tensor) paths = files_of(shown, order);
  const index_t there = std::ssize(order);
  if (there == 0) {
    return {{},
            0,
            0,
            "without pictures: no image is where the run found it, such as " + shown.names.front()};
  }
  try {
    const clip_source model = open_model_of_run(call.run, record, call.model);
    g.n_tokens = vision_of(model).n_tokens();
    g.share_room();
    with_backend(call.common, [&]<tensor_backend B>(const B& be) {
      fill(be, call, folder, record, model, order, std::move(paths), g);
    });
  } catch (const interrupted&) {
    throw;
  } catch (const error& e) {
    return {{}, 0, 0, std::string("without pictures: ") + e.what()};
  }
  report_pictures result{columns_of(g), 0, g.heat_ranks, {}};
  for (const std::string& picture : g.thumbnails) result.count += !picture.empty();
  result.note = what_is_missing(g, result.count, there, wanted);
  return result;
}

}  // namespace solens::program
