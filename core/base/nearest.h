#pragma once
// The known word that a misspelt one most likely means.

#include <string>
#include <string_view>
#include <vector>

namespace farandole {

// By edit distance (Levenshtein 1966); of several the first. Empty where none is near: where more
// than a third of the word would have to change.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace farandole
