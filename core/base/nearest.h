#pragma once
// The known word that a misspelt one most likely means.

#include <string>
#include <string_view>
#include <vector>

namespace farandole {

// By edit distance (Levenshtein 1966) to the nearest beginning of a known word, which may have been
// cut short; of several that one to which the whole word is nearest, and of these the first. Empty
// where none is near: where more than a third of the word would have to change, without what all
// known ones begin with.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace farandole
