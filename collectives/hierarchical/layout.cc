#include "collectives/hierarchical/layout.h"

#include <algorithm>

#include "core/base/format.h"

namespace farandole::hierarchical {
namespace {

GroupSpec part_of(const GroupSpec& group, const std::vector<size_t>& members, size_t index) {
  GroupSpec part;
  part.index = static_cast<int>(index);
  for (const size_t member : members) part.members.push_back(group.members[member]);
  part.secret = group.secret;
  part.job = group.job;
  part.local_size = group.local_size;
  return part;
}

}  // namespace

size_t Layout::host_of(size_t member) const noexcept {
  const auto found = std::find_if(hosts.begin(), hosts.end(), [member](const auto& members) {
    return std::find(members.begin(), members.end(), member) != members.end();
  });
  return static_cast<size_t>(found - hosts.begin());
}

size_t Layout::local_of(size_t member) const noexcept {
  const auto& members = hosts[host_of(member)];
  return static_cast<size_t>(std::find(members.begin(), members.end(), member) - members.begin());
}

std::vector<size_t> Layout::carried(size_t t, size_t h) const {
  return streams == 1 ? hosts[h] : std::vector<size_t>{hosts[h][t]};
}

std::vector<size_t> Layout::parts(size_t count) const {
  std::vector<size_t> parts(host_size());
  for (size_t t = 0; t < streams; ++t) parts[t] = count / streams + (t < count % streams ? 1 : 0);
  return parts;
}

Layout make_layout(const GroupSpec& group) {
  Layout layout;
  std::vector<const std::string*> names;
  for (size_t member = 0; member < group.members.size(); ++member) {
    const std::string& name = group.members[member].host;
    size_t host = 0;
    while (host < names.size() && *names[host] != name) ++host;
    if (host == names.size()) {
      names.push_back(&name);
      layout.hosts.emplace_back();
    }
    layout.hosts[host].push_back(member);
  }
  layout.host = layout.host_of(static_cast<size_t>(group.index));
  layout.local = layout.local_of(static_cast<size_t>(group.index));
  const bool even = std::all_of(layout.hosts.begin(), layout.hosts.end(), [&](const auto& host) {
    return host.size() == layout.hosts.front().size();
  });
  layout.streams = even ? layout.hosts.front().size() : 1;
  return layout;
}

GroupSpec local_group(const GroupSpec& group, const Layout& layout) {
  GroupSpec local = part_of(group, layout.hosts[layout.host], layout.local);
  local.tag = fmt::format("{}/host/{}", group.tag, layout.host);
  return local;
}

GroupSpec across_group(const GroupSpec& group, const Layout& layout) {
  std::vector<size_t> members;
  for (const auto& host : layout.hosts) members.push_back(host[layout.local]);
  GroupSpec across = part_of(group, members, layout.host);
  across.tag = fmt::format("{}/across/{}", group.tag, layout.local);
  return across;
}

}  // namespace farandole::hierarchical
