#pragma once
// What the launcher prints about itself.

#include <string>

namespace farandole::launch {

std::string help_text();
std::string version_text();
std::string version_number();
// The settings of the ranks, as people read them.
std::string help_env_text();
// What this build can do, in the form of horovodrun's.
std::string check_build_text();

}  // namespace farandole::launch
