"""One session's orders: sent, matched on the market's clock, charged, and settled at the close."""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from replay.account.book import Book
from replay.account.legs import MICRO, Contract, checked_legs, intrinsic, is_whole, legs_text, micro
from replay.account.margin import requirement
from replay.account.order import CANCELLED, EXPIRED, FILLED, REJECTED, WORKING, Order
from replay.account.portfolio import Portfolio
from replay.broker.hindsight import hangs, snapshot_of, worst_prices
from replay.broker.ledger import Ledger
from replay.broker.matching import LegQuote, Miss, at_price, crossing, is_wide, leg_quotes, package
from replay.broker.terms import Terms
from replay.errors import InvalidDuration, InvalidOrder
from replay.market import Market
from replay.products import MULTIPLIER, product_of
from replay.sessions import parse_duration, to_us
from replay.settlement import Settlement
from replay.tape import Tick, parse_gaps

SESSION, IOC = "session", "ioc"
MOST = 10_000
"""Combinations of an order."""
_BACK = 4
"""How many snapshots before an order are looked at, for quotes that hang."""


@dataclass(frozen=True, slots=True)
class Execution:
    """Contracts that changed hands: the order, what and how many (below 0: sold), the price, its fee, and when.

    Prices are micro-dollars a share: the one paid, and those of other fills (see the ledger); ``fee`` is in all.
    """

    order: int
    contract: Contract
    quantity: int
    price: int
    fee: int
    at: int
    mid: int
    touch: int
    worst: int


@dataclass(slots=True)
class _Working:
    """A working order and how far the market has gone by it."""

    order: Order
    sign: int
    arrives: int
    next: int
    most: int | None
    lasts: int | None = None
    withdrawn: int | None = None
    usable: bool = False
    posted: int | None = None
    posted_at: int = 0


class Desk:
    """Takes a strategy's orders through one session.

    Parameters
    ----------
    terms
        What orders are filled, charged and settled on.
    markets
        The market of each symbol, made when first asked for and the same from then on.
    ticks
        What the strategy sees of each symbol, at the instant it stands at.
    cash
        What the account begins with, micro-dollars.
    gaps
        The run's gap policy, for the age of a spot that settles.
    """

    def __init__(
        self,
        terms: Terms,
        markets: Mapping[str, Callable[[], Market]],
        ticks: Mapping[str, Tick],
        cash: int,
        gaps: str = "mask",
    ) -> None:
        self.terms = terms
        self.book = Book(cash)
        self.start = cash
        self.portfolio = Portfolio(self.book, ticks, terms.products)
        self.orders: list[Order] = []
        self.working: list[_Working] = []
        self.executions: list[Execution] = []
        self.news: list[Order] = []
        self.settlements: dict[str, Settlement] = {}
        self.most_required = 0.0
        self.ledger = Ledger(next(iter(ticks.values())).session.date)
        self._ticks = ticks
        self._open_markets = markets
        self._gaps = parse_gaps(gaps)

    def market(self, symbol: str) -> Market:
        """The market of a symbol."""
        return self._open_markets[symbol]()

    def send(self, symbol: str, legs: Any, quantity: int, limit: float | None, tif: str, tag: str) -> Order:
        """Send an order at the instant the strategy stands at; see :meth:`replay.Context.order`."""
        tick = self._ticks[symbol]
        if symbol not in self.terms.products:
            product_of(symbol)  # which says why there is none
        found, now = checked_legs(legs), to_us(tick.now)
        if not is_whole(quantity) or not 0 < abs(quantity) <= MOST:
            raise InvalidOrder(
                f"quantity {quantity!r} is not a whole number of combinations up to {MOST:,}, below 0 to sell"
            )
        quantity, sign = int(quantity), 1 if quantity > 0 else -1
        most = None if limit is None else sign * self._limit(symbol, limit, len(found))
        lasts = self._lasting(tif, now)
        text = tag if isinstance(tag, str) else str(tag)
        limit = None if limit is None else float(limit)
        order = Order(len(self.orders) + 1, symbol, found, quantity, limit, tif, text, now, _withdraw=self._withdraw)
        self.orders.append(order)
        levels = tick.levels
        self.ledger.add(
            now, "order", order=order.number, tag=text, symbol=symbol, legs=legs_text(found), quantity=quantity,
            limit=limit, spot=levels.spot, how=tif, magnet=levels.magnet, expected_move=levels.expected_move,
        )  # fmt: skip
        market = self.market(symbol)
        market.read_from(market.after(now) - _BACK)
        arrives = now + self.terms.latency
        first = max(market.after(now), int(np.searchsorted(market.ts, arrives, side="left")))
        self.working.append(_Working(order, sign, arrives, first, most, lasts))
        if self.terms.model.same:
            self._match_same(self.working[-1], market, tick)
        return order

    def match(self, instant: int) -> list[Order]:
        """Match the working orders against all snapshots up to an instant, in time; those that were filled.

        With them come those that were filled as they were sent.
        """
        filled, self.news = self.news, []
        ahead = [step for each in self.working if (step := self._step(each, instant))]
        heapq.heapify(ahead)
        while ahead:
            ts, _, each, market = heapq.heappop(ahead)
            self._meet(each, market, each.next, ts)
            each.next += 1
            if each.order.is_filled:
                filled.append(each.order)
            elif each.order.is_working and (step := self._step(each, instant)):
                heapq.heappush(ahead, step)
        for each in self.working:
            if each.order.is_working:
                market = self.market(each.order.symbol)
                self._outlive(each, market, market.after(instant) - 1, instant)
        self.working = [one for one in self.working if one.order.is_working]
        return filled

    def _step(self, each: _Working, instant: int) -> tuple[int, int, _Working, Market] | None:
        """The next snapshot that an order meets up to an instant: when, and the order's number for the ties."""
        market = self.market(each.order.symbol)
        if each.next == len(market) or (ts := int(market.ts[each.next])) > instant:
            return None
        return ts, each.order.number, each, market

    def settle(self) -> None:
        """At the close: what works still expires, and every contract settles at the one price of its symbol."""
        close = to_us(next(iter(self._ticks.values())).session.close)
        for each in self.working:
            self._end(each.order, EXPIRED, "expire", close, each.order.reason or "not reached by the close")
        self.working = []
        for symbol in sorted({each.contract.symbol for each in self.executions}):
            found = self.settlements[symbol] = self.terms.settlements.of(self.market(symbol), self._gaps)
            held = [each for each in self.book.lots if each.symbol == symbol]
            for contract in sorted(held, key=lambda each: (each.strike, each.right)):
                self._settle(contract, found, close)

    def _settle(self, contract: Contract, found: Settlement, close: int) -> None:
        quantity = self.book.quantity(contract)
        told: dict[str, Any] = {
            "symbol": contract.symbol,
            "right": contract.right,
            "strike": contract.strike,
            "quantity": -quantity,
        }
        if found.price is None:
            self.ledger.add(close, "unsettled", **told, reason=found.reason)
            return
        price = intrinsic(contract.right, contract.strike, found.price)
        posting, _ = self.book.execute(contract, -quantity, price, 0)
        how = {"how": found.source, "quote_ts": found.ts, "spot": found.price}
        self.ledger.add(close, "settlement", posting, **told, price=price / MICRO, **how)
        fee = self.terms.fees[contract.symbol].settlement(quantity) if price else 0
        if fee:
            self.ledger.add(close, "fee", self.book.charge(fee), **told, reason="exercise")
        self.executions.append(Execution(0, contract, -quantity, price, fee, close, price, price, price))

    def _limit(self, symbol: str, limit: float, legs: int) -> int:
        try:
            found = float(limit)
        except (TypeError, ValueError):
            found = math.nan
        if not abs(found) < 1e7:
            raise InvalidOrder(f"limit {limit!r} is not a price in USD")
        tick = self.terms.products[symbol].tick(micro(found), legs)
        if micro(found) % tick:
            raise InvalidOrder(
                f"limit {limit!r} is no multiple of {tick / MICRO:g}, the tick of {symbol} "
                f"{'combinations' if legs > 1 else 'options at that price'}"
            )
        return micro(found)

    def _lasting(self, tif: str, now: int) -> int | None:
        if tif in (SESSION, IOC):
            return None
        try:
            return now + parse_duration(tif, "tif")
        except InvalidDuration as error:
            raise InvalidOrder(f"{error.message}; or session, or ioc") from None

    def _withdraw(self, order: Order) -> None:
        now = to_us(self._ticks[order.symbol].now)
        each = next(one for one in self.working if one.order is order)
        if each.withdrawn is not None:
            return
        each.withdrawn = now + self.terms.latency
        if self.terms.latency == 0:
            self._end(order, CANCELLED, "cancel", now, "")
            self.working = [one for one in self.working if one.order.is_working]

    def _meet(self, each: _Working, market: Market, number: int, ts: int) -> None:
        """Try an order on one snapshot."""
        self._outlive(each, market, number, ts)
        if each.order.is_working:
            self._try(each, market, number, ts)

    def _try(self, each: _Working, market: Market, number: int, at: int) -> None:
        """Fill an order on the quotes of a snapshot if they allow it, at an instant."""
        order = each.order
        product = self.terms.products[order.symbol]
        quotes = leg_quotes(market, number, order.legs, each.sign, self.terms.max_spread, product)
        if isinstance(quotes, Miss):
            self._miss(each, market, number, at, quotes)
        else:
            self._price(each, market, number, at, quotes)
        if order.is_working and order.tif == IOC:
            self._end(order, EXPIRED, "expire", at, order.reason or "limit not reached")

    def _price(self, each: _Working, market: Market, number: int, ts: int, quotes: list[LegQuote]) -> None:
        """Fill an order on usable quotes, if its limit allows it."""
        order, terms, product = each.order, self.terms, self.terms.products[each.order.symbol]
        natural = package(quotes, [quote.touch for quote in quotes])
        if each.usable and each.most is not None:  # it rests: filled at its limit, where the market comes through it
            if natural <= each.most - terms.epsilon:
                self._fill(each, market, number, ts, quotes, at_price(quotes, each.most), "limit")
            return
        if terms.model.posts and order.tif != IOC and each.posted is None:
            posted = crossing(quotes, 0.0, 0, product)
            each.posted, each.posted_at = package(quotes, posted), ts
            if each.most is not None and each.posted > each.most:
                each.usable = True
            return
        if each.posted is not None and natural <= each.posted:
            self._fill(each, market, number, ts, quotes, at_price(quotes, each.posted), "posted")
            return
        if each.posted is not None and ts < each.posted_at + self._patience(market, number):
            return
        prices = crossing(quotes, terms.model.share, terms.slippage, product)
        each.usable = True
        if each.most is None or package(quotes, prices) <= each.most:
            how = "touch" if terms.model.posts else terms.model.name
            self._fill(each, market, number, ts, quotes, prices, how)

    def _match_same(self, each: _Working, market: Market, tick: Tick) -> None:
        """Fill an order on the snapshot that its sender saw; what that cannot fill goes on as any other."""
        seen = tick.ts
        number = -1 if seen is None else market.after(to_us(seen)) - 1
        if number < 0 or tick.stale:
            return
        market.read_from(number - _BACK)
        self._try(each, market, number, each.order.sent)
        self.news += [each.order] if each.order.is_filled else []
        self.working = [one for one in self.working if one.order.is_working]

    def _patience(self, market: Market, number: int) -> int:
        """How long an order of a patient model stands at the mid."""
        return self.terms.model.wait if self.terms.model.wait is not None else market.cadence(number)

    def _deadline(self, each: _Working, market: Market, number: int) -> int | None:
        """The last instant whose snapshot may fill an order; ``None``: any of the session."""
        ends = [] if each.lasts is None else [each.lasts]
        if each.most is None:
            wait = self.terms.max_wait if self.terms.max_wait is not None else 2 * market.cadence(max(number, 0))
            ends.append(each.arrives + wait + (self._patience(market, number) if self.terms.model.posts else 0))
        return min(ends, default=None)

    def _outlive(self, each: _Working, market: Market, number: int, now: int) -> None:
        """End an order whose time was over, or whose withdrawal arrived, by now; ``number`` is the newest snapshot."""
        deadline, withdrawn = self._deadline(each, market, number), each.withdrawn
        if withdrawn is not None and withdrawn <= now and (deadline is None or withdrawn <= deadline):
            self._end(each.order, CANCELLED, "cancel", withdrawn, "")
        elif deadline is not None and deadline < now:
            self._end(each.order, EXPIRED, "expire", deadline, each.order.reason or "no snapshot in time")

    def _miss(self, each: _Working, market: Market, number: int, ts: int, miss: Miss) -> None:
        order = each.order
        order.misses += 1
        order.reason = miss.reason
        leg = miss.leg
        self.ledger.add(
            ts, "miss", order=order.number, tag=order.tag, symbol=order.symbol, reason=miss.reason,
            right=leg.right if leg else None, strike=leg.strike if leg else None, bid=miss.bid, ask=miss.ask,
            quantity=order.quantity * leg.ratio if leg else None, **snapshot_of(market, number),
        )  # fmt: skip

    def _fill(
        self, each: _Working, market: Market, number: int, ts: int, quotes: list[LegQuote], prices: list[int], how: str
    ) -> None:
        """Execute every leg, unless the account cannot bear it."""
        order = each.order
        size = abs(order.quantity)
        if not self._bears(order.symbol, market, number, quotes, prices, size):
            self._end(order, REJECTED, "reject", ts, "buying power")
            return
        order.status, order.reason, order.filled = FILLED, "", ts
        order.paid = each.sign * package(quotes, prices)
        product, fees = self.terms.products[order.symbol], self.terms.fees[order.symbol]
        flags = {"wide": is_wide(quotes, product), "stale": hangs(market, number, order.legs)}
        rests = how in ("limit", "posted")
        worst = prices if rests else worst_prices(market, number, quotes, prices, each.most, product.tick_below)
        for i, (quote, price) in enumerate(zip(quotes, prices, strict=True)):
            contract = Contract(order.symbol, quote.leg.right, quote.leg.strike)
            quantity = quote.contracts * size
            mid, touch = (price, price) if rests else (quote.between(0.0), quote.touch)
            posting, _ = self.book.execute(contract, quantity, price, order.number)
            told = {"order": order.number, "tag": order.tag, **contract._asdict(), "quantity": quantity}
            self.ledger.add(
                ts, "fill", posting, **told, price=price / MICRO, bid=quote.bid / MICRO, ask=quote.ask / MICRO, how=how,
                mid=mid / MICRO, touch=touch / MICRO, worst=worst[i] / MICRO, **flags, **snapshot_of(market, number),
            )  # fmt: skip
            fee = fees.trade(quantity)
            if fee:
                self.ledger.add(ts, "fee", self.book.charge(fee), **told, reason="trade")
            self.executions.append(Execution(order.number, contract, quantity, price, fee, ts, mid, touch, worst[i]))

    def _bears(
        self, symbol: str, market: Market, number: int, quotes: list[LegQuote], prices: list[int], size: int
    ) -> bool:
        """Whether the account has the buying power for a fill; one that frees some is always borne."""
        product, fees = self.terms.products[symbol], self.terms.fees[symbol]
        before = {key: self.book.quantity(key) for key in self.book.lots if key.symbol == symbol}
        after, marks = dict(before), {}
        cash = self.book.cash - package(quotes, prices) * size * MULTIPLIER
        for quote in quotes:
            key = Contract(symbol, quote.leg.right, quote.leg.strike)
            after[key] = after.get(key, 0) + quote.contracts * size
            marks[quote.leg.right, quote.leg.strike] = quote.between(0.0) / MICRO
            cash -= fees.trade(quote.contracts * size)

        def mark(right: str, strike: float) -> float:
            return marks.get((right, strike), self._last_price(symbol, right, strike))

        def asked(held: dict[Contract, int]) -> float:
            listed = [(key.right, key.strike, count) for key, count in held.items() if count]
            return requirement(listed, float(market.spot[number]), mark, product.margin)

        less, more = asked(before), asked(after)
        self.most_required = max(self.most_required, more) if more == more else self.most_required
        return more <= cash / MICRO or more < less or (more == less and cash >= self.book.cash)

    def _last_price(self, symbol: str, right: str, strike: float) -> float:
        """What a contract last traded at, USD."""
        contract = Contract(symbol, right, strike)
        return next((each.price / MICRO for each in reversed(self.executions) if each.contract == contract), math.nan)

    def _end(self, order: Order, status: str, event: str, at: int, reason: str) -> None:
        assert order.status == WORKING, "an order ends once"
        order.status, order.reason = status, reason
        self.ledger.add(
            at, event, order=order.number, tag=order.tag, symbol=order.symbol, legs=legs_text(order.legs),
            quantity=order.quantity, limit=order.limit, reason=reason,
        )  # fmt: skip
