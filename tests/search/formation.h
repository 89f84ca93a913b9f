#pragma once
// Formation: every order in which three ranks can join, be lost and join again, one of them with
// another setting, until the group has formed, is refused, or its time is over. What Membership
// does is judged by a rule of its own. Invariants I1, I2 and I5.

#include <cstdint>
#include <string>

namespace farandole::search {

struct FormationFound {
  uint64_t states = 0;
  uint64_t transitions = 0;
  uint64_t ends = 0;
  std::string wrong;  // the first violation, with how it comes about
};

FormationFound search_formation();

}  // namespace farandole::search
