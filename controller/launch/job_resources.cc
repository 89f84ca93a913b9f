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

sockaddr_storage loopback_of(int family) {
  sockaddr_storage address{};
  if (family == AF_INET6)
    reinterpret_cast<sockaddr_in6&>(address).sin6_addr = in6addr_loopback;
  else
    reinterpret_cast<sockaddr_in&>(address).sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.ss_family = static_cast<sa_family_t>(family);
  return address;
}

// A socket, or the call that was refused and why.
struct Reservation {
  UniqueFd holder;
  const char* refused = nullptr;
  int why = 0;
};

Reservation reserve_port(int family) {
  UniqueFd holder(FARANDOLE_FAIL_CALL(
      "job_resources.reserve_port.socket", socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)));
  if (!holder)
    return {{}, "socket", errno};
  const int on = 1;
  if (FARANDOLE_FAIL_CALL(
          "job_resources.reserve_port.setsockopt",
          setsockopt(holder.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on)) != 0)
    return {{}, "setsockopt(SO_REUSEPORT)", errno};
  const sockaddr_storage address = loopback_of(family);
  if (FARANDOLE_FAIL_CALL(
          "job_resources.reserve_port.bind",
          bind(holder.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address)) != 0)
    return {{}, family == AF_INET6 ? "bind to ::1" : "bind to 127.0.0.1", errno};
  return {std::move(holder)};
}

Result<UniqueFd> reserved_port() {
  Reservation port = reserve_port(AF_INET);
  if (port.why == EADDRNOTAVAIL || port.why == EAFNOSUPPORT)
    port = reserve_port(AF_INET6);
  if (port.refused)
    return system_error(port.refused, port.why);
  return std::move(port.holder);
}

Result<std::string> endpoint_of(const UniqueFd& socket) {
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (FARANDOLE_FAIL_CALL(
          "job_resources.endpoint_of.getsockname",
          getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &length)) != 0)
    return system_error("getsockname", errno);
  if (address.ss_family == AF_INET6)
    return fmt::format("[::1]:{}", ntohs(reinterpret_cast<sockaddr_in6&>(address).sin6_port));
  return fmt::format("127.0.0.1:{}", ntohs(reinterpret_cast<sockaddr_in&>(address).sin_port));
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
