#pragma once
// What a link is asked to move, and whom it tells when that is done.

#include <cstddef>
#include <cstdint>

namespace farandole::gloo_transport {

// The owner of the memory that operations move. Told on the thread that drives the mesh.
class Sink {
 public:
  // The bytes are with the kernel: their memory may be reused.
  virtual void on_sent(int peer) noexcept = 0;
  virtual void on_received(int peer) noexcept = 0;

 protected:
  ~Sink() = default;
};

// Memory is borrowed until the sink has been told, or Mesh::forget() was called for it.
struct Send {
  Sink* sink = nullptr;
  uint64_t slot = 0;
  const uint8_t* data = nullptr;
  size_t bytes = 0;
};

struct Receive {
  Sink* sink = nullptr;
  uint64_t slot = 0;
  uint8_t* data = nullptr;
  size_t bytes = 0;
};

}  // namespace farandole::gloo_transport
