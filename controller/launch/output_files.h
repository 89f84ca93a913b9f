#pragma once
// The files of --output-filename: what each rank writes, as it writes it.

#include <string>
#include <string_view>
#include <vector>

#include "controller/launch/output.h"
#include "core/base/status.h"
#include "core/base/unique_fd.h"

namespace farandole::launch {

// "rank.07": as many digits as the last of `ranks` has.
std::string rank_folder(int rank, int ranks);

class OutputFiles {
 public:
  OutputFiles() = default;  // none are written

  // Makes FOLDER/rank.N/stdout and stderr, empty, for every rank. Fails: System, naming the path.
  static Result<OutputFiles> open(const std::string& folder, int ranks);

  // Where a file takes no more (a full disk), the rest of it is lost. Fails: System, once for each
  // file, naming it.
  Status write(int rank, Stream stream, std::string_view bytes);

 private:
  struct File {
    std::string path;
    UniqueFd fd;
  };
  std::vector<File> files_;  // two for each rank
};

}  // namespace farandole::launch
