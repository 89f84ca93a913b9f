#pragma once
// Every algorithm of Gloo that works over a context, each as one call on buffers of its own. (Less
// PairwiseExchange, a benchmark whose destructor frees an array as if it were an object.)

#include <gloo/context.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace farandole::testing {

// One member's part of one algorithm, to be run again and again on the same memory.
class AlgorithmRun {
 public:
  virtual ~AlgorithmRun() = default;
  // On all members, before a run() whose result is asked for: fills the memory anew.
  virtual void prepare() = 0;
  // The algorithm and nothing else. Throws what Gloo throws.
  virtual void run() = 0;
  // After prepare() and one run() on all members: whether the result is right.
  virtual bool right() const = 0;
};

struct Algorithm {
  std::string name;
  // `elements` floats per member.
  std::function<std::unique_ptr<AlgorithmRun>(std::shared_ptr<::gloo::Context>, size_t elements)>
      make;
};

const std::vector<Algorithm>& algorithms();
// Those (places in the list) that go through groups of members in several steps, which only more
// than two members show.
std::vector<size_t> in_several_steps();

}  // namespace farandole::testing
