#pragma once
// Gloo's transport interface over a Mesh: what Gloo's algorithms see.

#include <gloo/context.h>
#include <gloo/transport/buffer.h>
#include <gloo/transport/context.h>
#include <gloo/transport/device.h>
#include <gloo/transport/pair.h>
#include <gloo/transport/unbound_buffer.h>

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "collectives/gloo/transport/mesh.h"

namespace farandole::gloo_transport {

// Memory for sends to and receives from any member. An operation's size must be the same at both
// ends. A buffer that dies while a receive is under way fails the mesh.
// Thread: as Mesh; the abort functions: any.
class UnboundBuffer final : public ::gloo::transport::UnboundBuffer, private Sink {
 public:
  UnboundBuffer(std::shared_ptr<Mesh> mesh, Duration limit, void* ptr, size_t size);
  ~UnboundBuffer() override;

  bool waitRecv(int* rank, std::chrono::milliseconds timeout) override;
  bool waitSend(int* rank, std::chrono::milliseconds timeout) override;
  void abortWaitRecv() override;
  void abortWaitSend() override;
  void send(int dst, uint64_t slot, size_t offset, size_t nbytes) override;
  void recv(int src, uint64_t slot, size_t offset, size_t nbytes) override;
  void recv(std::vector<int> srcs, uint64_t slot, size_t offset, size_t nbytes) override;

 private:
  struct Part {
    uint8_t* data;
    size_t bytes;
  };
  // One direction: what is under way, what has ended and was not waited for, from or to whom.
  struct Side {
    size_t pending = 0;
    std::vector<int> done;
    std::atomic<bool> aborted{false};
  };

  void on_sent(int peer) noexcept override { settle(sends_, peer); }
  void on_received(int peer) noexcept override { settle(receives_, peer); }
  static void settle(Side& side, int peer) noexcept;
  bool wait(Side& side, int* rank, std::chrono::milliseconds timeout);
  Part part(size_t offset, size_t nbytes) const;
  Receive receive_at(uint64_t slot, size_t offset, size_t nbytes);

  const std::shared_ptr<Mesh> mesh_;
  const Duration limit_;
  Side sends_;
  Side receives_;
};

// Gloo's older interface: memory tied to one member and one slot, written to from there.
class BoundBuffer final : public ::gloo::transport::Buffer, private Sink {
 public:
  enum class Side { Send, Receive };

  BoundBuffer(
      std::shared_ptr<Mesh> mesh,
      Duration limit,
      int peer,
      int slot,
      void* ptr,
      size_t n,
      Side side);
  ~BoundBuffer() override;
  void send(size_t offset, size_t length, size_t roffset) override;
  void waitRecv() override;
  void waitSend() override;

 private:
  void on_sent(int peer) noexcept override;
  void on_received(int peer) noexcept override;

  const std::shared_ptr<Mesh> mesh_;
  const Duration limit_;
  const int peer_;
  const Side side_;
  size_t pending_ = 0;
  size_t sent_ = 0;
  size_t received_ = 0;
};

class Pair final : public ::gloo::transport::Pair {
 public:
  Pair(std::shared_ptr<Mesh> mesh, const ::gloo::transport::Context& context, int peer);
  const ::gloo::transport::Address& address() const override { return *address_; }
  // The mesh is connected already. Throws.
  void connect(const std::vector<char>& bytes) override;
  // Ends the whole mesh.
  void close() override;
  // Nothing to choose: whoever waits does the I/O, blocking in poll.
  void setSync(bool, bool) override {}
  std::unique_ptr<::gloo::transport::Buffer> createSendBuffer(int, void*, size_t) override;
  std::unique_ptr<::gloo::transport::Buffer> createRecvBuffer(int, void*, size_t) override;
  void send(::gloo::transport::UnboundBuffer* buf, uint64_t tag, size_t offset, size_t n) override;
  void recv(::gloo::transport::UnboundBuffer* buf, uint64_t tag, size_t offset, size_t n) override;

 private:
  const std::shared_ptr<Mesh> mesh_;
  const ::gloo::transport::Context& context_;
  const int peer_;
  const std::unique_ptr<::gloo::transport::Address> address_;
};

class TransportContext final : public ::gloo::transport::Context {
 public:
  explicit TransportContext(std::shared_ptr<Mesh> mesh);
  std::unique_ptr<::gloo::transport::Pair>& createPair(int peer) override;
  std::unique_ptr<::gloo::transport::UnboundBuffer> createUnboundBuffer(
      void* ptr, size_t size) override;

 private:
  const std::shared_ptr<Mesh> mesh_;
};

// Makes contexts over one mesh.
class Device final : public ::gloo::transport::Device {
 public:
  explicit Device(std::shared_ptr<Mesh> mesh) : mesh_(std::move(mesh)) {}
  std::string str() const override { return "farandole"; }
  const std::string& getPCIBusID() const override { return no_bus_; }
  // Requires: rank and size of the mesh.
  std::shared_ptr<::gloo::transport::Context> createContext(int rank, int size) override;

 private:
  const std::shared_ptr<Mesh> mesh_;
  const std::string no_bus_;
};

// What Gloo's algorithms take: all pairs are there. Owns the mesh.
class GroupContext final : public ::gloo::Context {
 public:
  explicit GroupContext(std::shared_ptr<Mesh> mesh);
  Mesh& mesh() noexcept { return *mesh_; }

 private:
  const std::shared_ptr<Mesh> mesh_;
};

}  // namespace farandole::gloo_transport
