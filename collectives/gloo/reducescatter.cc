// GlooCommunicator: reducescatter.
#include <algorithm>
#include <array>
#include <numeric>

#include "collectives/cpu/check_op.h"
#include "collectives/gloo/gloo_communicator.h"

namespace farandole::gloo_comm {
namespace {

// A prefix of our own among Gloo's slots (gloo/types.h ends at 0x08).
constexpr uint64_t kDirectSlot = 0x41;

using BufferPtr = std::unique_ptr<::gloo::transport::UnboundBuffer>;

// Round k moves piece k of every part to the part's owner, straight from the senders' inputs into
// one half of the staging memory, while what came in the round before is reduced from the other.
class DirectExchange {
 public:
  DirectExchange(
      const std::shared_ptr<gloo_transport::GroupContext>& context,
      uint64_t slot,
      size_t element,
      size_t piece,
      std::span<const size_t> counts)
      : self_(static_cast<size_t>(context->rank)),
        size_(counts.size()),
        slot_(slot),
        element_(element),
        piece_(piece),
        counts_(counts),
        first_(counts.size() + 1),
        place_bytes_(std::min(piece, counts[self_]) * element) {
    std::partial_sum(counts.begin(), counts.end(), first_.begin() + 1);
  }

  size_t staging_bytes() const { return 2 * half_bytes(); }

  void open(gloo_transport::GroupContext& context, const void* in, uint8_t* memory) {
    in_ = static_cast<const uint8_t*>(in);
    memory_ = memory;
    mine_ = context.createUnboundBuffer(const_cast<void*>(in), first_.back() * element_);
    for (size_t half = 0; half < 2; ++half)
      halves_[half] = context.createUnboundBuffer(memory + half * half_bytes(), half_bytes());
  }

  void post(size_t round) {
    for (size_t step = 1; step < size_; ++step) {
      const size_t from = (self_ + size_ - step) % size_;
      const size_t to = (self_ + step) % size_;
      if (const size_t n = elements(self_, round); n > 0)
        halves_[round % 2]->recv(static_cast<int>(from), slot_, from * place_bytes_, n * element_);
      if (const size_t n = elements(to, round); n > 0) {
        mine_->send(
            static_cast<int>(to), slot_, (first_[to] + round * piece_) * element_, n * element_);
        ++sends_;
      }
    }
  }

  // Waits for the round's pieces of the own part; where they are, in member order.
  std::span<const void* const> receive(size_t round) {
    sources_.resize(size_);
    for (size_t other = 0; other < size_; ++other) {
      sources_[other] = memory_ + (round % 2) * half_bytes() + other * place_bytes_;
      if (other != self_)
        halves_[round % 2]->waitRecv();
    }
    sources_[self_] = in_ + (first_[self_] + round * piece_) * element_;
    return sources_;
  }

  // The input may be written to again, or given back.
  void finish_sends() {
    for (; sends_ > 0; --sends_) mine_->waitSend();
  }

  // Elements of a member's part that a round moves.
  size_t elements(size_t member, size_t round) const {
    return std::min(piece_, counts_[member] - std::min(counts_[member], round * piece_));
  }

 private:
  size_t half_bytes() const { return size_ * place_bytes_; }

  const size_t self_, size_;
  const uint64_t slot_;
  const size_t element_, piece_;
  const std::span<const size_t> counts_;
  std::vector<size_t> first_;  // of each part in the input
  const size_t place_bytes_;   // of one member in a half
  const uint8_t* in_ = nullptr;
  uint8_t* memory_ = nullptr;
  BufferPtr mine_;
  std::array<BufferPtr, 2> halves_;
  std::vector<const void*> sources_;
  size_t sends_ = 0;
};

}  // namespace

void GlooCommunicator::reducescatter(
    const CollectiveOp& op, const void* in, void* out, std::span<const size_t> counts) {
  const size_t element = size_of(op.dtype);
  const size_t place = std::min(options_.piece_bytes, options_.staging_bytes / (2 * size()));
  const size_t piece = std::max<size_t>(1, place / element);
  const size_t longest = *std::max_element(counts.begin(), counts.end());
  const size_t rounds = longest / piece + (longest % piece != 0 ? 1 : 0);
  const uint64_t slot = kDirectSlot << 56 | uint64_t{operations_} << 8;
  DirectExchange exchange(context_, slot, element, piece, counts);
  exchange.open(*context_, in, staging_.take(exchange.staging_bytes()));

  const cpu::Reducer reducer(cpu::reduce_spec(op, size()));
  for (size_t round = 0; round < rounds; ++round) {
    if (round == 0)
      exchange.post(0);
    if (round + 1 < rounds)
      exchange.post(round + 1);
    if (const size_t n = exchange.elements(self(), round); n > 0)
      reducer.to(static_cast<uint8_t*>(out) + round * piece * element, exchange.receive(round), n);
  }
  exchange.finish_sends();
}

}  // namespace farandole::gloo_comm
