#include "controller/launch/ssh_start.h"

#include <fcntl.h>

#include <cerrno>

#include "controller/launch/spawn.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole::launch {

Status start_ssh_to(
    RemoteHost& host, const ConnectorSettings& settings, const StartConditions& before) {
  auto input = make_pipe();
  auto output = make_pipe();
  auto errors = make_pipe();
  for (const Status& status : {input.status(), output.status(), errors.status()})
    FARANDOLE_RETURN_IF_ERROR(status);
  // make_pipe has its reading ends not block; ssh's own is to be as any program's.
  if (FARANDOLE_FAIL_CALL(
          "ssh_start.start_ssh_to.fcntl", fcntl(input.value().read.get(), F_SETFL, 0)) != 0)
    return system_error("fcntl(F_SETFL)", errno);
  RankProgram program;
  program.path = settings.ssh_program;
  program.argv = ssh_command(settings.ssh, host.name, settings.own_program);
  program.environment = settings.own_environment.entries();
  program.input = input.value().read.get();
  program.output = output.value().write.get();
  program.error = errors.value().write.get();
  program.open_files = before.open_files;
  program.kept_ignored = before.kept_ignored;
  SpawnedRank spawned = spawn_rank(program);
  if (spawned.error != 0)
    return system_error("fork", spawned.error);
  host.ssh = spawned.pid;
  host.exec_result = std::move(spawned.exec_result);
  host.errors = std::move(errors.value().read);
  auto link = OutpostLink::over(
      std::move(output.value().read), std::move(input.value().write), kMaxReportBytes, false);
  if (!link)
    return link.status();
  host.link = std::move(link).value();
  return Status::ok();
}

}  // namespace farandole::launch
