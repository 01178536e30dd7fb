#include "data_set.hpp"

#include <algorithm>  // std::copy_n, std::fill_n
#include <array>
#include <cstddef>  // std::size_t
#include <cstdio>   // std::snprintf
#include <map>
#include <string>
#include <utility>  // std::move, std::pair
#include <vector>

#include <nlohmann/json.hpp>

#include <solens/core/atomic_file.hpp>
#include <solens/core/host_tensor.hpp>
#include <solens/core/tensor_view.hpp>
#include <solens/image/encode_png.hpp>
#include <solens/weights/npy.hpp>
#include <solens/weights/safetensors_writer.hpp>

#include "grammar.hpp"
#include "painter.hpp"
#include "random.hpp"

namespace toyland {
namespace {

/// Random numbers for scene `i`: stream 0 of the data set's seed for the scene, 1 for its words.
random_source source_of(const data_set_options& o, int i, std::uint64_t stream) {
  random_source r(o.seed, 2 * static_cast<std::uint64_t>(i) + stream);
  return r;
}

nlohmann::ordered_json record_of(const scene& s, const std::string& number,
                                 const std::string& words) {
  nlohmann::ordered_json record{{"image", "images/" + number + ".png"}, {"caption", words}};
  auto things = nlohmann::ordered_json::array();
  for (std::size_t i = 0; i < s.things.size(); ++i) {
    const thing& t = s.things[i];
    things.push_back({{"kind", name_of(t.what)},
                      {"colour", name_of(t.hue)},
                      {"texture", name_of(t.pattern)},
                      {"mask", "masks/" + number + "-" + std::to_string(i) + ".png"}});
  }
  record["things"] = std::move(things);
  if (s.between) record["relation"] = name_of(*s.between);
  record["setting"] = name_of(s.place);
  record["concepts"] = concepts_of(s);
  return record;
}

/// The classes of the pictures, and what each is called.
/// @param kinds     [n]
/// @param textured  [n], of n_textures * n_kinds
void write_classes(const std::filesystem::path& folder,
                   const solens::host_tensor<solens::index_t>& kinds,
                   const solens::host_tensor<solens::index_t>& textured) {
  std::string names, with_texture;
  for (int t = 0; t < n_textures; ++t) {
    for (int k = 0; k < n_kinds; ++k) {
      const std::string name(name_of(static_cast<kind>(k)));
      if (t == 0) names += name + "\n";
      with_texture.append(name_of(static_cast<texture>(t))).append(" " + name + "\n");
    }
  }
  solens::write_file_atomically(folder / "kinds.txt", names);
  solens::write_file_atomically(folder / "textured.txt", with_texture);
  solens::write_npy(folder / "kinds.npy", kinds.view());
  solens::write_npy(folder / "textured.npy", textured.view());
}

}  // namespace

scene scene_of(const data_set_options& o, int i) {
  description told;
  told.things.resize(static_cast<std::size_t>(o.things));
  return imagine(told, source_of(o, i, 0).next(), o.how);
}

void write_pictures(const data_set_options& o, const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  fs::create_directories(folder / "images");
  fs::create_directories(folder / "masks");
  const solens::index_t side = o.side;
  solens::host_tensor<solens::index_t> kinds({o.n}), textured({o.n});
  std::string captions;
  for (int i = 0; i < o.n; ++i) {
    const scene s = scene_of(o, i);
    random_source r = source_of(o, i, 1);
    const picture p = paint(s, o.side);
    std::array<char, 16> number{};
    std::snprintf(number.data(), number.size(), "%06d", i);
    const std::string name = number.data();
    solens::write_png(folder / "images" / (name + ".png"), p.image.view());
    for (std::size_t j = 0; j < p.masks.size(); ++j) {
      const solens::host_view<const std::uint8_t> mask(p.masks[j].values().data(), {side, side});
      solens::write_png(folder / "masks" / (name + "-" + std::to_string(j) + ".png"), mask);
    }
    captions += record_of(s, name, caption_of(s, r)).dump() + "\n";
    kinds(i) = static_cast<solens::index_t>(s.things[0].what);
    textured(i) = n_kinds * static_cast<solens::index_t>(s.things[0].pattern) + kinds(i);
  }
  solens::write_file_atomically(folder / "captions.jsonl", captions);
  write_classes(folder, kinds, textured);
}

void write_sheet(const data_set_options& o, int columns, const std::filesystem::path& png) {
  const int rows = (o.n + columns - 1) / columns;
  solens::rgb_image sheet(rows * o.side, columns * o.side);
  std::fill_n(sheet.row(0), sheet.view().size(), std::uint8_t{255});
  for (int i = 0; i < o.n; ++i) {
    const picture p = paint(scene_of(o, i), o.side);
    for (int y = 0; y < o.side; ++y) {
      std::copy_n(p.image.row(y), 3 * o.side,
                  sheet.row(i / columns * o.side + y) + 3 * o.side * (i % columns));
    }
  }
  solens::write_png(png, sheet.view());
}

namespace {

/// What a description tells, a bit a concept; see `write_raw`.
solens::index_t bits_of(const description& d) {
  constexpr int colours = n_kinds, textures = colours + n_colours, settings = textures + n_textures,
                relations = settings + n_settings;
  solens::index_t bits = 0;
  const auto add = [&bits](int first, const auto& value) {
    if (value) bits |= solens::index_t{1} << (first + static_cast<int>(*value));
  };
  for (const mention& m : d.things) {
    add(0, m.what), add(colours, m.hue), add(textures, m.pattern);
  }
  add(settings, d.place), add(relations, d.between);
  return bits;
}

/// The kind that covers most of each patch of 8 x 8 pixels, 255 where none covers a quarter.
std::vector<std::uint8_t> kinds_by_patch(const scene& s, const picture& p) {
  constexpr int patch = 8;
  const int across = static_cast<int>(p.image.width()) / patch;
  std::vector<std::uint8_t> kinds;
  for (int row = 0; row < across; ++row) {
    for (int column = 0; column < across; ++column) {
      int most = patch * patch * 255 / 4;
      std::uint8_t best = 255;
      for (std::size_t i = 0; i < p.masks.size(); ++i) {
        int sum = 0;
        for (int pixel = 0; pixel < patch * patch; ++pixel) {
          sum += p.masks[i](column * patch + pixel % patch, row * patch + pixel / patch);
        }
        if (sum >= most) most = sum, best = static_cast<std::uint8_t>(s.things[i].what);
      }
      kinds.push_back(best);
    }
  }
  return kinds;
}

/// The small tensors of a raw data set, in memory until the end.
class label_columns {
 public:
  explicit label_columns(solens::index_t n) : n_(n) {}

  void add(const scene& s) {
    for (std::size_t i = 0; i < most_things; ++i) {
      const bool there = i < s.things.size();
      const thing t = there ? s.things[i] : thing{};
      columns_["kinds"].push_back(there ? static_cast<solens::index_t>(t.what) : -1);
      columns_["colours"].push_back(there ? static_cast<solens::index_t>(t.hue) : -1);
      columns_["textures"].push_back(there ? static_cast<solens::index_t>(t.pattern) : -1);
    }
    columns_["settings"].push_back(static_cast<solens::index_t>(s.place));
    columns_["relations"].push_back(s.between ? static_cast<solens::index_t>(*s.between) : -1);
    columns_["there"].push_back(bits_of(describe(s)));
  }
  void add_said(const description& d) { columns_["said"].push_back(bits_of(d)); }

  std::vector<solens::tensor_info> declared() const {
    std::vector<solens::tensor_info> infos;
    for (const auto& [name, width] : widths) {
      infos.push_back({name, solens::dtype::i64, extents(width)});
    }
    return infos;
  }

  void write(solens::safetensors_writer& out) const {
    for (const auto& [name, width] : widths) {
      out.write(name,
                solens::host_view<const solens::index_t>(columns_.at(name).data(), extents(width)));
    }
  }

 private:
  static constexpr std::array<std::pair<const char*, solens::index_t>, 7> widths{
      {{"kinds", most_things},
       {"colours", most_things},
       {"textures", most_things},
       {"settings", 1},
       {"relations", 1},
       {"there", 1},
       {"said", captions_a_scene}}};

  solens::shape extents(solens::index_t width) const {
    return width == 1 ? solens::shape{n_} : solens::shape{n_, width};
  }

  solens::index_t n_;
  std::map<std::string, std::vector<solens::index_t>> columns_;
};

}  // namespace

void write_raw(const data_set_options& o, const std::filesystem::path& file) {
  using solens::dtype, solens::host_view, solens::index_t;
  const index_t n = o.n, side = o.side, across = side / 8;
  label_columns labels(n);
  std::vector<solens::tensor_info> tensors = labels.declared();
  tensors.push_back({"images", dtype::u8, {n, side, side, 3}});
  tensors.push_back({"patches", dtype::u8, {n, across, across}});
  solens::safetensors_writer out(file, std::move(tensors));
  std::filesystem::path beside = file;
  solens::atomic_file captions(beside.replace_extension(".txt"));
  for (int i = 0; i < o.n; ++i) {
    const scene s = scene_of(o, i);
    const picture p = paint(s, o.side);
    const std::vector<std::uint8_t> patches = kinds_by_patch(s, p);
    out.write_rows("images", i, host_view<const std::uint8_t>(p.image.row(0), {1, side, side, 3}));
    out.write_rows("patches", i,
                   host_view<const std::uint8_t>(patches.data(), {1, across, across}));
    labels.add(s);
    random_source r = source_of(o, i, 1);
    for (int j = 0; j < captions_a_scene; ++j) {
      const description said = choose_words(describe(s), r);
      labels.add_said(said);
      captions.write(caption(said, r) + "\n");
    }
  }
  labels.write(out);
  out.commit();
  captions.commit();
}

}  // namespace toyland
