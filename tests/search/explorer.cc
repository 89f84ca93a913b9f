#include "tests/search/explorer.h"

#include <algorithm>

#include "core/base/format.h"
#include "tests/search/flat_set.h"
#include "tests/search/formed_job.h"

// The reductions.
//
// Machines share nothing but channels. A step of rank r takes from the head of down[r] and puts at
// the tail of up[r]; a step of the coordinator takes from the head of some up[r] and puts at the
// tails of the downs. So steps of two different ranks commute, and so do a step of the coordinator
// and one of a rank, unless the one reads what the other has just sent. (When rank 0 dies or stops,
// its coordinator does so when it reads the end of what rank 0 has sent. What rank 0 might have
// sent in vain before, it has then not sent; what the coordinator does between, rank 0 has only
// watched.) Every event happens at most once, so there are no cycles. Every violation is one of a
// single machine's step, or still to be seen at the end. It is therefore enough to reach every end,
// and for that to explore from each state a persistent set of events: one whose members commute
// with whatever can happen before one of them does.
//
// 1. If rank r has something to read, then all that r can do is such a set: whatever the others do
//    only adds to the tail of what it reads. If, moreover, reading the next frame and r's own acts
//    commute, in every order (Rank::commutes tries them all), then reading it is one by itself.
//    If r reads nothing any more, all its acts are one likewise.
// 2. Else nobody has anything to read but the coordinator. An act of rank r commutes with all that
//    others do until the coordinator reads what it sent, or r does something else; which can only
//    be another act, of which the same holds, as r has nothing to read. So of all runs that lead to
//    one end there is one that begins with a step of the coordinator; or with an act that sends
//    something, to be read by the coordinator at once; or with an act that sends nothing. And an
//    act of a rank whose last one the coordinator has not read yet may wait until it has.

namespace farandole::search {
namespace {

constexpr uint32_t kFaultUnit = 256;

}  // namespace

Explorer::Explorer(const Scenario& scenario, uint64_t most_states)
    : scenario_(scenario),
      most_states_(most_states),
      frames_(scenario.limits),
      hub_(scenario, frames_) {
  for (int rank = 0; rank < kRanks; ++rank)
    ranks_.push_back(std::make_unique<Rank>(rank, scenario_, frames_));
}

Explorer::~Explorer() = default;

Explorer::World Explorer::start() {
  const FormedJob job = form_job(scenario_.limits, found_.wrong);
  World world;
  if (!found_.wrong.empty())
    return world;
  world.hub = hub_.start(*job.coordinator);
  for (int rank = 0; rank < kRanks; ++rank)
    world.rank[at(rank)] = ranks_[at(rank)]->start(*job.workers[at(rank)]);
  return world;
}

bool Explorer::can_read(const World& world, int rank) const {
  return channels_.has_any(world.down[at(rank)]) &&
         ranks_[at(rank)]->state(world.rank[at(rank)]).life == Rank::Life::Up;
}

bool Explorer::acts(const World& world, int rank, std::vector<Event>& to) const {
  const uint32_t enabled = ranks_[at(rank)]->enabled(world.rank[at(rank)]);
  for (uint32_t act = 0; enabled >> act != 0; ++act)
    if ((enabled >> act & 1U) != 0)
      to.push_back({Event::Kind::RankActs, rank, act});
  return enabled != 0;
}

// Rule 1.
bool Explorer::only_reading(const World& world, int rank, std::vector<Event>& to) {
  if (!can_read(world, rank))
    return false;
  const Id frame = channels_.first(world.down[at(rank)]);
  if (!ranks_[at(rank)]->commutes(world.rank[at(rank)], frame))
    return false;
  to.push_back({Event::Kind::RankReads, rank});
  return true;
}

void Explorer::events(const World& world, std::vector<Event>& out) {
  for (int rank = 0; rank < kRanks; ++rank)
    if (only_reading(world, rank, out))
      return;
  for (int rank = 0; rank < kRanks; ++rank) {
    const bool reads = can_read(world, rank);
    if (reads)
      out.push_back({Event::Kind::RankReads, rank});
    else if (world.down[at(rank)] != Channels::kClosed)
      continue;
    if (acts(world, rank, out) || reads)
      return;
  }
  // Rule 2.
  if (!hub_.ended(world.hub))
    hub_events(world, out);
  for (int rank = 0; rank < kRanks; ++rank) {
    if (channels_.has_any(world.up[at(rank)]))
      continue;
    const size_t first = out.size();
    acts(world, rank, out);
    for (size_t i = first; i < out.size(); ++i) out[i].then_hub_reads = true;
  }
}

void Explorer::hub_events(const World& world, std::vector<Event>& to) {
  for (int rank = 0; rank < kRanks; ++rank)
    if (channels_.has_any(world.up[at(rank)]))
      to.push_back({Event::Kind::HubReads, rank});
  const std::vector<Event>& choices = hub_choices(world.hub);
  to.insert(to.end(), choices.begin(), choices.end());
}

const std::vector<Explorer::Event>& Explorer::hub_choices(Id hub) {
  if (hub_choices_.size() <= hub)
    hub_choices_.resize(hub + 1);
  if (hub_choices_[hub])
    return *hub_choices_[hub];
  std::vector<Event> choices;
  const auto event = [&](HubEvent kind, size_t fault = 0) {
    if (hub_.event(hub, kind, fault).nothing)
      return;
    const auto number = static_cast<uint32_t>(kind) + static_cast<uint32_t>(fault) * kFaultUnit;
    choices.push_back({Event::Kind::HubEvent, 0, number});
  };
  event(HubEvent::Flush);
  event(HubEvent::ConfirmTime);
  event(HubEvent::Conclude);
  for (size_t fault = 0; fault < scenario_.faults.size(); ++fault)
    if (hub_.fault_enabled(hub, fault))
      event(HubEvent::Fault, fault);
  return hub_choices_[hub].emplace(std::move(choices));
}

void Explorer::hub_step(World& world, const HubStep& step) {
  if (found_.wrong.empty())
    found_.wrong = step.wrong;
  world.hub = step.next;
  for (const auto& [rank, frame] : step.sends)
    world.down[at(rank)] = channels_.with(world.down[at(rank)], frame);
  for (int rank = 0; rank < kRanks; ++rank)
    if (step.deaf[at(rank)])
      world.up[at(rank)] = Channels::kClosed;
}

void Explorer::rank_step(World& world, int rank, const RankStep& step) {
  if (found_.wrong.empty())
    found_.wrong = step.wrong;
  world.rank[at(rank)] = step.next;
  for (const Id frame : step.sends) world.up[at(rank)] = channels_.with(world.up[at(rank)], frame);
  if (step.deaf)
    world.down[at(rank)] = Channels::kClosed;
}

Explorer::World Explorer::after(const World& world, const Event& event) {
  World next = world;
  Id& up = next.up[at(event.rank)];
  Id& down = next.down[at(event.rank)];
  const auto hub_reads = [&] {
    const Id frame = channels_.first(up);
    up = channels_.rest(up);
    hub_step(next, hub_.frame(next.hub, event.rank, frame));
  };
  switch (event.kind) {
    case Event::Kind::HubReads:
      hub_reads();
      break;
    case Event::Kind::HubEvent:
      hub_step(
          next,
          hub_.event(
              next.hub,
              static_cast<HubEvent>(event.number % kFaultUnit),
              event.number / kFaultUnit));
      break;
    case Event::Kind::RankReads: {
      const Id frame = channels_.first(down);
      down = channels_.rest(down);
      rank_step(next, event.rank, ranks_[at(event.rank)]->frame(next.rank[at(event.rank)], frame));
      break;
    }
    case Event::Kind::RankActs:
      rank_step(
          next, event.rank, ranks_[at(event.rank)]->act(next.rank[at(event.rank)], event.number));
      if (event.then_hub_reads && channels_.has_any(up))
        hub_reads();
  }
  return next;
}

std::string Explorer::describe(const World& world, const Event& event) const {
  switch (event.kind) {
    case Event::Kind::HubReads:
      return fmt::format(
          "coordinator reads of rank {}: {}",
          event.rank,
          frames_.text(channels_.first(world.up[at(event.rank)])));
    case Event::Kind::HubEvent:
      switch (static_cast<HubEvent>(event.number % kFaultUnit)) {
        case HubEvent::Flush:
          return "coordinator flushes";
        case HubEvent::ConfirmTime:
          return "the time to confirm an accusation has passed";
        case HubEvent::Conclude:
          return "all have finished, and the process of rank 0 ends";
        case HubEvent::Fault:
          return fmt::format("coordinator: fault {}", event.number / kFaultUnit + 1);
      }
      return "";
    case Event::Kind::RankReads:
      return fmt::format(
          "rank {} reads: {}",
          event.rank,
          frames_.text(channels_.first(world.down[at(event.rank)])));
    case Event::Kind::RankActs:
      return ranks_[at(event.rank)]->describe(event.number) +
             (event.then_hub_reads ? ", and the coordinator reads it" : "");
  }
  return "";
}

Found Explorer::run() {
  struct Hashed : World {
    uint32_t hash() const {
      uint64_t h = hub;
      for (const auto* ids : {&rank, &up, &down})
        for (const Id id : *ids) h = (h ^ id) * 0x9E3779B97F4A7C15ULL ^ h >> 29;
      return static_cast<uint32_t>(h ^ h >> 32);
    }
  };
  struct Level {
    World world;
    size_t first, next, end;  // of its events, in events_
  };
  FlatSet<Hashed> visited;
  std::vector<Level> path;
  const World first = start();
  if (!found_.wrong.empty())
    return found_;
  const auto enter = [&](const World& world) {
    const size_t begin = events_.size();
    events(world, events_);
    path.push_back({world, begin, begin, events_.size()});
  };
  visited.insert({first});
  enter(first);
  while (!path.empty() && found_.wrong.empty()) {
    Level& level = path.back();
    found_.depth = std::max(found_.depth, path.size());
    if (level.first == level.end) {
      ++found_.ends;
      found_.wrong = check_end(level.world);
    }
    if (level.next == level.end) {
      if (found_.wrong.empty()) {
        events_.resize(level.first);
        path.pop_back();
      }
      continue;
    }
    ++found_.transitions;
    const World next = after(level.world, events_[level.next++]);
    if (!found_.wrong.empty() || !visited.insert({next}))
      continue;
    if (visited.size() > most_states_)
      found_.wrong = "the search is too large: it has not been finished";
    enter(next);
  }
  for (const Level& level : path)
    if (level.next > level.first)
      found_.trace.push_back(describe(level.world, events_[level.next - 1]));
  found_.states = visited.size();
  found_.machine_states = hub_.states();
  for (const auto& rank : ranks_) found_.machine_states += rank->states();
  return found_;
}

}  // namespace farandole::search
