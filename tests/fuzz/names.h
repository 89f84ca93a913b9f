#pragma once
// Names made of an input, from a small world so that they meet: of tensors, and of members of
// groups (core/member_name.h); and which of them a session lets a rank use together.

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/request.h"
#include "tests/fuzz/input.h"

namespace farandole::fuzz {

using TensorKey = std::pair<uint32_t, std::string>;  // process set and name
using InFlight = std::map<TensorKey, Signature>;

std::string tensor_name(Input& in);
// Of a member of `group`, which may be the name of a message; at times not quite.
std::string member_of(Input& in, const std::string& group);
// What one rank has in flight under a name: one tensor (0), or a group of so many.
std::vector<std::string> names_of(const std::string& name, uint32_t count);

// Whether a rank that has these in flight may have that one, too (core/name_registry.h).
bool may_claim(const InFlight& in_flight, const TensorKey& key);

}  // namespace farandole::fuzz
