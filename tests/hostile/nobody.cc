#include "tests/hostile/nobody.h"

#include <grp.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

namespace farandole::hostile {

bool can_be_nobody() {
  return geteuid() == 0;
}

std::string as_nobody(const std::function<std::string()>& body) {
  int ends[2];
  if (pipe(ends) != 0)
    return "no pipe";
  const pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    const bool became = setgroups(0, nullptr) == 0 && setresgid(kNobody, kNobody, kNobody) == 0 &&
                        setresuid(kNobody, kNobody, kNobody) == 0;
    const std::string text = became ? body() : "could not become nobody";
    for (size_t sent = 0; sent < text.size();) {
      const ssize_t count = write(ends[1], text.data() + sent, text.size() - sent);
      if (count <= 0)
        break;
      sent += static_cast<size_t>(count);
    }
    _exit(0);
  }
  close(ends[1]);
  std::string text;
  std::array<char, 4096> part;
  for (ssize_t got = 0; (got = read(ends[0], part.data(), part.size())) > 0;)
    text.append(part.data(), static_cast<size_t>(got));
  close(ends[0]);
  int status = -1;
  waitpid(child, &status, 0);
  return status == 0 ? text : "died";
}

}  // namespace farandole::hostile
