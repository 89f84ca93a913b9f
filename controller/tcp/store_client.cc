#include "controller/tcp/store_client.h"

#include <chrono>
#include <string_view>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole::control {

namespace {

Status late(StoreRequest::Kind kind, std::string_view key, Duration waited) {
  const double seconds = std::chrono::duration<double>(waited).count();
  if (kind == StoreRequest::Kind::Get)
    return error(Code::Timeout, "nobody set the store key \"{}\" within {:.1f} s", key, seconds);
  return error(
      Code::Timeout,
      "rank 0 did not acknowledge the store key \"{}\" within {:.1f} s "
      "(FARANDOLE_START_TIMEOUT)",
      key,
      seconds);
}

}  // namespace

Status StoreClient::set(const std::string& key, std::vector<uint8_t> value) {
  StoreRequest request{StoreRequest::Kind::Set, 0, key, std::move(value)};
  return call(std::move(request), steady_now() + parts_.set_timeout).status();
}

Result<std::vector<uint8_t>> StoreClient::get(const std::string& key, TimePoint deadline) {
  return call({StoreRequest::Kind::Get, 0, key, {}}, deadline);
}

Result<std::vector<uint8_t>> StoreClient::call(StoreRequest request, TimePoint deadline) {
  const std::string key = printable(request.key, 256);
  const StoreRequest::Kind kind = request.kind;
  const TimePoint begin = steady_now();
  if (parts_.on_loop_thread())
    return error(Code::Internal, "store key \"{}\" was asked for on the loop's thread", key);
  uint64_t number = 0;
  {
    MutexLock lock(mutex_);
    if (!closed_.is_ok())
      return closed_;
    number = request.number = ++last_number_;
    calls_.emplace(number, Call{});
  }
  FARANDOLE_FAILPOINT("store_client.call");
  parts_.submit(std::move(request));
  Call call;
  {
    MutexLock lock(mutex_);
    const auto found = calls_.find(number);
    while (!found->second.done && answered_.wait_until(mutex_, deadline)) {
    }
    call = std::move(found->second);
    calls_.erase(found);
  }
  if (!call.done) {
    parts_.submit({StoreRequest::Kind::Cancel, number, {}, {}});
    return late(kind, key, steady_now() - begin);
  }
  if (!call.status.is_ok())
    return call.status;
  return std::move(call.value);
}

void StoreClient::on_reply(uint64_t number, Status status, std::vector<uint8_t> value) {
  MutexLock lock(mutex_);
  const auto found = calls_.find(number);
  if (found == calls_.end() || found->second.done)
    return;
  found->second = {true, std::move(status), std::move(value)};
  answered_.notify_all();
}

void StoreClient::close(Status why) {
  MutexLock lock(mutex_);
  if (!closed_.is_ok())
    return;
  closed_ = std::move(why);
  for (auto& [number, call] : calls_) {
    if (!call.done)
      call = {true, closed_, {}};
  }
  answered_.notify_all();
}

}  // namespace farandole::control
