#include "core/base/failpoint.h"

#ifdef FARANDOLE_FAILPOINTS
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <string>

namespace farandole::failpoint {
namespace {

// What FDL_FAILPOINT says: "NAME ACTION WHO HIT TOKEN".
//   ACTION  kill, segv, stop, throw, short, or the number of an errno
//   WHO     a rank, or "job" for the launcher's own processes
//   HIT     at which passage, counted per process, from 1
//   TOKEN   a file that must not exist: made by the process that obeys, so that only one does
struct Order {
  std::string name, action, who, token;
  int hit = 0;

  static Order from_environment() {
    Order order;
    const char* const text = std::getenv("FDL_FAILPOINT");
    std::istringstream fields(text == nullptr ? "" : text);
    fields >> order.name >> order.action >> order.who >> order.hit >> order.token;
    const char* const rank = std::getenv("FARANDOLE_RANK");
    if (order.who != (rank == nullptr ? "job" : rank))
      order.name.clear();
    return order;
  }
};

// Of this process, or of the one it was forked from. Test builds only.
const Order& order() {
  static const Order order = Order::from_environment();
  return order;
}

bool obeys(const char* name, bool transfer) {
  if (order().name != name || transfer != (order().action == "short"))
    return false;
  static std::atomic<int> passages{0};
  if (++passages != order().hit)
    return false;
  const int token = open(order().token.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  if (token < 0)
    return false;
  close(token);
  return true;
}

}  // namespace

int error_at(const char* name) {
  if (!obeys(name, false))
    return 0;
  const std::string& action = order().action;
  if (action == "kill")
    raise(SIGKILL);
  else if (action == "stop")
    kill(getpid(), SIGSTOP);  // every thread of it
  else if (action == "segv")
    signal(SIGSEGV, SIG_DFL), raise(SIGSEGV);
  else if (action == "throw")
    throw std::runtime_error(std::string("failpoint ") + name);
  return std::atoi(action.c_str());
}

void at(const char* name) {
  static_cast<void>(error_at(name));
}

std::size_t size_at(const char* name, std::size_t size) {
  return size > 1 && obeys(name, true) ? 1 : size;
}

}  // namespace farandole::failpoint
#endif
