#pragma once
// Validation: whether the signatures of all members of a process set fit together. Pure.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/status.h"
#include "core/request.h"

namespace farandole::control {

// The remedy where some ranks' memory is another kind of device's.
inline constexpr std::string_view kOneDevice = "give memory of one kind of device on every rank";

// Extents as in ReadyOp. `ranks` are the members' global ranks, `signatures` theirs in the same
// order, `joined` the members that have joined and take no part: both ascend.
// Fails: Mismatch naming the tensor, the ranks and what each has, or what has no meaning without
// those that have joined; InvalidArgument where all agree on something that has no meaning (a 0-dim
// allgather, say).
Result<std::vector<int64_t>> validate(
    const std::string& name,
    std::span<const int> ranks,
    std::span<const Signature> signatures,
    std::span<const int> joined = {});

// The same for a message, of which `ranks` and `joined` are its two ends. Requires: one is not
// joined, and has announced it as the decoder lets it.
Result<std::vector<int64_t>> validate_message(
    const std::string& name,
    std::span<const int> ranks,
    std::span<const Signature> signatures,
    std::span<const int> joined);

// Bytes of one member's input, saturating.
uint64_t input_bytes(const Signature& signature) noexcept;

}  // namespace farandole::control
