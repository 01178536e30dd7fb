#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "random.hpp"
#include "scene.hpp"

namespace toyland {

/// What a caption says of a scene: the things' kinds always, the rest mostly. `plain` is rarely
/// said.
description choose_words(const description& all, random_source&);

/// "a boat", "an apple"
std::string with_article(const std::string& noun);

/// A description in words, by a small grammar with synonyms:
///
///     caption  = [opening] things [place]
///     things   = thing [relation thing [and thing]] | thing and thing [and thing]
///     thing    = article [texture] [colour] kind
///
/// `parse` finds the same description in it. Kinds have to be told; a relation, when it is, stands
/// between the first two things.
/// @throws solens::argument_error for a thing without a kind
std::string caption(const description&, random_source&);

/// A caption of a scene as the data set has it.
std::string caption_of(const scene&, random_source&);

/// Words and short phrases for dictionaries: every word of the world with its synonyms, every kind
/// with every colour, texture and setting ("red boat", "striped boat", "boat on the sea").
std::vector<std::string> words_and_phrases();

struct parsed_prompt {
  description told;
  std::vector<std::string> ignored;  ///< words that mean nothing here, in their order
};

/// What a text tells of a scene: the inverse of `caption`, for free text too.
///
/// The longest phrases of the world's words are found, in any case, with a plural s or without.
/// Colours and textures belong to the next thing, after the last one to that. Of two settings the
/// first counts; a relation counts between the first two things. Words that the world has no use
/// for are set aside in `ignored`, small words (a, the, of, is, ...) are not even listed.
/// @throws solens::argument_error naming the text when it tells of no thing and no setting, or of
///         more than `most_things` things
parsed_prompt parse(std::string_view prompt);

/// What a word or phrase says of a scene, such that `fits` tells whether it is true: as `parse`,
/// but a colour or texture alone is a thing of it ("red": something is), and a relation may stand
/// alone.
/// @throws solens::argument_error naming the phrase when it says nothing, or holds a word that
/// means
///         nothing here
description claim_of(std::string_view phrase);

}  // namespace toyland
