#pragma once
// Which endpoints of rank 0's host every other one reaches, or why there is none. Pure.

#include <set>
#include <string>
#include <vector>

namespace farandole::launch {

class HostReach {
 public:
  explicit HostReach(std::vector<std::string> endpoints) : endpoints_(std::move(endpoints)) {}

  // What a host says of each endpoint: "", or why it does not reach it. `host`: "" for rank 0's
  // own, which has to reach them as well. Requires: as many as there are endpoints.
  void add(const std::string& host, const std::vector<std::string>& refused);
  // The first that all reach; "" for none.
  std::string reached_by_all() const;
  // Names who reaches none at all.
  std::string complaint(const std::string& host) const;

 private:
  std::vector<std::string> endpoints_;
  std::set<std::string> missed_;  // by somebody
  std::string reaching_none_;
  std::string why_;  // the first that was said, of those who reach none if there are any
};

}  // namespace farandole::launch
