"""As argument_mistakes.py, of messages in a job of one rank, which has nobody to send to."""

from __future__ import annotations

from types import ModuleType

import argument_mistakes
from argument_mistakes import LARGE, LARGE_SHOWN, Mistakes, counts, each


def ends(what: str, before: str, behind: str, side: str) -> Mistakes:
    """The other end of a message; there is no other rank."""
    values = {"missing": 5, "negative": -1}
    message = (
        "{message}" + before + "{}" + behind + f'": rank {{}}, {side}, does not exist; ranks are '
    )
    found: Mistakes = {
        how: (rank, message.replace("{}", str(rank)) + "0 to 0") for how, rank in values.items()
    }
    found["own"] = (0, '{message}0->0": rank 0 would send to itself; copy the tensor instead')
    wanted = f"{what}={{}} is no rank; a whole number is wanted"
    huge = f"{what} rank {{}} does not exist; a rank from 0 to size() - 1 is wanted"
    return {
        **found,
        **each(huge, {"huge": (1 << 40, "1099511627776")}),
        **each(
            wanted,
            {"text": ("0", "'0'"), "float": (0.0, "0.0"), "array": (LARGE, LARGE_SHOWN)},
        ),
    }


WRONG = {
    "dest": ends("dest", "0->", "", "to which it goes"),
    "source": ends("source", "", "->0", "from which it comes"),
    "count": counts("count"),
}


def wrong_values(module: ModuleType, function: str, parameter: str) -> Mistakes:
    """For one parameter of a function that sends or receives."""
    if parameter in WRONG:
        return WRONG[parameter]
    wrong = argument_mistakes.wrong_values(module, function, parameter)
    if parameter != "out" or function.startswith("grouped"):
        return wrong
    # What is received is known to the sender alone.
    return {what: one for what, one in wrong.items() if what not in ("dtype", "shape")}
