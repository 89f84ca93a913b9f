// The worker's part of the store.

#include <algorithm>
#include <utility>

#include "controller/protocol/mutation.h"
#include "controller/protocol/worker.h"
#include "core/base/format.h"

namespace farandole::control {

Actions Worker::store_set(uint64_t request, std::string key, Bytes value) {
  const size_t bytes = key.size() + value.size();
  Status status = store_admits(key, bytes);
  if (status.is_ok() && store_keys_ == kMaxStoreKeys)
    status = error(
        Code::InvalidArgument, "this rank has put {} keys into the store, its most", store_keys_);
  if (status.is_ok() && bytes > options_.limits.store_bytes - store_bytes_)
    status = error(
        Code::InvalidArgument,
        "store key \"{}\": {} bytes more than the {} that a rank may publish "
        "(FARANDOLE_STORE_BYTES)",
        printable(key),
        bytes - (options_.limits.store_bytes - store_bytes_),
        options_.limits.store_bytes);
  if (!status.is_ok())
    return refuse_store(request, std::move(status));
  store_bytes_ += bytes;
  ++store_keys_;
  store_waiting_[request] = {key, bytes, true};
  return {send(StoreSet{request, std::move(key), std::move(value)})};
}

Actions Worker::store_get(uint64_t request, std::string key) {
  if (Status status = store_admits(key, key.size()); !status.is_ok())
    return refuse_store(request, std::move(status));
  const auto waits_for_it = [&](const auto& waiting) {
    return !waiting.second.is_set && waiting.second.key == key;
  };
  if (std::ranges::any_of(store_waiting_, waits_for_it))
    return refuse_store(
        request,
        error(
            Code::InvalidArgument,
            "store key \"{}\": this rank waits for it already",
            printable(key)));
  store_waiting_[request] = {key, 0, false};
  return {send(StoreGet{request, std::move(key)})};
}

Actions Worker::store_cancel(uint64_t request) {
  if (store_waiting_.erase(request) == 0 || !may_send())
    return {};
  return {send(StoreCancel{request})};
}

Status Worker::store_admits(const std::string& key, size_t bytes) const {
  if (!may_send())
    return state_ == State::Joining ? Status(Code::InvalidArgument, "the group has not formed yet")
                                    : ended_;
  if (key.empty() || key.size() > kMaxTextBytes)
    return error(
        Code::InvalidArgument,
        "a store key has {} bytes; 1 to {} are wanted",
        key.size(),
        kMaxTextBytes);
  if (bytes > options_.limits.max_frame_bytes - kMessageBytes)
    return error(
        Code::InvalidArgument,
        "store key \"{}\": {} bytes do not fit one control message (FARANDOLE_MAX_FRAME_BYTES)",
        printable(key),
        bytes);
  if (store_waiting_.size() >= kMaxStoreWaits)
    return error(
        Code::InvalidArgument, "{} store requests of this rank wait already", kMaxStoreWaits);
  return Status::ok();
}

Actions Worker::refuse_store(uint64_t request, Status why) {
  return {StoreReply{request, std::move(why), {}}};
}

Actions Worker::on(StoreValue& message) {
  if (store_waiting_.erase(message.request) == 0)
    return {};  // cancelled
  return {StoreReply{message.request, Status::ok(), std::move(message.value)}};
}

Actions Worker::on(StoreError& message) {
  const auto it = store_waiting_.find(message.request);
  if (it == store_waiting_.end())
    return {};
  if (it->second.is_set) {
    store_bytes_ -= it->second.bytes;
    --store_keys_;
  }
  store_waiting_.erase(it);
  return {StoreReply{message.request, std::move(message.why), {}}};
}

void Worker::answer_waiting(const Status& why, Actions& actions) {
  if (FARANDOLE_MUTATE(LeaveStoreWaiting))
    return;
  for (const auto& [request, waiting] : store_waiting_)
    actions.push_back(StoreReply{request, why, {}});
  store_waiting_.clear();
}

}  // namespace farandole::control
