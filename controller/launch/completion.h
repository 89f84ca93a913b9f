#pragma once
// What makes a shell complete the command line of farandolerun, made of the table of flags.

#include <string>
#include <string_view>

namespace farandole::launch {

// For "bash" or "zsh"; "" for any other.
std::string completion_text(std::string_view shell);

}  // namespace farandole::launch
