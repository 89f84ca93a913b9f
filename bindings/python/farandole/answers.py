"""Operations that this rank does not wait for, but without which others cannot go on."""

from __future__ import annotations

from farandole import _native, _session


def answer_later(key: tuple[int, str], handle: _native.Handle | None) -> None:
    """Whoever leaves the job in order waits for it before. None: it has been waited for.

    key: process set and name.
    """
    waiting = _session.unanswered()
    # Other threads change it meanwhile: done() lets them.
    for done in [other for other, one in list(waiting.items()) if other == key or one.done()]:
        waiting.pop(done, None)
    if handle is not None:
        waiting[key] = handle


def wait_answered(key: tuple[int, str]) -> None:
    """Waits for the one before of that name, if there is one. Raises how it failed."""
    before = _session.unanswered().get(key)
    if before is not None:
        before.wait()
