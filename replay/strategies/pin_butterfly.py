"""Buy a butterfly at the predicted pin."""

from __future__ import annotations

from typing import Literal

import replay


class PinButterfly(replay.SingleEntry):
    """Buys a butterfly centred on a pin once a session, and takes profit, stops, or holds to settlement.

    It is of calls where the centre lies above spot, else of puts, so that what is bought is out of the money. Entry,
    ``take`` and ``stop`` are as in ``pin_fly``, in parts of the debit.

    Parameters
    ----------
    center
        ``magnet``, ``max_pain``, ``call_wall``, ``put_wall`` or ``spot``: the listed strike nearest to it.
    wing
        USD from the centre to the wings.
    minutes
        Before the close.
    contracts
        Butterflies to buy.
    take
        Profit to close at, in parts of the debit; 0: none.
    stop
        Loss to close at, in parts of the debit; 0: none.
    """

    center: Literal["magnet", "max_pain", "call_wall", "put_wall", "spot"] = "magnet"
    wing: float = 5.0
    take: float = 1.0
    stop: float = 0.0

    def enter(self, ctx: replay.Context) -> replay.Order | None:
        """One butterfly, bought."""
        center = self.level(ctx, self.center)
        if center is None:
            return None
        right = "C" if center >= ctx.spot else "P"
        return ctx.order(replay.butterfly(center, self.wing, right), self.contracts, tag="pin_butterfly")
