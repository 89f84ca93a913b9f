#pragma once
// Starts the ssh that reaches one host.

#include "controller/launch/host_connector.h"

namespace farandole::launch {

// Gives the host its ssh, and the link and the pipes to it. ssh is in a process group of its own,
// so that Ctrl-C does not cut the way to the ranks, and dies with this process. Fails: System.
Status start_ssh_to(
    RemoteHost& host, const ConnectorSettings& settings, const StartConditions& before);

}  // namespace farandole::launch
