#pragma once
// A release of what includes this is compiled with checked calls of libc, or not at all: a binary
// does not show how strictly they are checked, and some have no call of whose room the compiler
// knows. One file of each binary includes it: extension module, library, launcher.

#include <cstring>

#if defined(NDEBUG) && (!defined(_FORTIFY_SOURCE) || _FORTIFY_SOURCE < 3 || \
                        !defined(__USE_FORTIFY_LEVEL) || __USE_FORTIFY_LEVEL == 0)
#error "a release is compiled with _FORTIFY_SOURCE=3, and optimised"
#endif
