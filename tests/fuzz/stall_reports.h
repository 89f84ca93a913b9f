#pragma once
// Reports of who waits for whom: what is asked of ranks, what they answer, and what is shown of it.

#include "controller/protocol/stalls.h"
#include "tests/fuzz/input.h"

namespace farandole::fuzz {

// One line each, none too long, of text that can do nothing to whoever looks at it.
void check_lines(const control::StallReport& report);
// Reports of anything that ranks wait for, and ranks that answer what they like: each is asked one
// question at a time and answers it once, and no report grows or waits for ever.
void play_inquiries(Input& in);

}  // namespace farandole::fuzz
