#include "tests/mutation/mutations.h"

#include <algorithm>

#include "controller/protocol/mutation.h"

namespace farandole {
namespace mutation {
namespace {

struct Present {
  std::string_view name;
  size_t asked = 0;
  bool stranger = false;
};

Present& present() noexcept {
  thread_local Present instance;
  return instance;
}

}  // namespace

void mutate(std::string_view name) noexcept {
  present().name = name;
  present().asked = 0;
}

size_t times_asked() noexcept {
  return present().asked;
}

bool asked_for_a_stranger() noexcept {
  return present().stranger;
}

}  // namespace mutation

bool control::mutated(std::string_view name) noexcept {
  mutation::Present& present = mutation::present();
  if (name == present.name) {
    ++present.asked;
    return true;
  }
  if (present.name.empty() &&
      std::ranges::find(mutation::kMutations, name, &mutation::Mutation::name) ==
          mutation::kMutations.end())
    present.stranger = true;
  return false;
}

}  // namespace farandole
