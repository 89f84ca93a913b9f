#include "core/group_maker.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "core/base/format.h"
#include "core/base/refusal.h"
#include "core/process_set_list.h"
#include "core/topology.h"

namespace farandole {

std::shared_ptr<Group> GroupMaker::make(uint32_t id, std::vector<int> members) const {
  if (!std::ranges::binary_search(members, rank))
    return std::make_shared<Group>(id, std::move(members));
  Executor::Parts of = make_parts(fmt::format("g{}", id), std::move(members));
  return std::make_shared<Group>(id, fmt::format("fdl-lane-{}", id), std::move(of), false);
}

TicketPtr GroupMaker::make_ticket(const Signature& s, GroupTable& groups) const {
  const Way way = way_of(s);
  if (way.any())
    groups.pair(s.process_set, way, [&] { return make_pair(s.process_set, way); });
  return std::make_shared<Ticket>(s.process_set, way);
}

std::shared_ptr<Group> GroupMaker::make_pair(uint32_t id, Way way) const {
  const std::string tag = fmt::format("g{}.{}-{}", id, way.low(), way.high());
  Executor::Parts of = make_parts(tag, {way.low(), way.high()});
  const std::string lane = fmt::format("fdl-way-{}-{}", id, way.from == rank ? way.to : way.from);
  return std::make_shared<Group>(id, lane, std::move(of), true);
}

Executor::Parts GroupMaker::make_parts(const std::string& tag, std::vector<int> members) const {
  Executor::Parts of;
  of.index = static_cast<int>(std::ranges::lower_bound(members, rank) - members.begin());
  of.members = std::move(members);
  of.device = device;
  of.completion = completion;
  of.emitter = emitter;
  of.broken = broken;
  of.connect = [session = parts, tag, index = of.index, ranks = of.members](
                   std::shared_ptr<const Interrupt> interrupt) {
    const std::vector<Member>& all = session->control->members();
    GroupSpec spec;
    spec.interrupt = std::move(interrupt);
    spec.tag = fmt::format("{}.e{}", tag, session->control->epoch());
    spec.index = index;
    for (const int member : ranks) spec.members.push_back(all.at(static_cast<size_t>(member)));
    spec.secret = session->secret;
    spec.job = session->config.job;
    spec.local_size = topology_of(ranks.at(static_cast<size_t>(index)), all).local_size;
    return session->connect(spec, session->control->store());
  };
  return of;
}

Status GroupMaker::make_first(GroupTable& to) const {
  const auto given = parse_process_sets(parts->config.process_sets, parts->config.size);
  if (!given)
    return given.status();
  std::vector<int> all(static_cast<size_t>(parts->config.size));
  std::iota(all.begin(), all.end(), 0);
  const auto everybody = make(0, std::move(all));
  try {
    everybody->lane->start();
  } catch (const Refusal& refused) {
    return refused.status();
  }
  to.add(everybody);
  for (const auto& [id, members] : given.value()) to.add(make(id, members));
  return Status::ok();
}

}  // namespace farandole
