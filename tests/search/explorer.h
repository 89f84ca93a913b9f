#pragma once
// Explorer: tries every order in which the events of a scenario can happen, depth first, and checks
// every step and every end. A state of the job is the states of its four machines and of the six
// channels between them, each known by a number; two equal states are explored once. States are
// compared as they are, not by a hash.
//
// Two reductions leave out orders that lead to the same ends as others (explorer.cc has the
// reasons), so every end that can be reached is reached, with what everybody was told on the way.

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tests/search/hub.h"
#include "tests/search/rank.h"

namespace farandole::search {

struct Found {
  uint64_t states = 0;
  uint64_t transitions = 0;
  uint64_t ends = 0;
  size_t depth = 0;
  size_t machine_states = 0;       // of all four, each run for real
  std::string wrong;               // the first violation, or nothing
  std::vector<std::string> trace;  // how it comes about
};

class Explorer {
 public:
  // `most_states`: more than that is a violation, too: a search must not end silently.
  explicit Explorer(const Scenario& scenario, uint64_t most_states = 50'000'000);
  ~Explorer();
  Found run();

 private:
  struct World {
    Id hub = 0;
    PerRank<Id> rank{}, up{}, down{};
    bool operator==(const World&) const = default;
  };
  struct Event {
    enum class Kind : uint8_t { HubReads, HubEvent, RankReads, RankActs };
    Kind kind;
    int rank = 0;
    uint32_t number = 0;  // HubEvent: of the event, and of the fault times 256; RankActs: the act
    bool then_hub_reads = false;
  };
  class Visited;

  World start();
  // Those that are to be tried, put behind what `to` holds.
  void events(const World& world, std::vector<Event>& to);
  void hub_events(const World& world, std::vector<Event>& to);
  const std::vector<Event>& hub_choices(Id hub);
  bool only_reading(const World& world, int rank, std::vector<Event>& to);
  bool acts(const World& world, int rank, std::vector<Event>& to) const;
  bool can_read(const World& world, int rank) const;
  // What the event leads to; what is wrong with it goes to found_.
  World after(const World& world, const Event& event);
  void hub_step(World& world, const HubStep& step);
  void rank_step(World& world, int rank, const RankStep& step);
  std::string check_end(const World& world) const;
  std::string check_rank_at_end(const World& world, int rank) const;
  std::optional<size_t> told_until(const World& world, int rank) const;
  std::string describe(const World& world, const Event& event) const;

  const Scenario& scenario_;
  const uint64_t most_states_;
  Frames frames_;
  Channels channels_;
  Hub hub_;
  std::vector<std::unique_ptr<Rank>> ranks_;
  Found found_;
  std::vector<Event> events_;  // of the path, one level after the other
  std::vector<std::optional<std::vector<Event>>> hub_choices_;  // by state of the coordinator
};

}  // namespace farandole::search
