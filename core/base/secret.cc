#include "core/base/secret.h"

#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole {
namespace {

constexpr size_t kMaxBytes = 4096;

struct OpenFile {
  int fd = -1;
  ~OpenFile() {
    if (fd >= 0)
      close(fd);
  }
};

}  // namespace

Secret::~Secret() {
  if (!bytes_.empty())
    explicit_bzero(bytes_.data(), bytes_.size());
}

Result<Secret> Secret::random() {
  std::vector<uint8_t> bytes(kMinBytes);
  if (FARANDOLE_FAIL_CALL("secret.random.getrandom", getrandom(bytes.data(), bytes.size(), 0)) !=
      static_cast<ssize_t>(bytes.size()))
    return system_error("getrandom", errno);
  return Secret(bytes);
}

Result<Secret> Secret::from_file(const std::string& path) {
  OpenFile file{FARANDOLE_FAIL_CALL(
      "secret.from_file.open", open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY))};
  if (file.fd < 0)
    return system_error("cannot read the job's secret from " + printable(path, 256), errno);
  struct stat info {};
  if (FARANDOLE_FAIL_CALL("secret.from_file.fstat", fstat(file.fd, &info)) != 0)
    return system_error("fstat", errno);
  if (info.st_mode & 077)
    return error(
        Code::InvalidArgument,
        "the secret file {} can be read by others than its owner (mode {:o}); make it 0400",
        printable(path, 256),
        info.st_mode & 0777);
  std::vector<uint8_t> bytes(kMaxBytes + 1);
  size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t got = FARANDOLE_FAIL_CALL(
        "secret.from_file.pread",
        pread(file.fd, bytes.data() + have, bytes.size() - have, static_cast<off_t>(have)));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return system_error("cannot read the job's secret from " + printable(path, 256), errno);
    if (got == 0)
      break;
    have += static_cast<size_t>(got);
  }
  Secret secret(std::span(bytes.data(), have));
  explicit_bzero(bytes.data(), bytes.size());
  if (have < kMinBytes || have > kMaxBytes)
    return error(
        Code::InvalidArgument,
        "the secret file {} holds {} bytes; {} to {} are wanted",
        printable(path, 256),
        have,
        kMinBytes,
        kMaxBytes);
  return secret;
}

}  // namespace farandole
