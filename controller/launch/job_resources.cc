#include "controller/launch/job_resources.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/secret.h"
#include "core/base/uninterrupted.h"

namespace farandole::launch {
namespace {

Result<UniqueFd> secret_file() {
  const auto secret = Secret::random();
  if (!secret)
    return secret.status();
  UniqueFd file(FARANDOLE_FAIL_CALL(
      "job_resources.secret_file.memfd_create",
      memfd_create("farandole-secret", MFD_CLOEXEC | MFD_ALLOW_SEALING)));
  if (!file)
    return system_error("memfd_create", errno);
  const auto bytes = secret.value().bytes();
  if (uninterrupted([&] {
        return FARANDOLE_FAIL_CALL(
            "job_resources.secret_file.write", write(file.get(), bytes.data(), bytes.size()));
      }) != static_cast<ssize_t>(bytes.size()))
    return system_error("write to a memory file", errno);
  if (FARANDOLE_FAIL_CALL("job_resources.secret_file.fchmod", fchmod(file.get(), S_IRUSR)) != 0)
    return system_error("fchmod", errno);
  const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL;
  if (FARANDOLE_FAIL_CALL(
          "job_resources.secret_file.fcntl", fcntl(file.get(), F_ADD_SEALS, seals)) != 0)
    return system_error("fcntl(F_ADD_SEALS)", errno);
  return file;
}

Result<UniqueFd> reserved_port() {
  UniqueFd holder(FARANDOLE_FAIL_CALL(
      "job_resources.reserved_port.socket", socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  if (!holder)
    return system_error("socket", errno);
  const int on = 1;
  if (FARANDOLE_FAIL_CALL(
          "job_resources.reserved_port.setsockopt",
          setsockopt(holder.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on)) != 0)
    return system_error("setsockopt(SO_REUSEPORT)", errno);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (FARANDOLE_FAIL_CALL(
          "job_resources.reserved_port.bind",
          bind(holder.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address)) != 0)
    return system_error("bind to 127.0.0.1", errno);
  return holder;
}

Result<std::string> endpoint_of(const UniqueFd& socket) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  if (FARANDOLE_FAIL_CALL(
          "job_resources.endpoint_of.getsockname",
          getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length)) != 0)
    return system_error("getsockname", errno);
  return fmt::format("127.0.0.1:{}", ntohs(address.sin_port));
}

}  // namespace

Result<JobResources> make_job_resources() {
  std::array<uint8_t, 8> name{};
  if (FARANDOLE_FAIL_CALL(
          "job_resources.make_job_resources.getrandom", getrandom(name.data(), name.size(), 0)) !=
      static_cast<ssize_t>(name.size()))
    return system_error("getrandom", errno);
  JobResources resources;
  for (const uint8_t byte : name) resources.job += fmt::format("{:02x}", byte);
  auto secret = secret_file();
  if (!secret)
    return secret.status();
  resources.secret = std::move(secret).value();
  auto port = reserved_port();
  if (!port)
    return port.status();
  resources.port_holder = std::move(port).value();
  auto endpoint = endpoint_of(resources.port_holder);
  if (!endpoint)
    return endpoint.status();
  resources.controller = std::move(endpoint).value();
  return resources;
}

}  // namespace farandole::launch
