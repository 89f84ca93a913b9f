#pragma once
// I5 of the store: every request is answered, once, and rightly: a key has one value, which is the
// one that was accepted, and an error has its reason.

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/monitor.h"

namespace farandole::sim {

class StoreMonitor final : public Monitor {
 public:
  StoreMonitor(const Plan& plan, Findings& findings);
  void on_store_request(int rank, const control::StoreRequest& request) override;
  void on_store_given_up(int rank, uint64_t number) override;
  void on_store_reply(int rank, const control::StoreReply& reply) override;
  void on_failure(int rank, const PeerFailure& failure, TimePoint now) override;
  void on_goodbye(int rank) override;
  void on_end(int rank) override;

 private:
  using Value = std::vector<uint8_t>;
  struct Request {
    bool sets = false;
    std::string key;
    Value value;
    bool twin = false;  // of a get of this rank that waits already
    // The coordinator, or this rank's worker, has it behind it once the rank may end.
    bool due = false;
  };
  struct Seen {
    std::map<uint64_t, Request> open;
    std::set<uint64_t> given_up;
    size_t asked_bytes = 0;
    bool over = false;  // the job has failed, or nothing is agreed upon with it any more
  };
  Seen& seen(int rank) { return seen_[static_cast<size_t>(rank)]; }
  void judge_value(int rank, const std::string& key, const Value& value);
  void judge_error(int rank, const Request& request, const Status& why);

  const Plan& plan_;
  std::vector<Seen> seen_;
  std::map<std::string, std::vector<Value>> asked_;  // to be set
  std::map<std::string, Value> published_;
  std::set<std::string> accepted_;  // whose setter was told so
};

}  // namespace farandole::sim
