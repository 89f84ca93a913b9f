#pragma once
// Layout: the members of a group seen as hosts with members, and the streams that run across hosts.
//
// Where every host has as many members, there is one stream for each local place: the members with
// that place on their host. Otherwise there is one stream, of the first member of each host. A
// stream carries an equal part of the data; members that are in none get theirs inside the host.

#include <cstddef>
#include <vector>

#include "core/communicator.h"

namespace farandole::hierarchical {

struct Layout {
  std::vector<std::vector<size_t>> hosts;  // places in the group, hosts by their first member
  size_t host = 0;                         // own
  size_t local = 0;                        // own place on the host
  size_t streams = 1;

  size_t host_size() const noexcept { return hosts[host].size(); }
  bool in_stream() const noexcept { return local < streams; }
  // Host and place on it of a member.
  size_t host_of(size_t member) const noexcept;
  size_t local_of(size_t member) const noexcept;
  // Members of host `h` whose data stream `t` carries.
  std::vector<size_t> carried(size_t t, size_t h) const;
  // What each member of the own host handles of `count` elements: nothing without a stream.
  std::vector<size_t> parts(size_t count) const;
};

Layout make_layout(const GroupSpec& group);

// The groups that a member of `group` belongs to besides.
GroupSpec local_group(const GroupSpec& group, const Layout& layout);
// Requires: layout.in_stream().
GroupSpec across_group(const GroupSpec& group, const Layout& layout);

}  // namespace farandole::hierarchical
