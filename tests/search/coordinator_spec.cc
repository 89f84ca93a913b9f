#include "tests/search/coordinator_spec.h"

#include <algorithm>

#include "core/base/format.h"
#include "tests/support/group_of_name.h"

namespace farandole::search {

using control::Announce;
using control::Detail;
using control::Failure;
using control::Finished;
using control::Leave;
using control::Report;
using control::Resend;
using control::Round;
using testing::group_of_name;

bool CoordinatorSpec::broken(uint32_t process_set) const {
  for (int rank = 0; rank < kRanks; ++rank)
    if (gone_[at(rank)] && is_member(process_set, rank))
      return true;
  return false;
}

bool CoordinatorSpec::exists(uint32_t process_set) const {
  return process_set <= 1 || (added_ && process_set == last_set_);
}

bool CoordinatorSpec::joined(uint32_t process_set, int rank) const {
  const auto join = tensors_.find({process_set, ""});
  return join != tensors_.end() && join->second.announced[at(rank)];
}

bool CoordinatorSpec::complete(const Key& key, const Tensor& tensor) const {
  bool any = false;
  for (int rank = 0; rank < kRanks; ++rank) {
    any = any || tensor.announced[at(rank)];
    if (takes_part(key.process_set, key.name, rank) && !tensor.announced[at(rank)] &&
        (key.name.empty() || !joined(key.process_set, rank)))
      return false;
  }
  return any;
}

bool CoordinatorSpec::impossible(const Key& key, const Tensor& tensor) const {
  if (!complete(key, tensor))
    return false;
  const auto first = std::ranges::find_if(
      tensor.announced, [](const std::optional<Signature>& own) { return own.has_value(); });
  const Signature& s = **first;
  return (s.kind == CollectiveKind::AddProcessSet && added_) ||
         (s.kind == CollectiveKind::RemoveProcessSet &&
          !exists(static_cast<uint32_t>(s.operand[0])));
}

std::vector<control::Key> CoordinatorSpec::under_one_name(const Key& key) const {
  std::vector<Key> keys;
  const std::string group = group_of_name(key.name).group;
  for (const auto& [other, tensor] : tensors_)
    if (other.process_set == key.process_set && group_of_name(other.name).group == group &&
        std::ranges::any_of(tensor.announced, [](const auto& own) { return own.has_value(); }))
      keys.push_back(other);
  return keys;
}

bool CoordinatorSpec::torn(const Key& key) const {
  std::set<uint32_t> sizes;
  for (int rank = 0; rank < kRanks; ++rank) {
    uint32_t size = 0;
    uint32_t announced = 0;
    for (const Key& own : under_one_name(key))
      if (tensors_.at(own).announced[at(rank)]) {
        size = group_of_name(own.name).count;
        ++announced;
      }
    if (!is_member(key.process_set, rank) || (announced == 0 && joined(key.process_set, rank)))
      continue;
    if (announced != std::max(size, 1U))
      return false;
    sizes.insert(size);
  }
  return sizes.size() > 1;
}

void CoordinatorSpec::announced(int rank, const Announcement& item) {
  Tensor& tensor = tensors_[Key{item.signature.process_set, item.name}];
  tensor.announced[at(rank)] = tensor.last[at(rank)] = item.signature;
  tensor.last_rank = rank;
}

void CoordinatorSpec::hears(int rank, const control::Message& message) {
  if (verdict_)
    return;
  if (const auto* report = std::get_if<Report>(&message)) {
    if (report->failure.rank == 0 && report->failure.code == Code::PeerLost)
      gave_up_zero_[at(rank)] = true;
    accuser_ = accuser_.value_or(rank);
    if (!accused_[at(rank)])
      accused_[at(rank)] = report->failure.rank;
  } else if (std::holds_alternative<Leave>(message) && !gone_[at(rank)]) {
    leaving_ = rank;
  } else if (std::holds_alternative<Finished>(message)) {
    finished_[at(rank)] = true;
  } else if (const auto* announce = std::get_if<Announce>(&message);
             announce != nullptr && !gone_[at(rank)] && !gone_[0]) {
    for (const Announcement& item : announce->full)
      if (resends_[at(rank)] > 0 &&
          (item.name.empty() || item.signature.kind == CollectiveKind::RemoveProcessSet))
        deferred_[at(rank)].push_back(item);
      else
        announced(rank, item);
    resends_[at(rank)] -= announce->resends;
    if (resends_[at(rank)] == 0)
      for (const Announcement& item : std::exchange(deferred_[at(rank)], {})) announced(rank, item);
    for (const uint32_t id : announce->cached) by_id_.emplace_back(rank, id);
  }
}

void CoordinatorSpec::loses(int rank) {
  if (!verdict_ && !finished_[at(rank)])
    due_ = gave_up_zero_[at(rank)] ? 0 : rank;
  unreachable_ = rank;
}

void CoordinatorSpec::hears_nothing_of(int rank) {
  if (!verdict_ && !finished_[at(rank)])
    due_ = gave_up_zero_[at(rank)] ? 0 : rank;
}

void CoordinatorSpec::confirm_time_passes() {
  if (verdict_ || !accuser_)
    return;
  due_ = accused_[at(*accuser_)];
  // From one that accuses nobody on, nothing changes; in a circle of all, back to the first.
  std::set<int> seen{*accuser_};
  while (accused_[at(*due_)] && seen.insert(*due_).second) due_ = accused_[at(*due_)];
  if (accused_[at(*due_)])
    due_ = accused_[at(*accuser_)];
}

std::string CoordinatorSpec::said(const std::vector<Said>& all) {
  const bool was_over = verdict_.has_value();
  std::string wrong;
  // An id that must be announced in full again counts for nothing.
  std::vector<uint32_t> resend;
  for (const Said& one : all)
    if (const auto* message = std::get_if<Resend>(one.message)) {
      resend.insert(resend.end(), message->ids.begin(), message->ids.end());
      ++resends_[at(one.rank)];
    }
  for (const auto& [rank, id] : by_id_) {
    if (std::ranges::find(resend, id) != resend.end())
      continue;
    const auto known = ids_.find(id);
    if (known == ids_.end())
      return fmt::format("I4: rank {} announces id {}, which stands for nothing", rank, id);
    Tensor& tensor = tensors_[known->second];
    tensor.announced[at(rank)] = tensor.last[at(rank)];
  }
  const Said* last = nullptr;
  for (const Said& one : all) {
    if (was_over)
      return "I14: it goes on speaking after its verdict";
    const bool to_all = std::holds_alternative<Round>(*one.message) ||
                        std::holds_alternative<Failure>(*one.message);
    if (!to_all)
      continue;
    ++told_[at(one.rank)];
    const bool goes_on = last != nullptr && last->rank < one.rank && *last->message == *one.message;
    last = &one;
    if (goes_on)
      continue;
    if (const auto* round = std::get_if<Round>(one.message))
      wrong = says_round(*round);
    else
      wrong = says_failure(std::get<Failure>(*one.message).failure);
    if (!wrong.empty())
      return wrong;
  }
  if (due_ && !anyone_to_tell())
    verdict_ = due_;
  if (due_ && verdict_ != due_)
    return fmt::format("I5: rank {} is lost and nobody is told", *due_);
  if (leaving_ >= 0 && !acknowledged_)
    return fmt::format("I5: the goodbye of rank {} is not acknowledged", leaving_);
  if (leaving_ >= 0 && !gone_[0])
    for (const auto& [key, tensor] : tensors_)
      for (int rank = 0; broken(key.process_set) && rank < kRanks; ++rank)
        if (tensor.announced[at(rank)])
          return fmt::format("I5: \"{}\" waits for rank {}, which has left", key.name, leaving_);
  for (const Key& key : due_to_reject_)
    return fmt::format("I4: \"{}\" waits on, of a group of which the rest is rejected", key.name);
  wrong = check_receivers();
  due_.reset();
  unreachable_ = leaving_ = -1;
  acknowledged_ = false;
  by_id_.clear();
  told_ = owed_ = {};
  return wrong;
}

// A verdict is for those who still have something to do.
bool CoordinatorSpec::anyone_to_tell() const {
  for (int rank = 0; rank < kRanks; ++rank)
    if (!finished_[at(rank)] && rank != unreachable_)
      return true;
  return false;
}

std::string CoordinatorSpec::check_receivers() const {
  for (int rank = 0; rank < kRanks; ++rank)
    if (told_[at(rank)] != owed_[at(rank)])
      return fmt::format(
          "I3/I14: rank {} is sent {} of the {} messages that are for all",
          rank,
          told_[at(rank)],
          owed_[at(rank)]);
  return "";
}

std::string CoordinatorSpec::says_round(const Round& round) {
  for (int rank = 0; rank < kRanks; ++rank)
    if (!gone_[at(rank)])
      ++owed_[at(rank)];
  // Some because of what is ready in this round: a set that goes.
  std::vector<const Rejection*> rejected;
  for (const Rejection& rejection : round.rejected)
    if (!says_rejected(rejection).empty())
      rejected.push_back(&rejection);
  auto detail = round.details.begin();
  for (const uint32_t id : round.ready) {
    const bool told = detail != round.details.end() && detail->id == id;
    if (told && detail->named && id != 0) {
      const auto [it, fresh] = ids_.try_emplace(id, Key{detail->process_set, detail->name});
      if (!fresh)
        return fmt::format("I4: id {} is given a second time", id);
    }
    if (id != 0 && !ids_.contains(id))
      return fmt::format("I4: id {} stands for nothing", id);
    const Key key = id != 0 ? ids_.at(id) : Key{detail->process_set, detail->name};
    const std::string wrong = says_ready(
        key,
        told ? detail->extents : tensors_[key].extents,
        told ? detail->stand_in : std::nullopt);
    if (!wrong.empty())
      return wrong;
    if (told)
      ++detail;
  }
  for (const Rejection* rejection : rejected)
    if (std::string wrong = says_rejected(*rejection); !wrong.empty())
      return wrong;
  return "";
}

std::string CoordinatorSpec::says_ready(
    const Key& key, const std::vector<int64_t>& extents, const std::optional<StandIn>& stand_in) {
  Tensor& tensor = tensors_[key];
  if (!complete(key, tensor))
    return fmt::format("I4: \"{}\" is ready before all have announced it", key.name);
  if (!exists(key.process_set))
    return fmt::format("I4: \"{}\" is ready in a set that does not exist", key.name);
  const auto wanted = agreed_extents(key.process_set, tensor.announced);
  if (!wanted)
    return fmt::format("I4: \"{}\" is ready although ranks disagree on it", key.name);
  const auto first = std::ranges::find_if(
      tensor.announced, [](const std::optional<Signature>& s) { return s.has_value(); });
  std::string wrong;
  if (is_carried((*first)->kind)) {
    if (extents != *wanted)
      return fmt::format("I4: \"{}\" is ready with old extents", key.name);
    uint32_t missing = 0;
    uint32_t all = 0;
    for (int rank = 0; rank < kRanks; ++rank)
      if (takes_part(key.process_set, key.name, rank))
        missing += ++all > 0 && !tensor.announced[at(rank)] ? 1 : 0;
    if ((missing > 0) != stand_in.has_value())
      return fmt::format("I4: who has joined is not told what \"{}\" is", key.name);
    if (stand_in && (stand_in->signature != **first || stand_in->contributors != all - missing))
      return fmt::format("I4: who has joined is told something else of \"{}\"", key.name);
  } else {
    if (impossible(key, tensor))
      return fmt::format("I4: \"{}\" is ready and cannot be", key.name);
    wrong = key.name.empty() && extents != std::vector<int64_t>{tensor.last_rank}
                ? fmt::format("I4: rank {} has joined last", tensor.last_rank)
                : says_changed(**first, extents);
  }
  tensor.extents = extents;
  tensor.announced = {};
  return wrong;
}

std::string CoordinatorSpec::says_changed(
    const Signature& wanted, const std::vector<int64_t>& extents) {
  if (wanted.kind == CollectiveKind::RemoveProcessSet)
    added_ = false;
  if (wanted.kind != CollectiveKind::AddProcessSet)
    return "";
  added_ = true;
  return extents == std::vector<int64_t>{++last_set_}
             ? ""
             : fmt::format("I4: the new process set is not {}", last_set_);
}

std::string CoordinatorSpec::says_rejected(const Rejection& rejection) {
  const Key key{rejection.process_set, rejection.name};
  Tensor& tensor = tensors_[key];
  if (!exists(key.process_set)) {
    if (rejection.why.code() != Code::InvalidArgument)
      return fmt::format("I4: \"{}\" of no set is rejected for a wrong reason", key.name);
  } else if (!broken(key.process_set)) {
    const bool is_torn = due_to_reject_.contains(key) || torn(key);
    if (is_torn && rejection.why.code() != Code::Mismatch)
      return fmt::format("I4: \"{}\" is rejected for a wrong reason", key.name);
    if (!is_torn && !complete(key, tensor))
      return fmt::format("I4: \"{}\" is rejected before all have announced it", key.name);
    if (!is_torn && agreed_extents(key.process_set, tensor.announced) && !impossible(key, tensor))
      return fmt::format("I4: \"{}\" is rejected although all agree", key.name);
    if (is_torn && due_to_reject_.erase(key) == 0)
      for (const Key& other : under_one_name(key))
        if (other.name != key.name)
          due_to_reject_.insert(other);
  } else if (complete(key, tensor) == false && rejection.why.code() != Code::PeerLost) {
    return fmt::format("I4: \"{}\" is rejected for a wrong reason", key.name);
  }
  tensor.announced = {};
  return "";
}

std::string CoordinatorSpec::says_failure(const PeerFailure& failure) {
  for (int rank = 0; rank < kRanks; ++rank)
    if (!finished_[at(rank)] && (failure.left || rank != unreachable_))
      ++owed_[at(rank)];
  if (!failure.left) {
    if (!due_)
      return fmt::format("I14: rank {} is blamed for \"{}\"", failure.rank, failure.cause);
    if (failure.rank != *due_)
      return fmt::format("I14: rank {} is blamed, but rank {} is lost", failure.rank, *due_);
    verdict_ = failure.rank;
    return "";
  }
  if (failure.rank != leaving_)
    return fmt::format("I14: rank {} has not left", failure.rank);
  for (const auto& [key, tensor] : tensors_)
    if (!gone_[0] && complete(key, tensor))
      return fmt::format(
          "I5: the goodbye of rank {} overtakes \"{}\", which was ready", leaving_, key.name);
  gone_[at(failure.rank)] = acknowledged_ = true;
  if (gone_[0])
    for (auto& [key, tensor] : tensors_) tensor.announced = {};  // each worker rejects its own
  return "";
}

size_t CoordinatorSpec::waiting(int rank) const {
  return static_cast<size_t>(std::ranges::count_if(
      tensors_, [&](const auto& item) { return item.second.announced[at(rank)].has_value(); }));
}

void CoordinatorSpec::write(control::StateText& to) const {
  to << verdict_.value_or(-1);
  if (verdict_)
    return;
  const auto numbers = [&](const std::vector<int64_t>& values) {
    to << values.size();
    for (const int64_t value : values) to << value;
  };
  const auto signature = [&](const std::optional<Signature>& s) {
    to << s.has_value();
    if (s)
      numbers((to << s->kind, s->shape));
  };
  to << tensors_.size();
  for (const auto& [key, tensor] : tensors_) {
    to << std::string_view(key.name) << (key.name.empty() ? tensor.last_rank : -1);
    for (const auto& s : tensor.announced) signature(s);
    for (const auto& s : tensor.last) signature(s);
    numbers(tensor.extents);
  }
  to << ids_.size();
  for (const auto& [id, key] : ids_) to << id << std::string_view(key.name);
  for (int rank = 0; rank < kRanks; ++rank)
    to << gone_[at(rank)] << finished_[at(rank)] << gave_up_zero_[at(rank)];
  to << accuser_.value_or(-9) << last_set_ << added_;
  for (const auto& accused : accused_) to << accused.value_or(-9);
  for (int rank = 0; rank < kRanks; ++rank) {
    to << resends_[at(rank)] << deferred_[at(rank)].size();
    for (const Announcement& item : deferred_[at(rank)]) to << std::string_view(item.name);
  }
}

}  // namespace farandole::search
