#include "controller/protocol/store_table.h"

#include <algorithm>
#include <utility>

#include "controller/protocol/mutation.h"
#include "core/base/format.h"

namespace farandole::control {

StoreTable::StoreTable(const Limits& limits)
    : max_bytes_(limits.store_bytes), usage_(limits.size) {}

Result<StoreAnswers> StoreTable::set(int rank, StoreSet message) {
  Usage& usage = usage_.at(static_cast<size_t>(rank));
  if (values_.contains(message.key))
    return StoreAnswers{
        {rank,
         message.request,
         error(Code::InvalidArgument, "store key \"{}\" is set already", printable(message.key)),
         {}}};
  const size_t bytes = message.key.size() + message.value.size();
  if (bytes > max_bytes_ - usage.bytes && !FARANDOLE_MUTATE(NoQuotaOfStore))
    return error(
        Code::PeerLost,
        "put more than {} bytes into the store (FARANDOLE_STORE_BYTES)",
        max_bytes_);
  if (usage.keys == kMaxStoreKeys)
    return error(Code::PeerLost, "put more than {} keys into the store", kMaxStoreKeys);
  usage.bytes += bytes;
  ++usage.keys;
  StoreAnswers answers{{rank, message.request, Status::ok(), {}}};
  if (const auto it = waiting_.find(message.key); it != waiting_.end()) {
    for (const Waiter& waiter : it->second) {
      answers.push_back({waiter.rank, waiter.request, Status::ok(), message.value});
      usage_[static_cast<size_t>(waiter.rank)].waits.erase(waiter.request);
    }
    waiting_.erase(it);
  }
  values_.emplace(std::move(message.key), std::move(message.value));
  return answers;
}

Result<StoreAnswers> StoreTable::get(int rank, StoreGet message) {
  if (const auto it = values_.find(message.key); it != values_.end())
    return StoreAnswers{{rank, message.request, Status::ok(), it->second}};
  Usage& usage = usage_.at(static_cast<size_t>(rank));
  if (usage.waits.size() == kMaxStoreWaits)
    return error(Code::PeerLost, "waits for more than {} store keys", kMaxStoreWaits);
  if (usage.waits.contains(message.request))
    return error(Code::PeerLost, "used store request {} twice", message.request);
  // Each wait is answered with a copy of the value: many of one rank would make a small set large.
  std::vector<Waiter>& waiters = waiting_[message.key];
  if (std::ranges::find(waiters, rank, &Waiter::rank) != waiters.end())
    return error(Code::PeerLost, "waits twice for the store key \"{}\"", printable(message.key));
  waiters.push_back({rank, message.request});
  usage.waits.emplace(message.request, std::move(message.key));
  return StoreAnswers{};
}

void StoreTable::cancel(int rank, uint64_t request) {
  Usage& usage = usage_.at(static_cast<size_t>(rank));
  const auto wait = usage.waits.find(request);
  if (wait == usage.waits.end())
    return;
  const auto waiters = waiting_.find(wait->second);
  std::erase(waiters->second, Waiter{rank, request});
  if (waiters->second.empty())
    waiting_.erase(waiters);
  usage.waits.erase(wait);
}

void StoreTable::forget(int rank) {
  const std::map<uint64_t, std::string> waits = usage_.at(static_cast<size_t>(rank)).waits;
  for (const auto& [request, key] : waits) cancel(rank, request);
}

size_t StoreTable::bytes() const noexcept {
  size_t sum = 0;
  for (const auto& [key, value] : values_) sum += key.size() + value.size();
  return sum;
}

size_t StoreTable::waits() const noexcept {
  size_t sum = 0;
  for (const auto& [key, waiters] : waiting_) sum += waiters.size();
  return sum;
}

}  // namespace farandole::control
