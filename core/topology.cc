#include "core/topology.h"

#include <algorithm>
#include <map>
#include <string>

namespace farandole {

Topology topology_of(int rank, const std::vector<Member>& members) {
  std::vector<std::string> hosts;
  std::map<std::string, std::vector<int>> ranks;
  for (const Member& member : members) {
    std::vector<int>& list = ranks[member.host];
    if (list.empty())
      hosts.push_back(member.host);
    list.push_back(member.rank);
  }
  Topology t;
  t.rank = rank;
  t.size = static_cast<int>(members.size());
  const std::string& own = members.at(static_cast<size_t>(rank)).host;
  const std::vector<int>& local = ranks[own];
  t.local_size = static_cast<int>(local.size());
  t.local_rank = static_cast<int>(std::find(local.begin(), local.end(), rank) - local.begin());
  t.cross_size = 0;
  for (const std::string& host : hosts) {
    t.homogeneous = t.homogeneous && ranks[host].size() == local.size();
    if (static_cast<int>(ranks[host].size()) <= t.local_rank)
      continue;
    if (host == own)
      t.cross_rank = t.cross_size;
    ++t.cross_size;
  }
  return t;
}

}  // namespace farandole
