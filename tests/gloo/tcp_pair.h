#pragma once
// Connected TCP sockets on the loopback interface, without any handshake.

#include <poll.h>

#include <stdexcept>
#include <utility>
#include <vector>

#include "collectives/gloo/transport/socket.h"

namespace farandole::testing {

inline std::pair<UniqueFd, UniqueFd> tcp_pair() {
  namespace gt = gloo_transport;
  const auto need = [](auto result) {
    if (!result)
      throw std::runtime_error(result.status().to_string());
    return std::move(result).value();
  };
  UniqueFd listener = need(gt::listen_on(need(gt::resolve("127.0.0.1", 0)), 1));
  UniqueFd near = need(gt::start_connect(need(gt::local_address(listener.get()))));
  pollfd waiting{listener.get(), POLLIN, 0};
  ::poll(&waiting, 1, 10000);
  return {std::move(near), need(gt::accept_one(listener.get()))};
}

// sockets[i][j] leads from member i to member j.
inline std::vector<std::vector<UniqueFd>> tcp_mesh(size_t members) {
  std::vector<std::vector<UniqueFd>> sockets(members);
  for (auto& row : sockets) row.resize(members);
  for (size_t i = 0; i < members; ++i)
    for (size_t j = i + 1; j < members; ++j) std::tie(sockets[i][j], sockets[j][i]) = tcp_pair();
  return sockets;
}

}  // namespace farandole::testing
