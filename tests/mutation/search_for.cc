#include "tests/mutation/search_for.h"

#include <algorithm>
#include <functional>

#include "tests/search/explorer.h"
#include "tests/search/formation.h"

namespace farandole::mutation {
namespace {

bool only_accuses(const search::Scenario& scenario) {
  const auto accuses = [](const search::Fault& fault) {
    return fault.kind == search::FaultKind::Accuse;
  };
  return scenario.store && !scenario.faults.empty() &&
         std::ranges::all_of(scenario.faults, accuses);
}

}  // namespace

std::optional<Catch> search_for(std::string_view bug) {
  Catch out;
  const search::FormationFound formation = search::search_formation();
  out.states += formation.states;
  if (!formation.wrong.empty())
    return Catch{out.states, "formation", formation.wrong.substr(0, formation.wrong.find('\n'))};
  // Small searches first; pairs of faults only if no fault alone catches it, but for accusations,
  // of which there are few and without which some bugs do nothing.
  const std::function<bool(const search::Scenario&)> turns[] = {
      [](const auto& scenario) { return scenario.faults.empty(); },
      [&](const auto& scenario) { return !bug.empty() && only_accuses(scenario); },
      [](const auto& scenario) { return scenario.faults.size() == 1; },
      [&](const auto& scenario) { return !bug.empty() && scenario.faults.size() == 2; }};
  for (const auto& turn : turns) {
    for (const auto& scenarios :
         {search::store_scenarios(),
          search::cache_scenarios(),
          search::join_scenarios(),
          search::set_scenarios(),
          search::scatter_scenarios(),
          search::message_scenarios(),
          search::group_scenarios(),
          search::agreement_scenarios()}) {
      for (const search::Scenario& scenario : scenarios) {
        if (!turn(scenario))
          continue;
        const search::Found found = search::Explorer(scenario).run();
        out.states += found.states;
        if (!found.wrong.empty())
          return Catch{out.states, scenario.name, found.wrong};
      }
    }
  }
  return std::nullopt;
}

}  // namespace farandole::mutation
