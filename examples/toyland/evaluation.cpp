#include "evaluation.hpp"

#include <algorithm>  // std::any_of, std::count_if, std::min, std::sort
#include <array>
#include <cmath>    // std::sqrt
#include <cstddef>  // std::size_t
#include <numeric>  // std::inner_product, std::iota
#include <utility>  // std::move

#include <solens/image/preprocess_json.hpp>
#include <solens/model/load.hpp>
#include <solens/text/load_tokenizer.hpp>
#include <solens/text/templates.hpp>

#include "grammar.hpp"
#include "painter.hpp"

namespace toyland {

using solens::host_tensor, solens::host_view, solens::index_t, solens::shape;

namespace {

constexpr index_t batch = 64;

template <class B>
solens::vision_tower<B> vision_of(const B& be, const std::filesystem::path& folder) {
  const solens::clip_source source = solens::open_clip_model(folder);
  auto weights = solens::load_weights(be, source.weights, source.config, {true, false});
  return {source.config.vision, std::move(*weights.vision)};
}

template <class B>
solens::text_tower<B> text_of(const B& be, const std::filesystem::path& folder) {
  const solens::clip_source source = solens::open_clip_model(folder);
  auto weights = solens::load_weights(be, source.weights, source.config, {false, true});
  return {source.config.text.value(), std::move(*weights.text)};
}

void normalize_rows(host_view<float> rows) {
  for (index_t i = 0; i < rows.extent(0); ++i) {
    const std::span row(rows[i].data(), static_cast<std::size_t>(rows.extent(1)));
    const float square = std::inner_product(row.begin(), row.end(), row.begin(), 0.0F);
    for (float& value : row) value /= std::sqrt(square);
  }
}

}  // namespace

clip::clip(const std::filesystem::path& folder, int threads)
    : be_(threads),
      preprocess_(solens::read_preprocess_options(folder / "preprocessor_config.json")),
      tokenizer_(solens::load_tokenizer(folder)),
      vision_(vision_of(be_, folder)),
      text_(text_of(be_, folder)) {}

host_tensor<float> clip::of_texts(const std::vector<std::string>& texts) const {
  const auto n = static_cast<index_t>(texts.size());
  host_tensor<index_t> tokens(shape{n, text_.config().context_length});
  tokenizer_.tokenize(texts, tokens);
  host_tensor<float> rows(shape{n, text_.d_joint()});
  auto work = text_.make_workspace(be_);
  text_.forward(be_, tokens, work, rows);
  normalize_rows(rows);
  return rows;
}

host_tensor<float> clip::of_pictures(std::span<const solens::rgb_image> pictures) const {
  const auto n = static_cast<index_t>(pictures.size());
  const index_t side = vision_.config().image_size;
  host_tensor<float> rows(shape{n, vision_.d_joint()}), pixels(shape{batch, 3, side, side});
  auto work = vision_.make_workspace(be_, batch);
  for (index_t from = 0; from < n; from += batch) {
    const index_t to = std::min(from + batch, n);
    for (index_t i = from; i < to; ++i) {
      prepare(pictures[static_cast<std::size_t>(i)], pixels.view()[i - from]);
    }
    vision_.forward(be_, pixels.view().slice(0, 0, to - from), work,
                    rows.view().slice(0, from, to));
  }
  normalize_rows(rows);
  return rows;
}

host_tensor<float> kind_classifier(const clip& model) {
  std::vector<solens::prompt_template> templates;
  for (const char* text : kind_sentences) templates.emplace_back(text);
  std::vector<std::string> things;
  for (int k = 0; k < n_kinds; ++k) {
    things.push_back(with_article(std::string(name_of(static_cast<kind>(k)))));
  }
  const auto rows = model.of_texts(solens::fill_templates(templates, things));
  const index_t per_kind = std::ssize(templates), width = rows.extents()[1];
  host_tensor<float> means(shape{n_kinds, width});
  for (index_t k = 0; k < n_kinds; ++k) {
    for (index_t j = 0; j < width; ++j) {
      float sum = 0;
      for (index_t t = 0; t < per_kind; ++t) sum += rows.data()[(k * per_kind + t) * width + j];
      means.data()[k * width + j] = sum;
    }
  }
  normalize_rows(means);
  return means;
}

namespace {

/// The kinds, by falling similarity.
std::array<int, n_kinds> ranked_kinds(const host_tensor<float>& classifier, const float* picture) {
  const auto width = static_cast<std::size_t>(classifier.extents()[1]);
  std::array<float, n_kinds> scores{};
  for (std::size_t k = 0; k < n_kinds; ++k) {
    scores[k] = std::inner_product(picture, picture + width, classifier.data() + k * width, 0.0F);
  }
  std::array<int, n_kinds> order;
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](int a, int b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  return order;
}

}  // namespace

zero_shot_score zero_shot(const clip& model, const data_set_options& o) {
  const host_tensor<float> classifier = kind_classifier(model);
  std::vector<scene> scenes;
  std::vector<solens::rgb_image> pictures;
  for (int i = 0; i < o.n; ++i) {
    scenes.push_back(scene_of(o, i));
    pictures.push_back(paint(scenes.back(), o.side).image);
  }
  const host_tensor<float> rows = model.of_pictures(pictures);
  int best = 0, all = 0, things = 0;
  for (std::size_t i = 0; i < scenes.size(); ++i) {
    const auto ranked =
        ranked_kinds(classifier, rows.data() + static_cast<index_t>(i) * rows.extents()[1]);
    const auto there = [&](int k) {
      return std::any_of(scenes[i].things.begin(), scenes[i].things.end(),
                         [k](const thing& t) { return static_cast<int>(t.what) == k; });
    };
    const auto n = std::ssize(scenes[i].things);
    best += there(ranked[0]);
    all += static_cast<int>(std::count_if(ranked.begin(), ranked.begin() + n, there));
    things += static_cast<int>(n);
  }
  return {double(best) / o.n, double(all) / things};
}

}  // namespace toyland
