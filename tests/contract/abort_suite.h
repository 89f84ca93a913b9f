#pragma once
// The part of the contract suite about ends that come early: abort, absent members, repetition.

#include <memory>

#include "tests/contract/contract_suite.h"

namespace farandole::testing {

void join_abort_contract(const std::shared_ptr<const Backend>& backend);

}  // namespace farandole::testing
