#include "core/base/name_lookup.h"

#include <pthread.h>

#include <algorithm>
#include <system_error>
#include <thread>
#include <utility>

#include "core/base/format.h"
#include "core/base/mutex.h"

namespace farandole {
namespace {

addrinfo hints_with(int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  return hints;
}

Result<AddressList> result_of(const std::string& host, int code, AddressList found) {
  if (code == 0)
    return found;
  return error(
      Code::System, "cannot find the host {}: {}", printable(host, 256), gai_strerror(code));
}

// What the caller and the thread of the resolver share: whoever is last destroys it.
struct Question {
  Mutex mutex;
  CondVar answered;
  bool done FARANDOLE_GUARDED_BY(mutex) = false;
  int code FARANDOLE_GUARDED_BY(mutex) = 0;
  AddressList found FARANDOLE_GUARDED_BY(mutex);
};

// False where there is no thread for it.
bool ask(
    const std::shared_ptr<Question>& question,
    const std::string& host,
    uint16_t port,
    const LookupLimits& limits) {
  try {
    std::thread([question, host, port = std::to_string(port), resolver = limits.resolver] {
      pthread_setname_np(pthread_self(), "fdl-lookup");
      const addrinfo hints = hints_with(AI_ADDRCONFIG);
      addrinfo* found = nullptr;
      const int code = resolver(host.c_str(), port.c_str(), &hints, &found);
      MutexLock lock(question->mutex);
      question->code = code;
      question->found.reset(code == 0 ? found : nullptr);
      question->done = true;
      question->answered.notify_all();
    }).detach();
    return true;
  } catch (const std::system_error&) {
    return false;
  }
}

}  // namespace

Result<AddressList> look_up_number(const std::string& host, uint16_t port) {
  const addrinfo hints = hints_with(AI_NUMERICHOST);
  addrinfo* found = nullptr;
  const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  return result_of(host, code, AddressList(code == 0 ? found : nullptr));
}

Result<AddressList> look_up(const std::string& host, uint16_t port, const LookupLimits& limits) {
  Result<AddressList> number = look_up_number(host, port);
  if (number)
    return number;
  const auto question = std::make_shared<Question>();
  if (!ask(question, host, port, limits))
    return error(Code::System, "cannot find the host {}: no thread", printable(host, 256));
  MutexLock lock(question->mutex);
  while (!question->done) {
    if (limits.give_up && limits.give_up())
      return error(Code::Aborted, "given up while the host {} was looked up", printable(host, 256));
    const TimePoint now = steady_now();
    if (now >= limits.deadline)
      return error(
          Code::Timeout,
          "cannot find the host {}: the resolver did not answer in time; is the name server there?",
          printable(host, 256));
    question->answered.wait_until(
        question->mutex,
        limits.give_up ? std::min(limits.deadline, now + kGiveUpPeriod) : limits.deadline);
  }
  return result_of(host, question->code, std::move(question->found));
}

}  // namespace farandole
