// Readiness: ranks that mean unlike groups by one name.

#include <algorithm>
#include <utility>

#include "controller/protocol/mutation.h"
#include "controller/protocol/ranks.h"
#include "controller/protocol/readiness.h"
#include "core/base/format.h"
#include "core/member_name.h"

namespace farandole::control {
namespace {

// Different uses of a name that one message lists.
constexpr size_t kMaxUses = 4;

// Of what waits under the group's name; of a tensor none.
uint32_t members_with(const std::string& name, const Key& group) {
  const std::optional<MemberName> first = member_name(name);
  return first && name != group.name ? first->count : 0;
}

std::string what_it_is(uint32_t count) {
  return count == 0 ? "one tensor" : fmt::format("a group of {}", count);
}

}  // namespace

void Readiness::begin_use(Slot& slot) {
  if (!firsts_.empty() && firsts_.contains(*slot.key))
    torn_.insert(*slot.key);
  if (!slot.first_of_group)
    return;
  Key group{slot.key->process_set, member_name(slot.key->name)->group()};
  firsts_[group].push_back(&slot);
  if (uses_of(group).size() > 1)
    torn_.insert(std::move(group));
}

void Readiness::end_use(Slot& slot) {
  if (!slot.first_of_group)
    return;
  const auto place = firsts_.find({slot.key->process_set, member_name(slot.key->name)->group()});
  std::erase(place->second, &slot);
  if (place->second.empty())
    firsts_.erase(place);
}

std::vector<Readiness::Slot*> Readiness::uses_of(const Key& group) {
  std::vector<Slot*> uses;
  const auto one = slots_.find(group);
  if (one != slots_.end() && one->second.count > 0)
    uses.push_back(&one->second);
  if (const auto firsts = firsts_.find(group); firsts != firsts_.end())
    uses.insert(uses.end(), firsts->second.begin(), firsts->second.end());
  return uses;
}

// Whether every rank that takes part, be it a member of the set or an end of a message, means one
// of the uses, and all of it has come. The last members of a group come last, mostly: they are
// looked for first.
bool Readiness::all_there(const Key& group, const std::vector<Slot*>& uses) {
  const std::vector<int>& members = members_of(*uses.front());
  const size_t size = members.size();
  for (size_t place = 0; place < size; ++place)
    if (!has_joined(group.process_set, members[place]) &&
        std::ranges::none_of(uses, [&](const Slot* use) { return use->announced[place]; }))
      return false;
  for (const Slot* use : uses) {
    const uint32_t count = members_with(use->key->name, group);
    for (uint32_t i = count; i > 1; --i) {
      const auto member = slots_.find({group.process_set, name_of_member(group.name, i, count)});
      if (member == slots_.end() || member->second.count == 0)
        return false;
      for (size_t place = 0; place < size; ++place)
        if (use->announced[place] && !member->second.announced[place])
          return false;
    }
  }
  return true;
}

// Lists the ranks in their order, whoever came first.
Status Readiness::unlike(const Key& group, std::vector<Slot*> uses) {
  std::ranges::sort(uses, {}, [](const Slot* use) {
    return std::ranges::find(use->announced, true) - use->announced.begin();
  });
  const std::vector<int>& members = members_of(*uses.front());
  std::string who;
  for (size_t n = 0; n < std::min(uses.size(), kMaxUses); ++n) {
    std::vector<int> ranks;
    for (size_t place = 0; place < members.size(); ++place)
      if (uses[n]->announced[place])
        ranks.push_back(members[place]);
    who += fmt::format(
        "{}{} {} {}",
        n == 0 ? "" : ", ",
        rank_list(ranks),
        ranks.size() == 1 ? "has" : "have",
        what_it_is(members_with(uses[n]->key->name, group)));
  }
  if (uses.size() > kMaxUses)
    who += fmt::format(", and {} more", uses.size() - kMaxUses);
  return error(
      Code::Mismatch,
      "group \"{}\": ranks disagree on what it is: {}; give a group of one size, or one tensor, "
      "on every rank (a sparse tensor is a group of 3)",
      printable(group.name),
      who);
}

// A rank may use the name again once it has heard of the last of its own. What the others have
// under it is answered before, or in the same round: so that no answer meets what comes after it.
void Readiness::reject_uses(const Key& group, const std::vector<Slot*>& uses) {
  const Status why = unlike(group, uses);
  std::vector<Key> others;
  std::vector<Key> firsts;
  size_t bytes = 0;
  for (const Slot* use : uses) {
    const uint32_t count = members_with(use->key->name, group);
    for (uint32_t i = 2; i <= count; ++i)
      others.push_back({group.process_set, name_of_member(group.name, i, count)});
    firsts.push_back(*use->key);
    bytes += kItemBytes + use->key->name.size() + why.message().size();
  }
  if (!FARANDOLE_MUTATE(RejectFirstMembers))
    for (const Key& key : others) reject_pending(slots_.at(key), why);
  room_for(bytes, firsts.size());
  used_ -= bytes;
  for (const Key& key : firsts) reject_pending(slots_.at(key), why);
}

void Readiness::reject_torn() {
  for (auto it = torn_.begin(); it != torn_.end();) {
    const std::vector<Slot*> uses = uses_of(*it);
    if (uses.size() > 1 && (FARANDOLE_MUTATE(WaitForTheUnlike) || !all_there(*it, uses))) {
      ++it;
      continue;
    }
    if (uses.size() > 1)
      reject_uses(*it, uses);
    it = torn_.erase(it);
  }
}

}  // namespace farandole::control
