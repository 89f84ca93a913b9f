#include "tests/sim/monitor_store.h"

#include <algorithm>

#include "core/base/format.h"

namespace farandole::sim {

StoreMonitor::StoreMonitor(const Plan& plan, Findings& findings)
    : Monitor(findings), plan_(plan), seen_(static_cast<size_t>(plan.size)) {}

void StoreMonitor::on_store_request(int rank, const control::StoreRequest& request) {
  Seen& own = seen(rank);
  const bool sets = request.kind == control::StoreRequest::Kind::Set;
  const bool twin = !sets && std::ranges::any_of(own.open, [&](const auto& item) {
    return !item.second.sets && item.second.key == request.key;
  });
  if (sets) {
    own.asked_bytes += request.key.size() + request.value.size();
    asked_[request.key].push_back(request.value);
  }
  own.open[request.number] = {sets, request.key, request.value, twin};
}

void StoreMonitor::on_store_given_up(int rank, uint64_t number) {
  seen(rank).open.erase(number);
  seen(rank).given_up.insert(number);
}

void StoreMonitor::on_store_reply(int rank, const control::StoreReply& reply) {
  auto node = seen(rank).open.extract(reply.request);
  if (!node) {
    // What was given up may have been answered before the coordinator heard of it.
    if (!seen(rank).given_up.contains(reply.request))
      violated(fmt::format("I5: rank {} is answered twice by the store", rank));
    return;
  }
  const Request& request = node.mapped();
  if (!reply.status.is_ok())
    return judge_error(rank, request, reply.status);
  judge_value(rank, request.key, request.sets ? request.value : reply.value);
  if (request.sets && !accepted_.insert(request.key).second)
    violated(fmt::format("I5: store key \"{}\" was set twice", request.key));
}

void StoreMonitor::judge_value(int rank, const std::string& key, const Value& value) {
  const auto [it, first] = published_.try_emplace(key, value);
  const std::vector<Value>& asked = asked_[key];
  if (it->second != value || std::ranges::find(asked, value) == asked.end())
    violated(fmt::format("I5: store key \"{}\" has another value for rank {}", key, rank));
}

void StoreMonitor::judge_error(int rank, const Request& request, const Status& why) {
  const Seen& own = seen(rank);
  bool right = own.over;
  if (why.code() == Code::InvalidArgument)
    right = request.sets ? asked_[request.key].size() > 1 ||
                               own.asked_bytes > static_cast<size_t>(plan_.store_bytes)
                         : request.twin;
  if (!right)
    violated(fmt::format(
        "I5: rank {} is refused store key \"{}\" without cause: {}",
        rank,
        request.key,
        why.message()));
}

// A verdict ends whatever waits.
void StoreMonitor::on_failure(int rank, const PeerFailure& failure, TimePoint) {
  Seen& own = seen(rank);
  if (failure.left && failure.rank != rank && failure.rank != 0)
    return;
  own.over = true;
  for (auto& [number, request] : own.open) request.due = request.due || !failure.left;
}

// The goodbye comes to the coordinator behind the requests, and its acknowledgement behind the
// answers.
void StoreMonitor::on_goodbye(int rank) {
  for (auto& [number, request] : seen(rank).open)
    request.due = request.sets || published_.contains(request.key);
}

void StoreMonitor::on_end(int rank) {
  for (const auto& [number, request] : seen(rank).open)
    if (request.due)
      violated(fmt::format(
          "I5: rank {} ends, and was never told of its {} of store key \"{}\"",
          rank,
          request.sets ? "set" : "get",
          request.key));
}

}  // namespace farandole::sim
