// Worker: questions where this rank's threads are, because others wait for it.

#include <utility>

#include "controller/protocol/worker.h"

namespace farandole::control {

Actions Worker::on(Inquiry& message) {
  if (message.number == 0 || asked_ != 0)
    return malformed("a question before the last one was answered");
  asked_ = message.number;
  return {Testify{message.number}};
}

Actions Worker::answer(uint64_t number, std::string text) {
  if (number != asked_ || !may_send())
    return {};
  asked_ = 0;
  if (text.size() > kMaxStackBytes)
    text.resize(kMaxStackBytes);
  return {send(Answer{number, std::move(text)})};
}

}  // namespace farandole::control
