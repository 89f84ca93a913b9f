#include "core/base/name_lookup.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/mutex.h"
#include "core/base/refusal.h"
#include "core/base/thread.h"

namespace farandole {
namespace {

addrinfo hints_with(int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags | AI_NUMERICSERV;
  return hints;
}

// What getaddrinfo(3) said; where that is no more than "the system refused", also why.
struct Answer {
  int code = 0;
  int why = 0;
  AddressList found;
};

Status cannot_find(const std::string& host, std::string_view why) {
  return error(Code::System, "cannot find the host {}: {}", printable(host, 256), why);
}

Result<AddressList> result_of(const std::string& host, Answer answer) {
  if (answer.code == 0)
    return std::move(answer.found);
  if (answer.code == EAI_SYSTEM)
    return cannot_find(host, system_error("getaddrinfo", answer.why).message());
  return cannot_find(host, gai_strerror(answer.code));
}

// What the caller and the thread of the resolver share: whoever is last destroys it.
struct Question {
  Mutex mutex;
  CondVar answered;
  bool done FARANDOLE_GUARDED_BY(mutex) = false;
  Answer answer FARANDOLE_GUARDED_BY(mutex);
};

// Fails where there is no thread for it.
Status ask(
    const std::shared_ptr<Question>& question,
    const std::string& host,
    uint16_t port,
    const LookupLimits& limits) {
  try {
    const auto body = [question, host, port = std::to_string(port), resolver = limits.resolver] {
      const addrinfo hints = hints_with(AI_ADDRCONFIG);
      addrinfo* found = nullptr;
      const int code = FARANDOLE_FAIL_CALL("name_lookup.ask.getaddrinfo", 0) != 0
                           ? EAI_SYSTEM
                           : resolver(host.c_str(), port.c_str(), &hints, &found);
      const int why = errno;
      MutexLock lock(question->mutex);
      question->answer = {code, why, AddressList(code == 0 ? found : nullptr)};
      question->done = true;
      question->answered.notify_all();
    };
    start_thread("fdl-lookup", body).detach();
    return Status::ok();
  } catch (const Refusal& refused) {
    return cannot_find(host, refused.status().message());
  }
}

}  // namespace

Result<AddressList> look_up_number(const std::string& host, uint16_t port) {
  const addrinfo hints = hints_with(AI_NUMERICHOST);
  addrinfo* found = nullptr;
  const int code = FARANDOLE_FAIL_CALL("name_lookup.look_up_number.getaddrinfo", 0) != 0
                       ? EAI_SYSTEM
                       : getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found);
  const int why = errno;
  if (code == EAI_NONAME)
    return error(Code::InvalidArgument, "{} is no number of a host", printable(host, 256));
  return result_of(host, {code, why, AddressList(code == 0 ? found : nullptr)});
}

Result<AddressList> look_up(const std::string& host, uint16_t port, const LookupLimits& limits) {
  Result<AddressList> number = look_up_number(host, port);
  if (number)
    return number;
  const auto question = std::make_shared<Question>();
  FARANDOLE_RETURN_IF_ERROR(ask(question, host, port, limits));
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
  return result_of(host, std::move(question->answer));
}

}  // namespace farandole
