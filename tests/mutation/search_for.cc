#include "tests/mutation/search_for.h"

#include "tests/search/explorer.h"
#include "tests/search/formation.h"

namespace farandole::mutation {

std::optional<Catch> search_for(std::string_view bug) {
  Catch out;
  const search::FormationFound formation = search::search_formation();
  out.states += formation.states;
  if (!formation.wrong.empty())
    return Catch{out.states, "formation", formation.wrong.substr(0, formation.wrong.find('\n'))};
  // Small searches first; pairs of faults only if no fault alone catches it.
  for (size_t faults = 0; faults <= 2; ++faults) {
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
        if (scenario.faults.size() != faults || (bug.empty() && faults > 1))
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
