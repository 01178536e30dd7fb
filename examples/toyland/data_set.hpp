#pragma once

#include <cstdint>
#include <filesystem>

#include "painter.hpp"
#include "scene.hpp"

namespace toyland {

struct data_set_options {
  int n = 2000;
  std::uint64_t seed = 1;  ///< scene i is imagined from a seed of its own, whatever n is
  int things = 0;          ///< in every scene; 0: one to three
  int side = usual_side;
  imagination how{};
};

/// Scene number `i` of a data set.
scene scene_of(const data_set_options&, int i);

/// Writes pictures for people and programs: images/<i>.png, masks/<i>-<thing>.png (grey),
/// captions.jsonl with a line a picture: files, caption, setting, relation, things with kind,
/// colour, texture and mask, concepts. Beside them, what classifiers want to tell of every
/// picture's first thing: its kind, in kinds.npy [n] int64 as a line of kinds.txt, from 0; and both
/// texture and kind, "striped boat", in textured.npy and textured.txt.
/// @throws solens::io_error naming the file
void write_pictures(const data_set_options&, const std::filesystem::path& folder);

/// Scenes side by side, for a look: `columns` in a row, as many rows as `n` scenes need.
/// @throws solens::io_error naming the file
void write_sheet(const data_set_options&, int columns, const std::filesystem::path& png);

/// How many captions a scene has in a raw data set.
inline constexpr int captions_a_scene = 4;

/// Writes a data set for training, in one safetensors file. The values of what is there as int64,
/// -1 for nothing: `kinds`, `colours`, `textures` [n, 3], `settings`, `relations` [n]. As bits, of
/// kinds, then colours, textures, settings, relations: what is `there` [n], and what each caption
/// has `said` [n, captions_a_scene]. `images` [n, side, side, 3] uint8; `patches`
/// [n, side / 8, side / 8] uint8, the kind that covers most of a patch, 255 where none covers a
/// quarter. Beside it, with the ending .txt, the captions, a line each.
/// @throws solens::io_error naming the file
void write_raw(const data_set_options&, const std::filesystem::path& file);

}  // namespace toyland
