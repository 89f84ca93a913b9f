#include "controller/launch/remote_hosts.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "controller/launch/outpost.h"
#include "core/base/failpoint.h"
#include "core/base/format.h"

namespace farandole::launch {

RemoteHosts::RemoteHosts(std::vector<std::unique_ptr<RemoteHost>> hosts, bool input)
    : hosts_(std::move(hosts)), input_(input), next_beat_(steady_now() + kBeat) {}

void RemoteHosts::start() {
  for (const auto& host : hosts_) host->link.send(FrameKind::Start);
}

void RemoteHosts::send(const Message& message) {
  for (const auto& host : hosts_) host->link.send(FrameKind::Relay, encode_message(message));
}

void RemoteHosts::collect(std::vector<pollfd>& fds) const {
  for (const auto& host : hosts_) {
    fds.push_back({host->link.in_fd(), POLLIN, 0});
    fds.push_back({host->link.wants_write() ? host->link.out_fd() : -1, POLLOUT, 0});
    fds.push_back({host->errors.get(), POLLIN, 0});
  }
  if (input_ && hosts_.front()->input_window > 0)
    fds.push_back({STDIN_FILENO, POLLIN, 0});
}

std::optional<TimePoint> RemoteHosts::deadline() const {
  return all_ended() ? std::nullopt : std::optional(next_beat_);
}

void RemoteHosts::handle(RemoteEvents& events) {
  for (const auto& host : hosts_) {
    host->link.flush();
    host->read_errors();
    read_from(*host, events);
  }
  pass_output(events);
  pass_input(events);
  if (steady_now() < next_beat_)
    return;
  for (const auto& host : hosts_) host->link.send(FrameKind::Beat);
  next_beat_ = steady_now() + kBeat;
}

OutpostLink::Read RemoteHosts::read_from(RemoteHost& host, RemoteEvents& events) {
  if (!host.link.is_open())
    return OutpostLink::Read::End;
  const OutpostLink::Read read = host.link.read_some();
  Frame frame;
  FrameReader::Next next = host.link.next(frame);
  for (; next == FrameReader::Next::Got; next = host.link.next(frame))
    on_frame(host, frame, events);
  if (read == OutpostLink::Read::End || next == FrameReader::Next::Wrong)
    host.link.close();  // ssh ends of it, which says why
  return read;
}

void RemoteHosts::on_frame(RemoteHost& host, const Frame& frame, RemoteEvents& events) {
  const auto number = decode_number(frame.body);
  const auto message = decode_relayed(frame.body);
  if (frame.kind == FrameKind::Report && message) {
    events.on_report(*message);
  } else if (frame.kind == FrameKind::Output || frame.kind == FrameKind::OutputEnd) {
    on_output(host, frame);
  } else if (frame.kind == FrameKind::InputTaken && number) {
    host.input_window = std::min(kInputWindow, host.input_window + number->number);
  } else if (frame.kind == FrameKind::AgentEnd && number) {
    host.done = true;
    host.agent_status = static_cast<int>(number->number);
    if (host.agent_status != 0)
      events.on_host_end(host, host.agent_status, false);
    host.link.close_out();
  } else if (frame.kind == FrameKind::Refused && number) {
    host.refusal = printable(number->rest, 1024);
    host.link.close();
  }
}

void RemoteHosts::on_output(RemoteHost& host, const Frame& frame) {
  auto output = decode_output(frame.body);
  if (!output || !host.has_rank(output->number))
    return;
  host.output.push_back(
      {static_cast<int>(output->number),
       output->stream,
       frame.kind == FrameKind::OutputEnd,
       std::move(output->rest)});
}

bool RemoteHosts::pass_output(RemoteEvents& events) {
  bool all = true;
  for (const auto& host : hosts_) {
    while (!host->output.empty()) {
      const PendingOutput& next = host->output.front();
      const auto stream = static_cast<Stream>(next.stream);
      if (!events.takes_output(stream))
        break;
      if (next.ends)
        events.on_output_end(next.rank, stream);
      else
        events.on_output(next.rank, stream, next.bytes);
      host->taken(next.bytes.size());
      host->output.pop_front();
    }
    all = all && host->output.empty();
  }
  return all;
}

// Of this process's standard input to rank 0, as much as it takes.
void RemoteHosts::pass_input(RemoteEvents& events) {
  if (!input_)
    return;
  RemoteHost& host = *hosts_.front();
  pollfd entry{STDIN_FILENO, POLLIN, 0};
  if (host.input_window == 0 ||
      FARANDOLE_FAIL_CALL("remote_hosts.pass_input.poll", poll(&entry, 1, 0)) <= 0)
    return;
  std::array<char, kPieceBytes> buffer;
  const ssize_t got = FARANDOLE_FAIL_CALL(
      "remote_hosts.pass_input.read",
      read(STDIN_FILENO, buffer.data(), std::min(buffer.size(), host.input_window)));
  if (got < 0 && (errno == EINTR || errno == EAGAIN))
    return;
  if (got <= 0) {
    input_ = false;
    if (got < 0)
      events.on_input_lost(errno);
    return host.link.send(FrameKind::InputEnd);
  }
  const std::string_view bytes(buffer.data(), static_cast<size_t>(got));
  host.input_window -= bytes.size();
  host.link.send(FrameKind::Input, net::as_bytes(bytes));
}

bool RemoteHosts::is_ssh(pid_t pid) const {
  return std::any_of(
      hosts_.begin(), hosts_.end(), [&](const auto& host) { return host->ssh == pid; });
}

bool RemoteHosts::on_end(pid_t pid, int status, RemoteEvents& events) {
  for (const auto& host : hosts_) {
    if (host->ssh != pid)
      continue;
    host->ssh = -1;
    // What it said before it ended. Who inherited its end of the pipe has nothing to say.
    while (read_from(*host, events) == OutpostLink::Read::Some) {
    }
    host->link.close();
    host->read_errors();
    if (host == hosts_.front())
      input_ = false;
    if (!host->done) {
      host->done = true;
      events.on_host_end(*host, status, true);
    }
    return true;
  }
  return false;
}

bool RemoteHosts::all_ended() const {
  return std::all_of(hosts_.begin(), hosts_.end(), [](const auto& host) { return host->ssh < 0; });
}

}  // namespace farandole::launch
