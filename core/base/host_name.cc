#include "core/base/host_name.h"

#include <unistd.h>

#include <array>

namespace farandole {

std::string host_name() {
  std::array<char, 256> name{};
  const bool known = gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0';
  return known ? std::string(name.data()) : "localhost";
}

}  // namespace farandole
