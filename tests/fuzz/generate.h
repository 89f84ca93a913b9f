#pragma once
// Messages made of an input: most of them such as ranks say them, with names, ids and numbers from
// a small world so that they meet; some with any value at all.

#include <optional>

#include "controller/protocol/messages.h"
#include "core/way.h"
#include "tests/fuzz/input.h"
#include "tests/fuzz/names.h"

namespace farandole::fuzz {

constexpr size_t kRanks = 3;

// Limits so small that every one of them is met.
control::Limits tight_limits();

// Within the limits, and such as a rank of `tight_limits` announces it.
Signature lawful_signature(Input& in);
// A join, or what adds or removes a process set, be it one that can be or not.
Announcement change_of_sets(Input& in);
// A message between `rank` and another one, as its sender announces it.
Announcement message_of(Input& in, int rank);
// What `rank` announces of what another has announced; of messages of others nothing.
std::optional<Announcement> part_of(const Announcement& item, int rank);
// Gives it so many rows that nothing can hold them and any more. Requires: a lawful one.
void exaggerate(Input& in, Signature& s);
Announcement any_announcement(Input& in);
control::Message any_message(Input& in);
control::Join any_join(Input& in);
// One of the kinds that ranks, or the coordinator, send.
control::Message message_up(Input& in);
control::Message message_down(Input& in);

// Changes some bytes, or cuts.
void spoil(Input& in, control::Bytes& bytes);

}  // namespace farandole::fuzz
