#pragma once
// A release of the extension module is compiled with checked calls of libc, or not at all. Its
// binary cannot show it: it makes no call of whose room the compiler knows.

#include <cstring>

#if defined(NDEBUG) && (!defined(_FORTIFY_SOURCE) || _FORTIFY_SOURCE < 3 || \
                        !defined(__USE_FORTIFY_LEVEL) || __USE_FORTIFY_LEVEL == 0)
#error "a release is compiled with _FORTIFY_SOURCE=3, and optimised"
#endif
