"""Ingest of chains: every row accounted for, exposures against scalar arithmetic, wrong input refused by name."""

from __future__ import annotations

import csv
import datetime as dt
import gzip
import math
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import polars as pl
import pytest

import replay
from replay.errors import ConflictingRow, InputError
from replay.ingest.buckets import SessionBuckets
from replay.ingest.mapping import Mapping, preset, presets, read_mapping
from replay.ingest.run import IngestReport, ingest_chain
from replay.sessions import NEW_YORK
from tests import chains

REAL = pathlib.Path(__file__).parent.parent.parent / "shared" / "data" / "spy-0dte-cboe"
YEAR = 365 * 24 * 60
CLOSE = dt.datetime(2026, 7, 24, 16, 0)

Ingest = Callable[..., IngestReport]


@pytest.fixture
def ingest(tmp_path: pathlib.Path) -> Ingest:
    """Ingest rows, written as CSV first, into ``tmp_path/lake``."""

    def run(rows: list[dict[str, object]], name: str = "rows.csv", *, strict: bool = False) -> IngestReport:
        path = chains.write_csv(tmp_path / name, rows)
        return ingest_chain([path], tmp_path / "lake", "SPY", preset("cboe-recorder"), strict=strict)

    return run


def files_of(lake: pathlib.Path) -> dict[str, bytes]:
    return {str(path.relative_to(lake)): path.read_bytes() for path in sorted(lake.rglob("*")) if path.is_file()}


def test_exposures_equal_scalar_arithmetic(tmp_path: pathlib.Path, ingest: Ingest) -> None:
    options = [
        chains.row(right=right, strike=strike, iv=iv, bid=bid, ask=ask, open_interest=oi)
        for strike, rights in {
            730.0: (("C", 0.0, 9.9, 10.2, 50), ("P", 0.31, 0.04, 0.05, 700)),
            740.0: (("C", 0.12, 1.0, 1.1, 900), ("P", 0.0, 1.0, 1.2, 800)),
            752.0: (("C", 0.0, 0.0, 0.01, 400), ("P", 0.0, 11.0, 11.5, 20)),
        }.items()
        for right, iv, bid, ask, oi in rights
    ]
    report = ingest(options)
    assert dict(report.count.vols) == {"given": 2, "solved": 2, "limit": 2, "unknown": 0}
    years = 360 / YEAR  # 10:00 to 16:00
    row = replay.open_lake(tmp_path / "lake").snapshots("SPY", "2026-07-24").row(0, named=True)
    assert row["strike"] == [730.0, 740.0, 752.0]
    for i in range(3):
        call, put = options[2 * i], options[2 * i + 1]
        for name, expected in chains.strike_exposures(call, put, years).items():
            assert row[name][i] == pytest.approx(expected, rel=1e-9), (name, i)
    assert row["call_iv"][1] == 0.12
    assert row["put_iv"][1] == pytest.approx(chains.bisect_vol(False, 1.1, 740.0, 740.0, years), rel=1e-9)
    assert row["call_iv"][2] == 0.0
    assert (row["call_oi"], row["put_oi"]) == ([50.0, 900.0, 400.0], [700.0, 800.0, 20.0])
    assert (row["put_bid"], row["put_ask"]) == ([0.04, 1.0, 11.0], [0.05, 1.2, 11.5])
    assert row["call_volume"] == [10.0, 10.0, 10.0]
    assert row["signed_flow"] is None


def test_the_two_clocks_are_new_york(tmp_path: pathlib.Path, ingest: Ingest) -> None:
    ingest(chains.pair(ts="2026-07-24T10:00:00", fetched="2026-07-24 10:15:30.5"))
    frame = replay.open_lake(tmp_path / "lake").snapshots("SPY", "2026-07-24")
    assert frame["ts"][0] == dt.datetime(2026, 7, 24, 14, 0, tzinfo=dt.UTC)
    assert frame["recorded_at"][0] == dt.datetime(2026, 7, 24, 14, 15, 30, 500_000, tzinfo=dt.UTC)
    assert frame["expiration"][0] == dt.date(2026, 7, 24)


def test_half_days_are_priced_to_their_own_close(tmp_path: pathlib.Path, ingest: Ingest) -> None:
    day = "2025-11-28"
    options = chains.pair(ts=f"{day}T12:00:00", fetched=f"{day} 12:15:00", expiry=day, iv=0.15, open_interest=100)
    ingest(options)
    row = replay.open_lake(tmp_path / "lake").snapshots("SPY", day).row(0, named=True)
    expected = chains.strike_exposures(options[0] | {"bid": 1, "ask": 1}, options[1], 60 / YEAR)
    assert row["dex"][0] == pytest.approx(expected["dex"], rel=1e-9)
    call = chains.option_greeks(True, 740.0, 740.0, 60 / YEAR, 0.15)
    assert row["gex"][0] == pytest.approx(0.0, abs=1e-6)
    assert call["gamma"] > 0


def test_other_expirations_are_counted_and_left_out(ingest: Ingest) -> None:
    report = ingest([*chains.pair(), *chains.pair(expiry="2026-07-27"), *chains.pair(expiry="2026-07-31")])
    assert (report.tally.read, report.count.options) == (6, 2)
    assert (report.tally.other_expirations.rows, report.tally.other_expirations.line) == (4, 4)
    assert report.tally.rejected == {}


def test_repeated_rows_fall_together_and_the_last_of_contradicting_ones_wins(
    tmp_path: pathlib.Path, ingest: Ingest
) -> None:
    first, put = chains.pair(bid=1.0)
    report = ingest([first, put, first, first | {"bid": 0.9}, first, first | {"bid": 0.95}])
    assert (report.count.repeated, report.count.contradicting, report.count.options) == (2, 2, 2)
    row = replay.open_lake(tmp_path / "lake").snapshots("SPY", "2026-07-24").row(0, named=True)
    assert row["call_bid"] == [0.95]


def test_the_last_row_wins_even_if_it_repeats_an_earlier_one(tmp_path: pathlib.Path, ingest: Ingest) -> None:
    first, put = chains.pair(bid=1.0)
    ingest([first, put, first | {"bid": 0.9}, first])
    assert replay.open_lake(tmp_path / "lake").snapshots("SPY", "2026-07-24")["call_bid"][0].to_list() == [1.0]


def test_again_writes_nothing_and_later_recorded_is_a_correction(tmp_path: pathlib.Path, ingest: Ingest) -> None:
    lake = tmp_path / "lake"
    assert ingest(chains.pair(bid=1.0)).written == 1
    before = files_of(lake)
    assert ingest(chains.pair(bid=1.0)).written == 0
    assert files_of(lake) == before
    assert ingest(chains.pair(bid=1.05, fetched="2026-07-24 12:00:00")).written == 1
    opened = replay.open_lake(lake)
    assert opened.snapshots("SPY", "2026-07-24", known_at="2026-07-24T11:59")["call_bid"][0].to_list() == [1.0]
    assert opened.snapshots("SPY", "2026-07-24", known_at="2026-07-24T12:00")["call_bid"][0].to_list() == [1.05]
    assert opened.sessions()["revisions"].to_list() == [1]


def test_a_contradiction_of_the_lake_is_refused(tmp_path: pathlib.Path, ingest: Ingest) -> None:
    ingest(chains.pair(bid=1.0))
    before = files_of(tmp_path / "lake")
    with pytest.raises(ConflictingRow, match=r"2026-07-24T14:00:00Z.*2026-07-24T14:15:30Z.*later recorded_at"):
        ingest(chains.pair(bid=1.02))
    assert files_of(tmp_path / "lake") == before


def test_a_revision_that_brings_less_than_it_replaces_is_counted(ingest: Ingest) -> None:
    whole = [row for strike in (739.0, 740.0, 741.0) for row in chains.pair(strike=strike)]
    part = chains.pair(strike=740.0, fetched="2026-07-24 12:00:00")
    again = [row | {"fetched_at_et": "2026-07-24 13:00:00"} for row in whole]
    other = chains.pair(strike=740.0, ts="2026-07-24T10:05:00", fetched="2026-07-24 12:00:00")
    assert ingest([*whole, *part, *again, *other]).count.shrunk == 1


def test_the_last_row_of_a_contract_and_the_last_spot_of_an_instant_are_kept_whatever_the_order(
    tmp_path: pathlib.Path, ingest: Ingest
) -> None:
    rng = np.random.default_rng(3)
    rows = []
    for _ in range(400):
        minute, strike, right = int(rng.integers(4)), 738.0 + rng.integers(5), "CP"[int(rng.integers(2))]
        late = int(rng.integers(2))
        fields = {"spot": 740.0 + minute + 0.01 * rng.integers(2), "bid": round(1 + 0.1 * int(rng.integers(3)), 1)}
        rows.append(
            chains.row(f"2026-07-24T10:0{minute}:00", f"2026-07-24 1{1 + late}:00:00", right, strike, ask=2.0, **fields)
        )
    report = ingest(rows)
    wanted: dict[Any, dict[Any, dict[str, object]]] = {}
    spots: dict[Any, object] = {}
    seen, differing = set(), set()
    for row in rows:  # in plain Python, in the order they come
        instant = (row["quote_ts"], row["fetched_at_et"])
        wanted.setdefault(instant, {})[row["strike"], row["type"]] = row
        spots[instant] = row["spot"]
        seen.add(tuple(row.items()))
    for instant, contracts in wanted.items():
        if len({row["spot"] for row in contracts.values()}) > 1:
            differing.add(instant)
    kept = sum(len(contracts) for contracts in wanted.values())
    assert report.count.options == kept
    assert report.count.repeated == len(rows) - len(seen)
    assert report.count.contradicting == len(seen) - kept
    assert report.count.spot_differs == len(differing) > 0
    sizes = {instant: len({strike for strike, _ in contracts}) for instant, contracts in wanted.items()}
    first, second = ("2026-07-24 11:00:00", "2026-07-24 12:00:00")
    shrunk = sum(sizes[ts, second] < sizes[ts, first] for ts in {ts for ts, _ in wanted})
    assert report.count.shrunk == shrunk
    (path,) = (tmp_path / "lake").rglob("*.parquet")
    for stored in pl.read_parquet(path).iter_rows(named=True):
        at = tuple(
            stored[name].astimezone(NEW_YORK).strftime(form)
            for name, form in (("ts", "%Y-%m-%dT%H:%M:%S"), ("recorded_at", "%Y-%m-%d %H:%M:%S"))
        )
        contracts = wanted.pop(at)
        assert stored["spot"] == spots[at]
        assert stored["strike"] == sorted({strike for strike, _ in contracts})
        for side in "CP":
            bids = stored["call_bid" if side == "C" else "put_bid"]
            for strike, bid in zip(stored["strike"], bids, strict=True):
                told = contracts.get((strike, side))
                assert bid == told["bid"] if told else math.isnan(bid)
    assert not wanted


REJECTS = [
    ({"quote_ts": "soon"}, "has a ts that cannot be read"),
    ({"quote_ts": "24-07-2026 10:00"}, "has a ts that cannot be read"),
    ({"fetched_at_et": ""}, "has a recorded_at that cannot be read"),
    ({"quote_ts": "2026-03-08T02:30:00", "expiry": "2026-03-08"}, "has a ts that the wall clock does not show, or shows twice"),
    ({"quote_ts": "2026-11-01T01:30:00", "expiry": "2026-11-01"}, "has a ts that the wall clock does not show, or shows twice"),
    ({"fetched_at_et": "2026-07-24 09:59:59"}, "has a recorded_at before its ts"),
    ({"quote_ts": "2026-07-03T10:00:00", "expiry": "2026-07-03"}, "has a ts on a day without a session"),
    ({"expiry": "24/07/26"}, "has an expiration that is no date (YYYY-MM-DD)"),
    ({"type": "X"}, "has a right that is neither call nor put"),
    ({"type": ""}, "has a right that is neither call nor put"),
    ({"strike": "1,000"}, "has a strike that is no number above 0"),
    ({"strike": -5}, "has a strike that is no number above 0"),
    ({"strike": "nan"}, "has a strike that is no number above 0"),
    ({"spot": 0}, "has a spot that is no number above 0"),
    ({"spot": "1,000"}, "has a spot that is no number above 0"),
    ({"spot": "inf"}, "has a spot that is no number above 0"),
    ({"bid": "1,5"}, "has a bid that is no number"),
    ({"ask": -0.01}, "has an ask below 0 or infinite"),
    ({"open_interest": "many"}, "has an open_interest that is no number"),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "reason"), REJECTS)
def test_rows_that_cannot_be_used_are_counted_with_their_line(
    fields: dict[str, object], reason: str, ingest: Ingest, tmp_path: pathlib.Path
) -> None:
    rows = [*chains.pair(), *(row | fields for row in chains.pair(strike=741.0)), *chains.pair(strike=742.0)]
    report = ingest(rows)
    assert {each: (count.rows, count.line) for each, count in report.tally.rejected.items()} == {reason: (2, 4)}
    assert report.count.options == 4
    with pytest.raises(InputError, match=r"rows\.csv, line 4: ") as caught:
        ingest_chain([tmp_path / "rows.csv"], tmp_path / "other", "SPY", preset("cboe-recorder"), strict=True)
    assert f"the row {reason}" in caught.value.message
    assert caught.value.line == 4
    assert not (tmp_path / "other").exists()


def test_missing_numbers_are_not_known(tmp_path: pathlib.Path, ingest: Ingest) -> None:
    call, put = chains.pair(volume="", bid="", ask="", iv="")
    ingest([call, put, *chains.pair(strike=741.0)])
    row = replay.open_lake(tmp_path / "lake").snapshots("SPY", "2026-07-24").row(0, named=True)
    for name in ("gex", "dex", "vex", "chex", "call_bid", "call_iv", "call_volume"):
        assert math.isnan(row[name][0]), name
        assert not math.isnan(row[name][1]), name


def test_parquet_of_odd_kinds_comes_in_or_is_refused_by_column(tmp_path: pathlib.Path) -> None:
    path, lake = tmp_path / "rows.parquet", tmp_path / "lake"
    text = pl.read_csv(chains.csv_text(chains.pair()).encode(), infer_schema=False)
    text.with_columns(pl.col("strike", "type", "expiry").cast(pl.Categorical)).write_parquet(path)
    assert ingest_chain([path], lake, "SPY", preset("cboe-recorder")).count.options == 2
    text.with_columns(bid=pl.Series([[1.0], [1.0]])).write_parquet(path)
    with pytest.raises(
        InputError, match=r"rows\.parquet: column bid holds List\(Float64\), not text, numbers or times"
    ):
        ingest_chain([path], lake, "SPY", preset("cboe-recorder"))
    text.with_columns(bid=pl.lit(True)).write_parquet(path)
    with pytest.raises(InputError, match="column bid holds Boolean"):
        ingest_chain([path], lake, "SPY", preset("cboe-recorder"))


@pytest.mark.parametrize("nothing", ["", " ", "null", "None", "N/A", "nan", "-", "--"])
def test_what_files_write_for_nothing_is_not_known(nothing: str, tmp_path: pathlib.Path, ingest: Ingest) -> None:
    report = ingest([chains.row(right="C", volume=nothing), chains.row(right="P")])
    assert report.tally.rejected == {}
    row = replay.open_lake(tmp_path / "lake").snapshots("SPY", "2026-07-24").row(0, named=True)
    assert math.isnan(row["call_volume"][0])
    assert row["put_volume"] == [10.0]


def test_a_strike_with_one_right_alone_is_not_known(tmp_path: pathlib.Path, ingest: Ingest) -> None:
    ingest([*chains.pair(), chains.row(right="C", strike=741.0)])
    lake = replay.open_lake(tmp_path / "lake")
    row = lake.snapshots("SPY", "2026-07-24").row(0, named=True)
    assert math.isnan(row["gex"][1])
    assert (row["call_oi"][1], math.isnan(row["put_oi"][1])) == (100.0, True)
    oi = lake.heatmap("SPY", "2026-07-24T10:30", metric="oi").to_dict()
    assert oi["bars"][0]["values"] == [200.0, None]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("empty.csv", b"", "is empty"),
        ("header.csv", chains.csv_text([]).encode(), "holds a header and no rows"),
        (
            "cut.csv.gz",
            gzip.compress(chains.csv_text(chains.pair() * 5000).encode())[:-200],
            "is a gzip that is cut short",
        ),
        ("page.pdf", b"%PDF-1.7\n1 0 obj\n", "is a PDF; CSV, CSV.gz and Parquet are read"),
        ("bytes.csv", b"\x7fELF\x02\x01\x01\x00\xff\xfe" * 50, "no text|cannot be read"),
        ("utf16.csv", chains.csv_text(chains.pair()).encode("utf-16"), "is text in UTF-16, not UTF-8"),
        ("twice.csv", b"quote_ts," + chains.csv_text(chains.pair()).encode(), "quote_ts more than once"),
    ],
)
def test_files_that_cannot_be_used_are_named(name: str, data: bytes, said: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / name
    path.write_bytes(data)
    good = chains.write_csv(tmp_path / "good.csv", chains.pair())
    with pytest.raises(InputError, match=said) as caught:
        ingest_chain([good, path], tmp_path / "lake", "SPY", preset("cboe-recorder"))
    assert str(path) in str(caught.value)
    assert not (tmp_path / "lake").exists(), "nothing is written when one of the files cannot be used"


def test_lines_are_counted_past_malformed_ones(tmp_path: pathlib.Path) -> None:
    lines = chains.csv_text([*chains.pair(), *chains.pair(strike=741.0), chains.row(strike="x")]).splitlines()
    lines[3:3] = ["a,b", "c"]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines) + "\n")
    report = ingest_chain([path], tmp_path / "lake", "SPY", preset("cboe-recorder"))
    assert {each: (count.rows, count.line) for each, count in report.tally.rejected.items()} == {
        "has another number of fields than the header": (2, 4),
        "has a strike that is no number above 0": (1, 8),
    }
    assert report.tally.read == 7


def test_the_same_from_csv_gzip_crlf_bom_and_parquet(tmp_path: pathlib.Path) -> None:
    rows = [*chains.pair(), *chains.pair(strike=741.0, iv=0.0)]
    text = chains.csv_text(rows)
    (tmp_path / "a.csv").write_text(text)
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(text.encode()))
    (tmp_path / "c.csv").write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode())
    typed = pl.read_csv(text.encode(), try_parse_dates=False).with_columns(
        pl.col("quote_ts").str.to_datetime("%Y-%m-%dT%H:%M:%S"),
        pl.col("fetched_at_et").str.to_datetime("%Y-%m-%d %H:%M:%S").dt.replace_time_zone("America/New_York"),
        pl.col("expiry").str.to_date(),
    )
    typed.write_parquet(tmp_path / "d.parquet")
    written = []
    for name in ("a.csv", "b.csv.gz", "c.csv", "d.parquet"):
        ingest_chain([tmp_path / name], tmp_path / f"lake-{name}", "SPY", preset("cboe-recorder"))
        written.append(files_of(tmp_path / f"lake-{name}"))
    assert len(written[0]) == 1
    assert written[1:] == written[:1] * 3


def test_a_map_of_ones_own(tmp_path: pathlib.Path) -> None:
    toml = tmp_path / "map.toml"
    toml.write_text(
        '[columns]\nts = "t"\nspot = "s"\nexpiration = "e"\nright = "cp"\nstrike = "k"\niv = "v"\nopen_interest = "oi"\n'
        '[time]\nunit = "ms"\n[right]\ncall = ["call"]\nput = ["put"]\n'
    )
    ms = int(dt.datetime(2026, 7, 24, 14, 0, tzinfo=dt.UTC).timestamp() * 1000)
    path = tmp_path / "rows.csv"
    path.write_text(f"t,s,e,cp,k,v,oi\n{ms},740,2026-07-24,call,740,0.2,5\n{ms},740,2026-07-24,put,740,0.2,5\n")
    ingest_chain([path], tmp_path / "lake", " spy ", read_mapping(toml))
    frame = replay.open_lake(tmp_path / "lake").snapshots("SPY", "2026-07-24")
    assert frame["ts"][0] == frame["recorded_at"][0] == dt.datetime(2026, 7, 24, 14, 0, tzinfo=dt.UTC)
    assert frame["call_bid"][0] is None
    assert frame["call_oi"][0].to_list() == [5.0]


def test_times_with_an_offset_are_absolute(tmp_path: pathlib.Path, ingest: Ingest) -> None:
    ingest(chains.pair(ts="2026-07-24T14:00:00Z", fetched="2026-07-24T16:15:00+02:00"))
    frame = replay.open_lake(tmp_path / "lake").snapshots("SPY", "2026-07-24")
    assert frame["ts"][0] == dt.datetime(2026, 7, 24, 14, 0, tzinfo=dt.UTC)
    assert frame["recorded_at"][0] == dt.datetime(2026, 7, 24, 14, 15, tzinfo=dt.UTC)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_fractions_of_numeric_clocks_are_kept_and_never_make_a_row_known_too_early(
    tmp_path: pathlib.Path, form: str
) -> None:
    second = int(dt.datetime(2026, 7, 24, 14, 0, tzinfo=dt.UTC).timestamp())
    rows = pl.DataFrame({
        "ts": [second + 0.0] * 2, "rec": [second + 0.9] * 2, "s": [740.0] * 2, "e": ["2026-07-24"] * 2,
        "cp": ["C", "P"], "k": [740.0] * 2, "v": [0.2] * 2, "oi": [5.0] * 2,
    })  # fmt: skip
    path = tmp_path / f"rows.{form}"
    rows.write_csv(path, float_precision=6) if form == "csv" else rows.write_parquet(path)
    names = {
        "ts": "ts",
        "recorded_at": "rec",
        "spot": "s",
        "expiration": "e",
        "right": "cp",
        "strike": "k",
        "iv": "v",
        "open_interest": "oi",
    }
    ingest_chain([path], tmp_path / "lake", "SPY", Mapping("seconds", names, unit="s"))
    frame = replay.open_lake(tmp_path / "lake").snapshots("SPY", "2026-07-24")
    assert frame["ts"][0] == dt.datetime(2026, 7, 24, 14, 0, tzinfo=dt.UTC)
    late = frame["recorded_at"][0] - frame["ts"][0]
    assert dt.timedelta(seconds=0.9) <= late <= dt.timedelta(seconds=0.900001)


def test_text_finer_than_a_microsecond_is_known_later_not_earlier(tmp_path: pathlib.Path, ingest: Ingest) -> None:
    ingest(chains.pair(ts="2026-07-24T10:00:00.0000009", fetched="2026-07-24 10:15:00.0000001"))
    frame = replay.open_lake(tmp_path / "lake").snapshots("SPY", "2026-07-24")
    assert frame["ts"][0] == dt.datetime(2026, 7, 24, 14, 0, tzinfo=dt.UTC)
    assert frame["recorded_at"][0] == dt.datetime(2026, 7, 24, 14, 15, 0, 1, tzinfo=dt.UTC)


def test_strict_refuses_malformed_rows_and_blank_lines_keep_the_count(tmp_path: pathlib.Path) -> None:
    lines = chains.csv_text([*chains.pair(), chains.row(strike="x")]).splitlines()
    lines[1:1] = ["", ""]
    path = tmp_path / "rows.csv"
    path.write_text("\n".join(lines) + "\n\n")
    report = ingest_chain([path], tmp_path / "lake", "SPY", preset("cboe-recorder"))
    assert [(count.rows, count.line) for count in report.tally.rejected.values()] == [(1, 6)]
    assert report.tally.read == 3
    path.write_text("\n".join([*lines[:5], "too,few"]) + "\n")
    with pytest.raises(InputError, match="line 6: the row has another number of fields"):
        ingest_chain([path], tmp_path / "strict", "SPY", preset("cboe-recorder"), strict=True)
    assert not (tmp_path / "strict").exists()


GOOD_COLUMNS = 'ts = "a"\nspot = "b"\nexpiration = "c"\nright = "d"\nstrike = "e"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[columns", "cannot be read"),
        ('[columns]\nts = "a"\n', "lacks expiration, right, strike"),
        (f'[columns]\n{GOOD_COLUMNS}gamma = "g"\n', r"\[columns\] has gamma; it takes ask, bid"),
        (f'[columns]\n{GOOD_COLUMNS}[time]\nzone = "Mars/Base"\n', "no IANA time zone"),
        (f'[columns]\n{GOOD_COLUMNS}[time]\nunit = "h"\n', "not one of s, ms, us, ns"),
        (f'[columns]\n{GOOD_COLUMNS}[right]\ncall = "C"\n', "must be a list of texts"),
        (f"[columns]\n{GOOD_COLUMNS}[rights]\ncall = ['C']\n", "the map has rights"),
        (f"right = 1\n[columns]\n{GOOD_COLUMNS}", r"\[right\] must be a table"),
        (f"[columns]\n{GOOD_COLUMNS}[right]\ncall = ['C']\nput = ['C']\n", "C cannot be call and put"),
        ("[columns]\nts = 5\n", "must be a table of texts"),
    ],
)
def test_wrong_maps_are_refused_by_entry(text: str, said: str, tmp_path: pathlib.Path) -> None:
    path = tmp_path / "map.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=said) as caught:
        read_mapping(path)
    assert str(path) in str(caught.value)


def test_every_preset_that_ships_is_a_map() -> None:
    assert presets() == ["cboe-recorder", "optionsdx", "orats-minute"]
    assert all(isinstance(preset(name), Mapping) for name in presets())
    with pytest.raises(InputError, match="there are cboe-recorder"):
        preset("cboe")


@pytest.mark.parametrize("symbol", ["", "../../etc", "SPY'; drop", "A" * 16, "5SPY", "S\0Y"])
def test_a_symbol_that_is_none_is_refused(symbol: str, tmp_path: pathlib.Path) -> None:
    path = chains.write_csv(tmp_path / "rows.csv", chains.pair())
    with pytest.raises(InputError, match="such as SPY"):
        ingest_chain([path], tmp_path / "lake", symbol, preset("cboe-recorder"))
    assert not (tmp_path / "lake").exists()


def test_sessions_beyond_memory_go_to_disk_and_come_back_in_order() -> None:
    days = [dt.date(2026, 7, 22), dt.date(2026, 7, 23)]
    rng = np.random.default_rng(5)
    frames = [
        pl.DataFrame({"date": [days[k] for k in rng.integers(0, 2, 500)], "n": np.arange(i * 500, i * 500 + 500)})
        for i in range(20)
    ]
    with SessionBuckets(limit=10_000) as small, SessionBuckets() as large:
        for frame in frames:
            small.add(frame)
            large.add(frame)
        folder = small._folder
        assert folder is not None
        spilled, held = list(small.sessions()), list(large.sessions())
    assert not folder.exists()
    assert [date for date, _ in spilled] == days
    for (_, one), (_, other) in zip(spilled, held, strict=True):
        assert one.equals(other)
        assert one["n"].is_sorted()


needs_real = pytest.mark.skipif(not REAL.is_dir(), reason="the recorded SPY chains are not on this machine")


@pytest.fixture(scope="module")
def real_lake(tmp_path_factory: pytest.TempPathFactory) -> tuple[pathlib.Path, IngestReport]:
    lake = tmp_path_factory.mktemp("real") / "lake"
    return lake, ingest_chain(sorted(REAL.glob("*.csv.gz")), lake, "SPY", preset("cboe-recorder"))


@needs_real
def test_real_chains_come_in_whole_and_once(real_lake: tuple[pathlib.Path, IngestReport]) -> None:
    lake, report = real_lake
    counted = sum(gzip.decompress(path.read_bytes()).count(b"\n") - 1 for path in REAL.glob("*.csv.gz"))
    assert report.tally.read == report.count.options == counted
    assert (report.tally.rejected, report.count.vols["unknown"]) == ({}, 0)
    assert len(report.sessions) == 8
    before = files_of(lake)
    again = ingest_chain(sorted(REAL.glob("*.csv.gz")), lake, "SPY", preset("cboe-recorder"))
    assert (again.snapshots, again.written) == (report.snapshots, 0)
    assert files_of(lake) == before


@needs_real
def test_real_exposures_equal_scalar_arithmetic(real_lake: tuple[pathlib.Path, IngestReport]) -> None:
    with gzip.open(REAL / "SPY_2026-07-24.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    chosen = sorted({row["quote_ts"] for row in rows})[10::25]
    frame = replay.open_lake(real_lake[0]).snapshots("SPY", "2026-07-24")
    solved = 0
    for ts in chosen:
        years = (CLOSE - dt.datetime.fromisoformat(ts)).total_seconds() / 60 / YEAR
        sides = {(row["type"], float(row["strike"])): row for row in rows if row["quote_ts"] == ts}
        moment = dt.datetime.fromisoformat(ts).replace(tzinfo=dt.timezone(dt.timedelta(hours=-4)))
        stored = frame.row(by_predicate=pl.col("ts") == moment, named=True)
        assert stored["strike"] == sorted({strike for _, strike in sides})
        for i, strike in enumerate(stored["strike"]):
            call, put = sides["C", strike], sides["P", strike]
            for name, expected in chains.strike_exposures(call, put, years).items():
                assert stored[name][i] == pytest.approx(expected, rel=1e-7, abs=1e-3), (ts, strike, name)
            solved += sum(
                float(each["iv"]) == 0 and stored[f"{side}_iv"][i] > 0 for side, each in (("call", call), ("put", put))
            )
    assert len(chosen) >= 3
    assert solved > 0


@needs_real
def test_the_zero_vols_of_24_july_are_solved(tmp_path: pathlib.Path) -> None:
    report = ingest_chain([REAL / "SPY_2026-07-24.csv.gz"], tmp_path / "lake", "SPY", preset("cboe-recorder"))
    assert report.count.vols["solved"] == 316


@needs_real
def test_nothing_fetched_later_is_seen(real_lake: tuple[pathlib.Path, IngestReport]) -> None:
    with gzip.open(REAL / "SPY_2026-07-24.csv.gz", "rt") as file:
        clocks = {(row["quote_ts"], row["fetched_at_et"]) for row in csv.DictReader(file)}
    ten = dt.datetime(2026, 7, 24, 10, 0)
    quoted = sorted(dt.datetime.fromisoformat(ts) for ts, _ in clocks if dt.datetime.fromisoformat(ts) <= ten)
    known = [dt.datetime.fromisoformat(ts) for ts, fetched in clocks if dt.datetime.fromisoformat(fetched) <= ten]

    def bars(moments: list[dt.datetime]) -> list[str]:
        return sorted({(m + dt.timedelta(hours=4)).strftime("%Y-%m-%dT%H:%M:00Z") for m in moments})

    lake = replay.open_lake(real_lake[0])
    then = lake.heatmap("SPY", "2026-07-24T10:00").to_dict()
    since = lake.heatmap("SPY", "2026-07-24T10:00", known_at="latest").to_dict()
    assert [bar["t"] for bar in then["bars"]] == bars(known)
    assert [bar["t"] for bar in since["bars"]] == bars(quoted)
    assert len(known) < len(quoted)


@needs_real
@pytest.mark.parametrize("mode", ["raw", "delta"])
def test_all_metrics_of_a_real_session(real_lake: tuple[pathlib.Path, IngestReport], mode: str) -> None:
    lake = replay.open_lake(real_lake[0])
    for metric in ("gex", "dex", "vex", "chex", "oi", "signed_flow"):
        body = lake.heatmap("SPY", "2026-07-24", metric=metric, mode=mode, minutes=390, known_at="latest").to_dict()
        assert len(body["bars"]) == 76
        unknown = all(value is None for bar in body["bars"] for value in bar["values"])
        assert unknown == (metric == "signed_flow")


@needs_real
def test_the_second_recorder_agrees_where_they_overlap(tmp_path: pathlib.Path) -> None:
    both = [REAL / "SPY_2026-08-12.csv.gz", REAL / "second-recorder" / "SPY_2026-08-12.csv.gz"]
    for path in both:
        ingest_chain([path], tmp_path / "lake", "SPY", preset("cboe-recorder"))
    lake = replay.open_lake(tmp_path / "lake")
    held = lake.sessions().row(0, named=True)
    assert held["revisions"] > 0
    first = lake.heatmap("SPY", "2026-08-12", known_at="2026-08-12T18:00", minutes=390).to_dict()
    assert len(first["bars"]) >= 77
