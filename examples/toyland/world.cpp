#include "world.hpp"

namespace toyland {
namespace {

using std::string_view;

/// A row a kind, in the order of the enumeration.
struct kind_facts {
  std::array<string_view, 3> names;
  habit where;
  std::array<int, n_settings> settings;  ///< sea, meadow, night, desert, snow, room
  colour first, second;                  ///< its colour in 55 and 15 of 100 cases
  texture pattern;                       ///< if not plain, its texture in 50 of 100 cases
  kind partner;
};

constexpr std::array<kind_facts, n_kinds> facts{{
    {{"boat", "ship", "sailboat"},
     habit::swims,
     {75, 5, 5, 5, 5, 5},
     colour::red,
     colour::white,
     texture::plain,
     kind::fish},
    {{"car", "automobile", ""},
     habit::stands,
     {4, 30, 10, 40, 10, 6},
     colour::blue,
     colour::red,
     texture::plain,
     kind::house},
    {{"house", "home", "cottage"},
     habit::stands,
     {4, 55, 10, 8, 20, 3},
     colour::white,
     colour::brown,
     texture::plain,
     kind::tree},
    {{"tree", "", ""},
     habit::stands,
     {4, 60, 10, 6, 16, 4},
     colour::green,
     colour::orange,
     texture::plain,
     kind::bird},
    {{"fish", "", ""},
     habit::swims,
     {78, 4, 4, 5, 4, 5},
     colour::orange,
     colour::blue,
     texture::striped,
     kind::boat},
    {{"bird", "", ""},
     habit::flies,
     {25, 40, 8, 9, 9, 9},
     colour::blue,
     colour::brown,
     texture::plain,
     kind::tree},
    {{"cat", "kitten", ""},
     habit::stands,
     {4, 15, 15, 4, 7, 55},
     colour::black,
     colour::orange,
     texture::striped,
     kind::cup},
    {{"flower", "blossom", ""},
     habit::stands,
     {4, 65, 5, 6, 4, 16},
     colour::pink,
     colour::yellow,
     texture::plain,
     kind::butterfly},
    {{"star", "", ""},
     habit::flies,
     {5, 4, 76, 5, 6, 4},
     colour::yellow,
     colour::white,
     texture::plain,
     kind::moon},
    {{"moon", "crescent", ""},
     habit::flies,
     {8, 4, 76, 4, 5, 3},
     colour::yellow,
     colour::white,
     texture::plain,
     kind::star},
    {{"sun", "", ""},
     habit::flies,
     {24, 24, 4, 40, 4, 4},
     colour::yellow,
     colour::orange,
     texture::plain,
     kind::cloud},
    {{"cloud", "", ""},
     habit::flies,
     {32, 32, 10, 6, 16, 4},
     colour::white,
     colour::pink,
     texture::plain,
     kind::sun},
    {{"apple", "", ""},
     habit::stands,
     {4, 32, 4, 4, 4, 52},
     colour::red,
     colour::green,
     texture::plain,
     kind::cup},
    {{"umbrella", "parasol", ""},
     habit::stands,
     {20, 10, 6, 36, 6, 22},
     colour::red,
     colour::purple,
     texture::striped,
     kind::cat},
    {{"balloon", "", ""},
     habit::flies,
     {12, 34, 8, 12, 8, 26},
     colour::red,
     colour::pink,
     texture::plain,
     kind::cloud},
    {{"mushroom", "toadstool", ""},
     habit::stands,
     {4, 68, 8, 6, 6, 8},
     colour::red,
     colour::brown,
     texture::dotted,
     kind::snowman},
    {{"butterfly", "", ""},
     habit::flies,
     {4, 70, 4, 8, 4, 10},
     colour::purple,
     colour::orange,
     texture::dotted,
     kind::flower},
    {{"snowman", "", ""},
     habit::stands,
     {4, 5, 8, 4, 75, 4},
     colour::white,
     colour::blue,
     texture::plain,
     kind::house},
    {{"rocket", "spaceship", ""},
     habit::flies,
     {6, 5, 66, 13, 5, 5},
     colour::white,
     colour::red,
     texture::checked,
     kind::moon},
    {{"cup", "mug", ""},
     habit::stands,
     {4, 6, 4, 4, 6, 76},
     colour::blue,
     colour::white,
     texture::checked,
     kind::apple},
}};

constexpr std::array<std::array<string_view, 3>, n_colours> colour_words{{
    {"red", "crimson", "scarlet"},
    {"orange", "", ""},
    {"yellow", "", ""},
    {"green", "", ""},
    {"blue", "", ""},
    {"purple", "violet", ""},
    {"pink", "", ""},
    {"brown", "", ""},
    {"black", "", ""},
    {"white", "", ""},
}};
constexpr std::array<std::array<string_view, 3>, n_textures> texture_words{{
    {"plain", "", ""},
    {"striped", "stripy", ""},
    {"dotted", "spotted", ""},
    {"checked", "checkered", ""},
}};
constexpr std::array<std::array<string_view, 3>, n_settings> setting_words{{
    {"sea", "ocean", "water"},
    {"meadow", "grass", "field"},
    {"night", "night sky", "dark"},
    {"desert", "sand", "dunes"},
    {"snow", "winter", ""},
    {"room", "indoors", "inside"},
}};
constexpr std::array<std::array<string_view, 3>, n_settings> setting_phrases{{
    {"on the sea", "on the ocean", "on the water"},
    {"in a meadow", "in the grass", "in a field"},
    {"at night", "in the night sky", "in the dark"},
    {"in the desert", "on the sand", "in the dunes"},
    {"in the snow", "in winter", ""},
    {"in a room", "indoors", "inside"},
}};
constexpr std::array<std::array<string_view, 3>, n_relations> relation_words{{
    {"left of", "to the left of", "on the left of"},
    {"right of", "to the right of", "on the right of"},
    {"above", "over", "high above"},
    {"below", "under", "beneath"},
    {"on", "on top of", ""},
}};

const kind_facts& facts_of(kind k) { return facts[static_cast<std::size_t>(k)]; }

/// The words that are there: the rows end in empty ones.
words present(const std::array<string_view, 3>& row) {
  std::size_t n = 0;
  while (n < row.size() && !row[n].empty()) ++n;
  return words(row).first(n);
}

}  // namespace

words words_of(kind k) { return present(facts_of(k).names); }
words words_of(colour c) { return present(colour_words[static_cast<std::size_t>(c)]); }
words words_of(texture t) { return present(texture_words[static_cast<std::size_t>(t)]); }
words words_of(setting s) { return present(setting_words[static_cast<std::size_t>(s)]); }
words words_of(relation r) { return present(relation_words[static_cast<std::size_t>(r)]); }
words phrases_of(setting s) { return present(setting_phrases[static_cast<std::size_t>(s)]); }

habit habit_of(kind k) { return facts_of(k).where; }
kind partner_of(kind k) { return facts_of(k).partner; }
std::span<const int> settings_of(kind k) { return facts_of(k).settings; }

std::array<int, n_colours> colours_of(kind k) {
  std::array<int, n_colours> weights;
  weights.fill(3);  // 8 colours, 24 of 100
  weights[static_cast<std::size_t>(facts_of(k).first)] = 58;
  weights[static_cast<std::size_t>(facts_of(k).second)] = 18;
  return weights;
}

std::array<int, n_textures> textures_of(kind k) {
  std::array<int, n_textures> weights{70, 10, 10, 10};
  if (const texture own = facts_of(k).pattern; own != texture::plain) {
    weights = {34, 8, 8, 8};
    weights[static_cast<std::size_t>(own)] = 50;
  }
  return weights;
}

}  // namespace toyland
