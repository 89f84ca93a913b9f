#include "tests/protocol/cluster.h"

#include <utility>

namespace farandole::control {

Limits small_limits(size_t size) {
  Limits limits;
  limits.size = size;
  return limits;
}

Signature allreduce(std::vector<int64_t> shape) {
  Signature s;
  s.dtype = DType::Float32;
  s.shape = std::move(shape);
  return s;
}

Announcement tensor(std::string name, Signature signature) {
  return {std::move(name), std::move(signature)};
}

Cluster::Cluster(Options options)
    : options_(std::move(options)),
      seen_(options_.limits.size),
      up_(options_.limits.size),
      down_(options_.limits.size) {
  MembershipOptions formation;
  formation.limits = options_.limits;
  formation.job = kJob;
  formation.settings = options_.settings;
  formation.incarnation = 1000;
  formation.start = kStart;
  formation.deadline = kStart + std::chrono::seconds(30);
  membership_ = std::make_unique<Membership>(formation);
  for (size_t rank = 0; rank < options_.limits.size; ++rank) {
    membership_->on_connected(static_cast<int>(rank));
    const WorkerOptions worker{options_.limits, static_cast<int>(rank), kJob, 1000 + rank};
    workers_.push_back(std::make_unique<Worker>(worker));
  }
}

void Cluster::form() {
  for (size_t r = 0; r < size(); ++r) {
    const int rank = static_cast<int>(r);
    act(rank,
        worker(rank).join(
            {rank, "host" + std::to_string(rank), 100 + rank, ""}, options_.settings));
  }
  settle();
}

void Cluster::act(int rank, Actions actions) {
  for (Action& action : actions) {
    if (SendTo* send = std::get_if<SendTo>(&action)) {
      bytes_up_ += send->bytes.size();
      up(rank).push_back(std::move(send->bytes));
    } else if (Deliver* deliver = std::get_if<Deliver>(&action)) {
      seen(rank).agreements.push_back(std::move(deliver->agreement));
    } else if (Fail* fail = std::get_if<Fail>(&action)) {
      seen(rank).failures.push_back(std::move(fail->failure));
    } else if (StoreReply* reply = std::get_if<StoreReply>(&action)) {
      seen(rank).replies.push_back(std::move(*reply));
    } else if (NotFormed* not_formed = std::get_if<NotFormed>(&action)) {
      seen(rank).not_formed = std::move(not_formed->why);
    } else if (std::holds_alternative<Formed>(action)) {
      seen(rank).formed = true;
    } else if (Testify* testify = std::get_if<Testify>(&action)) {
      seen(rank).questions.push_back(testify->number);
    } else {
      closed.push_back(std::get<CloseRank>(action));
    }
  }
}

void Cluster::act(Actions actions) {
  for (Action& action : actions) {
    if (SendTo* send = std::get_if<SendTo>(&action)) {
      bytes_down_ += send->bytes.size();
      down(send->rank).push_back(std::move(send->bytes));
    } else if (CloseRank* close = std::get_if<CloseRank>(&action)) {
      closed.push_back(std::move(*close));
    } else if (TellStalls* told = std::get_if<TellStalls>(&action)) {
      reports.push_back(std::move(told->report));
    } else if (std::holds_alternative<Formed>(action)) {
      coordinator_ = std::make_unique<Coordinator>(
          CoordinatorOptions{options_.limits, options_.process_sets, options_.stalls},
          membership_->take_group());
    }
  }
}

void Cluster::step_up(int rank) {
  const Bytes bytes = std::move(up(rank).front());
  up(rank).pop_front();
  act(coordinator_ ? coordinator_->on_frame(rank, bytes, now) : membership_->on_frame(rank, bytes));
}

void Cluster::step_down(int rank) {
  const Bytes bytes = std::move(down(rank).front());
  down(rank).pop_front();
  act(rank, worker(rank).on_frame(bytes));
}

void Cluster::settle() {
  for (bool moved = true; moved;) {
    moved = false;
    for (size_t r = 0; r < size(); ++r) {
      const int rank = static_cast<int>(r);
      for (; up_waiting(rank); moved = true) step_up(rank);
    }
    if (coordinator_)
      flush();
    for (size_t r = 0; r < size(); ++r) {
      const int rank = static_cast<int>(r);
      for (; down_waiting(rank); moved = true) step_down(rank);
    }
  }
}

}  // namespace farandole::control
