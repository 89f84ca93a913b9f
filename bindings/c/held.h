#pragma once
// What callers hold by pointer. It is looked up before the pointer is followed, so that memory
// which was given back, or never was ours, is not read.

#include <cstdint>

namespace farandole::capi {

// EndingSession: that fdl_destroy has begun with.
enum class Held : uintptr_t { Session = 1, Handle = 2, EndingSession = 3 };

// Whether `object` is one of that kind that nobody has given back.
// Thread: any. Takes no lock, which a forked child would find taken for ever.
bool is_held(const void* object, Held kind) noexcept;

// Makes it held no more. Of several threads that give one object back one hears true.
bool let_go(const void* object, Held kind) noexcept;
// Makes it one of another kind. Of several threads one hears true; whoever looks for `from` and
// then for `to` finds it.
bool turn(const void* object, Held from, Held to) noexcept;

// Makes an object held, until let_go or its own end, whichever comes first.
class Holding {
 public:
  // May throw bad_alloc. Requires: an address that 4 divides.
  Holding(const void* object, Held kind);
  ~Holding() { let_go(object_, kind_); }
  Holding(const Holding&) = delete;
  Holding& operator=(const Holding&) = delete;

 private:
  const void* object_;
  Held kind_;
};

}  // namespace farandole::capi
