#pragma once
// The other hosts of a running job, as its loop deals with them.

#include <poll.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "controller/launch/output.h"
#include "controller/launch/remote_host.h"
#include "core/base/clock.h"

namespace farandole::launch {

// What comes from other hosts.
class RemoteEvents {
 public:
  virtual ~RemoteEvents() = default;
  virtual void on_report(const Message& message) = 0;
  virtual bool takes_output(Stream stream) const = 0;
  virtual void on_output(int rank, Stream stream, std::string_view bytes) = 0;
  virtual void on_output_end(int rank, Stream stream) = 0;
  // The agent of a host was killed, or (`lost`) the connection to it has ended.
  virtual void on_host_end(const RemoteHost& host, int status, bool lost) = 0;
  // The standard input of this process cannot be read; for rank 0 it has ended.
  virtual void on_input_lost(int why) = 0;
};

class RemoteHosts {
 public:
  // `input`: the first of them has rank 0, which this process's standard input goes to.
  RemoteHosts(std::vector<std::unique_ptr<RemoteHost>> hosts, bool input);

  void start();  // the ranks; once
  void send(const Message& message);
  void collect(std::vector<pollfd>& fds) const;
  // When the hosts are to hear again that the launcher is there.
  std::optional<TimePoint> deadline() const;
  // Whatever has come, or can be passed on. Does not block.
  void handle(RemoteEvents& events);
  // Passes on output that had to wait. False where some still has to.
  bool pass_output(RemoteEvents& events);

  bool is_ssh(pid_t pid) const;
  // Whether `pid` was one of the sshs.
  bool on_end(pid_t pid, int status, RemoteEvents& events);
  bool all_ended() const;

 private:
  OutpostLink::Read read_from(RemoteHost& host, RemoteEvents& events);
  void on_frame(RemoteHost& host, const Frame& frame, RemoteEvents& events);
  void on_output(RemoteHost& host, const Frame& frame);
  void pass_input(RemoteEvents& events);

  std::vector<std::unique_ptr<RemoteHost>> hosts_;
  bool input_;
  TimePoint next_beat_;
};

}  // namespace farandole::launch
