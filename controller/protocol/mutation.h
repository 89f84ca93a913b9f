#pragma once
// FARANDOLE_MUTATE(Name): whether the protocol shall have the deliberate bug `Name` just now.
// Always false, at no cost, but in the copy of this library that one test builds for itself to see
// whether the nets catch such bugs (tests/mutation). What is released cannot contain any: see
// below.

#ifdef FARANDOLE_MUTATIONS
#ifdef NDEBUG
#error "FARANDOLE_MUTATIONS is for one test only and cannot be part of a release"
#endif
#include <string_view>

namespace farandole::control {
// Defined by that test.
bool mutated(std::string_view name) noexcept;
}  // namespace farandole::control
#define FARANDOLE_MUTATE(name) ::farandole::control::mutated(#name)
#else
#define FARANDOLE_MUTATE(name) false
#endif
