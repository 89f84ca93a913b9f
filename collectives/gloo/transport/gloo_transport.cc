#include "collectives/gloo/transport/gloo_transport.h"

#include <gloo/common/error.h>
#include <gloo/transport/address.h>

#include <utility>

#include "collectives/gloo/transport/mesh_failed.h"

namespace farandole::gloo_transport {
namespace {

class NoAddress final : public ::gloo::transport::Address {
 public:
  std::string str() const override { return "member of a mesh"; }
  std::vector<char> bytes() const override { return {}; }
};

void require(bool condition, const char* otherwise) {
  if (!condition)
    throw ::gloo::InvalidOperationException(otherwise);
}

Duration limit_or(std::chrono::milliseconds timeout, Duration fallback) {
  return timeout.count() > 0 ? Duration(timeout) : fallback;
}

std::chrono::milliseconds to_timeout(Duration limit) {
  return std::chrono::ceil<std::chrono::milliseconds>(limit);
}

}  // namespace

UnboundBuffer::UnboundBuffer(std::shared_ptr<Mesh> mesh, Duration limit, void* ptr, size_t size)
    : ::gloo::transport::UnboundBuffer(ptr, size), mesh_(std::move(mesh)), limit_(limit) {}

UnboundBuffer::~UnboundBuffer() {
  if (sends_.pending > 0 || receives_.pending > 0)
    mesh_->forget(this);
}

void UnboundBuffer::settle(Side& side, int peer) noexcept {
  --side.pending;
  side.done.push_back(peer);
}

bool UnboundBuffer::wait(Side& side, int* rank, std::chrono::milliseconds timeout) {
  bool aborted = false;
  mesh_->wait(
      [&] {
        aborted = side.aborted.exchange(false);
        return aborted || !side.done.empty();
      },
      limit_or(timeout, limit_));
  if (aborted)
    return false;
  if (rank != nullptr)
    *rank = side.done.front();
  side.done.erase(side.done.begin());
  return true;
}

bool UnboundBuffer::waitRecv(int* rank, std::chrono::milliseconds timeout) {
  return wait(receives_, rank, timeout);
}

bool UnboundBuffer::waitSend(int* rank, std::chrono::milliseconds timeout) {
  return wait(sends_, rank, timeout);
}

void UnboundBuffer::abortWaitRecv() {
  receives_.aborted.store(true);
  mesh_->wake();
}

void UnboundBuffer::abortWaitSend() {
  sends_.aborted.store(true);
  mesh_->wake();
}

// Gloo's bcube moves nothing from and to offsets beyond the end where there are fewer elements than
// members.
UnboundBuffer::Part UnboundBuffer::part(size_t offset, size_t nbytes) const {
  if (nbytes == 0)
    return {static_cast<uint8_t*>(ptr), 0};
  require(offset <= size, "a part that begins beyond the end of its buffer");
  const size_t bytes = nbytes == kUnspecifiedByteCount ? size - offset : nbytes;
  require(bytes <= size - offset, "a part that ends beyond the end of its buffer");
  return {static_cast<uint8_t*>(ptr) + offset, bytes};
}

void UnboundBuffer::send(int dst, uint64_t slot, size_t offset, size_t nbytes) {
  const Part what = part(offset, nbytes);
  ++sends_.pending;
  mesh_->send(dst, {this, slot, what.data, what.bytes});
}

Receive UnboundBuffer::receive_at(uint64_t slot, size_t offset, size_t nbytes) {
  const Part where = part(offset, nbytes);
  ++receives_.pending;
  return {this, slot, where.data, where.bytes};
}

void UnboundBuffer::recv(int src, uint64_t slot, size_t offset, size_t nbytes) {
  mesh_->receive(src, receive_at(slot, offset, nbytes));
}

void UnboundBuffer::recv(std::vector<int> srcs, uint64_t slot, size_t offset, size_t nbytes) {
  require(!srcs.empty(), "nobody to receive from");
  const Receive receive = receive_at(slot, offset, nbytes);
  mesh_->receive_any(std::move(srcs), receive);
}

BoundBuffer::BoundBuffer(
    std::shared_ptr<Mesh> mesh, Duration limit, int peer, int slot, void* ptr, size_t n, Side side)
    : ::gloo::transport::Buffer(slot, ptr, n),
      mesh_(std::move(mesh)),
      limit_(limit),
      peer_(peer),
      side_(side) {
  if (side_ == Side::Receive)
    mesh_->expose(peer_, {this, static_cast<uint64_t>(slot_), static_cast<uint8_t*>(ptr_), size_});
}

// Algorithms of the older interface leave their last sends to the transport.
BoundBuffer::~BoundBuffer() {
  if (pending_ > 0) {
    try {
      mesh_->wait([this] { return pending_ == 0; }, limit_);
    } catch (const MeshFailed&) {
      // The mesh remembers why, and nothing is sent any more.
    }
  }
  mesh_->forget(this);
}

void BoundBuffer::send(size_t offset, size_t length, size_t roffset) {
  require(side_ == Side::Send, "a receive buffer cannot send");
  require(offset <= size_, "a part beyond the end of its buffer");
  require(length <= size_ - offset, "a part beyond the end of its buffer");
  ++pending_;
  const auto* data = static_cast<const uint8_t*>(ptr_) + offset;
  mesh_->write(peer_, {this, static_cast<uint64_t>(slot_), data, length}, roffset);
}

void BoundBuffer::on_sent(int) noexcept {
  --pending_;
  ++sent_;
}

void BoundBuffer::on_received(int) noexcept {
  ++received_;
}

void BoundBuffer::waitRecv() {
  require(side_ == Side::Receive, "a send buffer receives nothing");
  mesh_->wait([this] { return received_ > 0; }, limit_);
  --received_;
}

void BoundBuffer::waitSend() {
  require(sent_ > 0 || pending_ > 0, "no send to wait for");
  mesh_->wait([this] { return sent_ > 0; }, limit_);
  --sent_;
}

Pair::Pair(std::shared_ptr<Mesh> mesh, const ::gloo::transport::Context& context, int peer)
    : mesh_(std::move(mesh)),
      context_(context),
      peer_(peer),
      address_(std::make_unique<NoAddress>()) {}

void Pair::connect(const std::vector<char>&) {
  require(false, "the members of a mesh are connected from the start");
}

void Pair::close() {
  mesh_->abort({Code::Aborted, "the connections were closed by this rank"});
}

std::unique_ptr<::gloo::transport::Buffer> Pair::createSendBuffer(int slot, void* ptr, size_t n) {
  return std::make_unique<BoundBuffer>(
      mesh_, Duration(context_.getTimeout()), peer_, slot, ptr, n, BoundBuffer::Side::Send);
}

std::unique_ptr<::gloo::transport::Buffer> Pair::createRecvBuffer(int slot, void* ptr, size_t n) {
  return std::make_unique<BoundBuffer>(
      mesh_, Duration(context_.getTimeout()), peer_, slot, ptr, n, BoundBuffer::Side::Receive);
}

void Pair::send(::gloo::transport::UnboundBuffer* buf, uint64_t tag, size_t offset, size_t n) {
  buf->send(peer_, tag, offset, n);
}

void Pair::recv(::gloo::transport::UnboundBuffer* buf, uint64_t tag, size_t offset, size_t n) {
  buf->recv(peer_, tag, offset, n);
}

TransportContext::TransportContext(std::shared_ptr<Mesh> mesh)
    : ::gloo::transport::Context(mesh->index(), mesh->size()), mesh_(std::move(mesh)) {
  setTimeout(to_timeout(mesh_->options().data_timeout));
  for (int peer = 0; peer < size; ++peer)
    if (peer != rank)
      createPair(peer);
}

std::unique_ptr<::gloo::transport::Pair>& TransportContext::createPair(int peer) {
  auto& pair = pairs_.at(static_cast<size_t>(peer));
  pair = std::make_unique<Pair>(mesh_, *this, peer);
  return pair;
}

std::unique_ptr<::gloo::transport::UnboundBuffer> TransportContext::createUnboundBuffer(
    void* ptr, size_t bytes) {
  return std::make_unique<UnboundBuffer>(mesh_, Duration(getTimeout()), ptr, bytes);
}

std::shared_ptr<::gloo::transport::Context> Device::createContext(int rank, int size) {
  require(
      rank == mesh_->index() && size == mesh_->size(),
      "a context must have rank and size of its mesh");
  return std::make_shared<TransportContext>(mesh_);
}

GroupContext::GroupContext(std::shared_ptr<Mesh> mesh)
    : ::gloo::Context(mesh->index(), mesh->size()), mesh_(std::move(mesh)) {
  device_ = std::make_shared<Device>(mesh_);
  transportContext_ = device_->createContext(rank, size);
  setTimeout(to_timeout(mesh_->options().data_timeout));
}

}  // namespace farandole::gloo_transport
