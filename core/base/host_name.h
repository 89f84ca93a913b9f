#pragma once
// The name that this machine gives itself.

#include <string>

namespace farandole {

// "localhost" where it has none.
std::string host_name();

}  // namespace farandole
