#pragma once
// The part of the contract suite about Adasum besides the cases of every operation: what is true of
// it whatever the values are.

#include <memory>

#include "tests/contract/group.h"
#include "tests/support/arithmetic.h"

namespace farandole::testing {

void join_adasum_contract(const std::shared_ptr<const Backend>& backend, int size);

// What communicators of any kind have to give for the same values: all ranks', in many segments,
// one of them longer than a slot. Requires: the group is connected.
Bytes adasum_of_many(Group& group, DType dtype);

}  // namespace farandole::testing
