#pragma once
// I12: no table and no queue grows beyond what was asked for.

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/monitor.h"

namespace farandole::sim {

class BoundsMonitor final : public Monitor {
 public:
  BoundsMonitor(const Plan& plan, Findings& findings);
  void on_submitted(
      int rank, const control::Key& key, const Signature& signature, TimePoint now) override;
  void on_agreement(int rank, const Agreement& agreement) override;
  void on_failure(int rank, const PeerFailure& failure, TimePoint now) override;
  void on_store_request(int rank, const control::StoreRequest& request) override;
  void on_store_reply(int rank, const control::StoreReply& reply) override;
  void on_tables(int rank, const Tables& tables) override;

 private:
  void answered(int rank, const control::Key& key);

  const Plan& plan_;
  // Bytes that can wait on one connection: all that this plan can make anybody say.
  size_t most_queued_;
  // Who waits for a round to answer; kept where the answer came from elsewhere.
  std::map<control::Key, std::set<int>> announced_;
  std::vector<bool> alone_;
  std::map<std::string, size_t> largest_;  // value asked to be set, with its key
  size_t most_stored_ = 0;                 // sum of these
  std::set<std::pair<int, uint64_t>> gets_;
};

}  // namespace farandole::sim
