"""Small files in the shapes that vendors ship, of one hand-made chain: what each source must come to."""

from __future__ import annotations

import json
import pathlib
from dataclasses import dataclass

from tests import chains

DAY, SPOT, YEARS = "2026-07-24", 740.0, 120 / (365 * 24 * 60)  # 14:00 New York, two hours to the close
STRIKES = (738.0, 739.5, 741.0)


@dataclass(frozen=True)
class Option:
    """One contract of the chain."""

    call: bool
    strike: float
    bid: float
    ask: float
    iv: float
    volume: int
    open_interest: int

    @property
    def right(self) -> str:
        return "C" if self.call else "P"

    def occ(self, root: str = "SPY", day: str = "260724") -> str:
        return f"{root}{day}{self.right}{round(self.strike * 1000):08d}"


def options() -> list[Option]:
    """Six contracts, quoted a cent around the price of their vol."""
    found = []
    for i, strike in enumerate(STRIKES):
        for call in (True, False):
            vol = 0.2 + 0.01 * i
            price = chains.bsm_price(call, SPOT, strike, YEARS, vol)
            bid = round(price - 0.01, 2)
            found.append(Option(call, strike, bid, round(bid + 0.02, 2), vol, 10 * (i + 1), 100 * (i + 1) + call))
    return found


def exposures(*, solved: bool = False, interest: bool = True) -> dict[str, list[float]]:
    """Of each strike, by scalar arithmetic: with the given vols, or with those of the mids."""
    found: dict[str, list[float]] = {name: [] for name in ("gex", "dex", "vex", "chex")}
    chain = options()
    for i in range(len(STRIKES)):
        sides = [
            {"spot": SPOT, "strike": o.strike, "bid": o.bid, "ask": o.ask, "iv": 0 if solved else o.iv,
             "open_interest": o.open_interest if interest else 0} for o in chain[2 * i : 2 * i + 2]
        ]  # fmt: skip
        for name, value in chains.strike_exposures(sides[0], sides[1], YEARS).items():
            found[name].append(value)
    return found


NAMES = "Expiration Date,Calls,{0},Strike,Puts,{0}".format("Last Sale,Net,Bid,Ask,Volume,IV,Delta,Gamma,Open Interest")
"""The header of Cboe's quote table."""


def quotedata(
    path: pathlib.Path, date: str = '"Date: July 24, 2026 at 2:15 PM EDT"', header: str = NAMES
) -> pathlib.Path:
    """Cboe's quote table as its page saves it at 14:15 New York."""
    lines = [
        "", "SPDR S&P 500 ETF Trust,Last: 740.00,Change:  1.25",
        f'{date},Bid: 739.99,Ask: 740.01,Size: 2*5,"Volume: 41,233,211"', header,
    ]  # fmt: skip
    path.write_text("\n".join([*lines, *table("Fri Jul 24 2026", "Mon Jul 27 2026")]) + "\n")
    return path


def quotedata_of_2020(path: pathlib.Path) -> pathlib.Path:
    """The quote table as it was saved until 2020."""
    lines = [
        "SPY (SPDR S&P 500 ETF Trust),740.00,1.98", "Jul 24 2026 @ 14:15 ET,Bid,0,Ask,0,Size,0x0,Vol,74649389",
        NAMES.replace("Volume", "Vol").replace("Open Interest", "Open Int"),
    ]  # fmt: skip
    path.write_text("\r\n".join([*lines, *table("07/24/2026", "07/27/2026")]) + "\r\n")
    return path


def table(today: str, later: str) -> list[str]:
    """The lines of Cboe's quote table, the last of another expiration."""
    lines, chain = [], options()
    for i in range(len(STRIKES)):
        call, put = chain[2 * i : 2 * i + 2]
        sides = [f"{o.occ()},1.1,0.2,{o.bid},{o.ask},{o.volume},{o.iv},0.5,0.05,{o.open_interest}" for o in (call, put)]
        lines.append(f"{today},{sides[0]},{call.strike:.2f},{sides[1]}")
    other = options()[0].occ(day="260727")
    rest = "1,0,1.0,1.1,5,0.2,0.5,0.05,7"
    return [*lines, f"{later},{other},{rest},738.00,{other.replace('C', 'P')},{rest}"]


def delayed_json(path: pathlib.Path, **changes: object) -> pathlib.Path:
    """A body of Cboe's delayed-quotes service: made at 14:15:30 New York, of 14:00."""
    listed = [
        {"option": o.occ(), "bid": o.bid, "bid_size": 5.0, "ask": o.ask, "ask_size": 7.0, "iv": o.iv,
         "open_interest": float(o.open_interest), "volume": float(o.volume), "delta": 0.5, "gamma": 0.05,
         "last_trade_time": "2026-07-24T13:59:10"} for o in options()
    ]  # fmt: skip
    data = {"options": listed, "symbol": "SPY", "current_price": SPOT, "last_trade_time": "2026-07-24T14:00:00"}
    body = {"timestamp": "2026-07-24 18:15:30", "data": data | changes, "symbol": "SPY"}
    path.write_text(json.dumps(body))
    return path


def optionsdx(path: pathlib.Path) -> pathlib.Path:
    """OptionsDX: bracketed names and blanks after commas, call and put side by side."""
    names = (  # noqa: SIM905  # reads as the file does
        "QUOTE_UNIXTIME QUOTE_READTIME QUOTE_DATE QUOTE_TIME_HOURS UNDERLYING_LAST EXPIRE_DATE EXPIRE_UNIX DTE C_DELTA C_GAMMA "
        "C_VEGA C_THETA C_RHO C_IV C_VOLUME C_LAST C_SIZE C_BID C_ASK STRIKE P_BID P_ASK P_SIZE P_LAST P_DELTA P_GAMMA P_VEGA "
        "P_THETA P_RHO P_IV P_VOLUME STRIKE_DISTANCE STRIKE_DISTANCE_PCT"
    ).split()
    lines = [", ".join(f"[{name}]" for name in names)]
    chain = options()
    for i in range(len(STRIKES)):
        c, p = chain[2 * i : 2 * i + 2]
        lines.append(
            f"1784916000, 2026-07-24 14:00, 2026-07-24, 14.000000, 740.000000, 2026-07-24, 1784923200, 0.083333, 0.5, 0.05, 0.1, "
            f"-0.9, 0.01, {c.iv}, {c.volume}, 1.1, 5 x 7, {c.bid}, {c.ask}, {c.strike:.6f}, {p.bid}, {p.ask}, 5 x 7, 1.0, -0.5, "
            f"0.05, 0.1, -0.9, -0.01, {p.iv}, {p.volume}, 2.0, 0.003"
        )
    path.write_text("\n".join(lines) + "\n")
    return path


def orats(path: pathlib.Path, ticker: str = "SPY", settled: str | None = "pm") -> pathlib.Path:
    """ORATS' one-minute strikes; those of 2020 have no ``expiryTod``."""
    names = (
        "ticker,tradeDate,expirDate,dte,strike,stockPrice,callVolume,callOpenInterest,callBidSize,callAskSize,putVolume,"
        "putOpenInterest,putBidSize,putAskSize,callBidPrice,callValue,callAskPrice,putBidPrice,putValue,putAskPrice,callBidIv,"
        "callMidIv,callAskIv,smvVol,putBidIv,putMidIv,putAskIv,residualRate,delta,gamma,theta,vega,rho,phi,driftlessTheta,"
        "callSmvVol,putSmvVol,extSmvVol,extCallValue,extPutValue,spotPrice,quoteDate,updatedAt,snapShotEstTime,snapShotDate,"
        "expiryTod,tickerId,monthId"
    )
    lines = [names if settled is not None else names.removesuffix(",expiryTod,tickerId,monthId")]
    chain = options()
    for i in range(len(STRIKES)):
        c, p = chain[2 * i : 2 * i + 2]
        lines.append(
            f"{ticker},{DAY},{DAY},1,{c.strike},740.0,{c.volume},{c.open_interest},5,7,{p.volume},{p.open_interest},5,7,{c.bid},1,"
            f"{c.ask},{p.bid},1,{p.ask},0.19,{c.iv},0.21,0.2,0.19,{p.iv},0.21,0,0.5,0.05,-0.9,0.1,0.01,0,-0.9,0.2,0.2,0.2,1,1,"
            f"740.0,2026-07-24T17:59:50Z,2026-07-24T17:59:59Z,1400,2026-07-24T18:00:00Z"
        )
        if settled is not None:
            lines[-1] += f",{settled},101594,9"
    path.write_text("\n".join(lines) + "\n")
    return path


def thetadata(folder: pathlib.Path, version: int) -> list[pathlib.Path]:
    """ThetaData's greeks, quotes and open interest of the same contracts, in three files."""
    old = version == 2
    who = [
        f"SPY,20260724,{round(o.strike * 1000)},{o.right}"
        if old
        else f'"SPY","{DAY}",{o.strike:.3f},"{"CALL" if o.call else "PUT"}"'
        for o in options()
    ]
    first = "root,expiration,strike,right," if old else "symbol,expiration,strike,right,"
    at, date = ("50400000", ",20260724") if old else ("2026-07-24T14:00:00.000", "")
    early = "23400000" if old else "2026-07-24T06:30:00.000"
    clock, end = ("ms_of_day", ",date") if old else ("timestamp", "")
    second = "ms_of_day2" if old else "underlying_timestamp"
    risks = "delta,theta,vega,rho,epsilon,lambda,implied_vol,iv_error"
    greeks = [f"{first}{clock},bid,ask,{risks},{second},underlying_price{end}"]
    quotes = [f"{first}{clock},bid_size,bid_exchange,bid,bid_condition,ask_size,ask_exchange,ask,ask_condition{end}"]
    interest = [f"{first}{clock},open_interest{end}"]
    for o, contract in zip(options(), who, strict=True):
        greeks.append(f"{contract},{at},{o.bid},{o.ask},0.5,-0.9,0.1,0.01,0.0,33.2,{o.iv},0.0,{at},740.0{date}")
        quotes.append(f"{contract},{at},5,1,{o.bid},50,7,1,{o.ask},50{date}")
        interest.append(f"{contract},{early},{o.open_interest}{date}")
    paths = []
    for name, lines in (("open_interest", interest), ("quotes", quotes), ("greeks", greeks)):
        paths.append(folder / f"theta-{name}.csv")
        paths[-1].write_text("\n".join(lines) + "\n")
    return paths


def generic(
    path: pathlib.Path, columns: str = "ts,expiration,right,strike,bid,ask,iv,volume,open_interest,spot"
) -> pathlib.Path:
    """Our own names: these columns, one row a contract."""
    lines = [columns]
    for o in options():
        values = {
            "ts": "2026-07-24T14:00:00", "recorded_at": "2026-07-24T14:00:02", "expiration": DAY, "right": o.right,
            "strike": o.strike, "bid": o.bid, "ask": o.ask, "iv": o.iv, "volume": o.volume, "open_interest": o.open_interest,
            "spot": SPOT, "contract": o.occ(),
        }  # fmt: skip
        lines.append(",".join(str(values[name]) for name in columns.split(",")))
    path.write_text("\n".join(lines) + "\n")
    return path
