#pragma once
// TimelineFile: a list of JSON on disk that is whole after every write, so that what a process has
// recorded can be read while it runs, and when it was killed.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "core/base/status.h"
#include "core/base/unique_fd.h"

namespace farandole {

// Thread: one at a time. Blocks as the file does.
class TimelineFile {
 public:
  // An empty list, in place of whatever was there. Fails: System naming the path; InvalidArgument
  // where it is no ordinary file.
  static Result<TimelineFile> open(const std::string& path);

  // `items` behind what is there: whole lines, each after its comma. Fails: System; the list is as
  // it was, and a later call may succeed.
  Status append(std::string_view items);

 private:
  TimelineFile(std::string path, UniqueFd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  Status write_at(uint64_t place, std::string_view bytes);

  std::string path_;
  UniqueFd fd_;
  uint64_t end_ = 0;  // where the list's own end stands
};

using OpenTimelineFile = std::function<Result<TimelineFile>(const std::string&)>;

}  // namespace farandole
