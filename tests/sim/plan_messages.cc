#include "tests/sim/plan_messages.h"

#include <algorithm>

#include "core/base/format.h"
#include "core/way.h"

namespace farandole::sim {

void draw_messages(Plan& plan, Rng& random) {
  if (plan.size < 2 || !random.chance(35))
    return;
  for (int64_t n = random.between(1, 5); n > 0; --n) {
    Op op;
    Signature& s = op.signature;
    if (!plan.process_sets.empty() && random.chance(30))
      s.process_set = plan.process_sets.begin()->first;
    const std::vector<int> members = plan.members(s.process_set);
    if (members.size() < 2)
      continue;
    const uint64_t from = random.below(members.size());
    const uint64_t to = (from + 1 + random.below(members.size() - 1)) % members.size();
    const Way way{members[from], members[to]};
    op.name = with_way(fmt::format("m{}", random.below(2)), way);
    s.kind = CollectiveKind::Message;
    s.root = way.from;
    s.operand = {way.to};
    s.shape = {random.between(0, 4)};
    op.ragged = random.chance(50);
    for (op.step = 0; op.step < plan.steps; ++op.step) {
      const auto same = [&](const Op& other) {
        return other.step == op.step && other.name == op.name &&
               other.signature.process_set == s.process_set;
      };
      if (random.chance(30) || std::ranges::any_of(plan.ops, same))
        continue;
      Op one = op;
      if (op.ragged && random.chance(20))
        one.misfit = way.from;
      plan.ops.push_back(one);
    }
  }
}

}  // namespace farandole::sim
