#include "controller/launch/output_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>

#include "core/base/failpoint.h"
#include "core/base/format.h"
#include "core/base/uninterrupted.h"

namespace farandole::launch {
namespace {

size_t index_of(int rank, Stream stream) {
  return 2 * static_cast<size_t>(rank) + static_cast<size_t>(stream);
}

Status unusable(const std::string& path, int why) {
  return error(
      Code::System,
      "--output-filename: {}: {}",
      printable(path, 256),
      system_error("open", why).message());
}

}  // namespace

std::string rank_folder(int rank, int ranks) {
  return fmt::format("rank.{:0{}}", rank, fmt::formatted_size("{}", ranks - 1));
}

Result<OutputFiles> OutputFiles::open(const std::string& folder, int ranks) {
  OutputFiles files;
  for (int rank = 0; rank < ranks; ++rank) {
    const std::string own = folder + "/" + rank_folder(rank, ranks);
    std::error_code failed;
    std::filesystem::create_directories(own, failed);
    if (failed)
      return error(
          Code::System,
          "--output-filename: the folder {} cannot be made: {}",
          printable(own, 256),
          failed.message());
    for (const char* name : {"/stdout", "/stderr"}) {
      const std::string path = own + name;
      // O_NONBLOCK: a pipe that nobody reads would hold the launcher, which hears no signal here.
      UniqueFd file(FARANDOLE_FAIL_CALL(
          "output_files.open.open",
          ::open(
              path.c_str(),
              O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
              0666)));
      if (!file)
        return unusable(path, errno);
      files.files_.push_back({path, std::move(file)});
    }
  }
  return files;
}

Status OutputFiles::write(int rank, Stream stream, std::string_view bytes) {
  if (files_.empty())
    return Status::ok();
  File& file = files_[index_of(rank, stream)];
  while (file.fd && !bytes.empty()) {
    const ssize_t wrote = uninterrupted([&] {
      return FARANDOLE_FAIL_CALL(
          "output_files.write.write",
          ::write(
              file.fd.get(),
              bytes.data(),
              FARANDOLE_FAIL_SIZE("output_files.write.write", bytes.size())));
    });
    if (wrote < 0) {
      const int why = errno;
      file.fd.reset();
      return error(
          Code::System,
          "{} is lost from here on: {}",
          printable(file.path, 256),
          system_error("write", why).message());
    }
    bytes.remove_prefix(static_cast<size_t>(wrote));
  }
  return Status::ok();
}

}  // namespace farandole::launch
