-- The view `snapshots`: every stored row of the lake, revisions included, per-strike values as lists.
--
-- A column that no file has is null. A correction is a further row with the same ts and a later recorded_at; what was
-- visible at a moment is the row of each ts with the greatest recorded_at up to then.
--
-- params:
--   the variable lake_files holds the files to read
-- returns:
--   tier          VARCHAR      raw or 1m
--   symbol        VARCHAR
--   date          DATE         the session, New York
--   ts            TIMESTAMPTZ  the instant described, UTC
--   recorded_at   TIMESTAMPTZ  when it became known, UTC
--   spot          DOUBLE       USD
--   expiration    DATE
--   strike        DOUBLE[]     USD, ascending; null: a legacy v1 row
--   gex           DOUBLE[]     USD of delta per 1 % move
--   dex           DOUBLE[]     USD of delta
--   vex           DOUBLE[]     USD of delta per vol point
--   chex          DOUBLE[]     USD of delta per calendar day
--   call_oi       DOUBLE[]     contracts
--   put_oi        DOUBLE[]     contracts
--   oi            DOUBLE[]     contracts, only where the sides are unknown
--   signed_flow   DOUBLE[]     delta-dollars since the previous snapshot
--   call_flow     DOUBLE[]     signed contracts since the previous snapshot
--   put_flow      DOUBLE[]     signed contracts since the previous snapshot
--   gamma_flow    DOUBLE[]     gamma-dollars since the previous snapshot
--   call_bid      DOUBLE[]     USD
--   call_ask      DOUBLE[]     USD
--   put_bid       DOUBLE[]     USD
--   put_ask       DOUBLE[]     USD
--   call_iv       DOUBLE[]     per sqrt(year); 0 is the limit
--   put_iv        DOUBLE[]     per sqrt(year); 0 is the limit
--   call_volume   DOUBLE[]     contracts, cumulative in the session
--   put_volume    DOUBLE[]     contracts, cumulative in the session
CREATE TEMP VIEW snapshots AS
SELECT
    tier, symbol, date, ts, recorded_at, spot, expiration, strike,
    gex, dex, vex, chex, call_oi, put_oi, oi,
    signed_flow, call_flow, put_flow, gamma_flow,
    call_bid, call_ask, put_bid, put_ask, call_iv, put_iv, call_volume, put_volume
FROM (
    SELECT
        NULL::VARCHAR AS tier, NULL::VARCHAR AS symbol, NULL::DATE AS date,
        NULL::TIMESTAMPTZ AS ts, NULL::TIMESTAMPTZ AS recorded_at, NULL::DOUBLE AS spot, NULL::DATE AS expiration,
        NULL::DOUBLE[] AS strike,
        NULL::DOUBLE[] AS gex, NULL::DOUBLE[] AS dex, NULL::DOUBLE[] AS vex, NULL::DOUBLE[] AS chex,
        NULL::DOUBLE[] AS call_oi, NULL::DOUBLE[] AS put_oi, NULL::DOUBLE[] AS oi,
        NULL::DOUBLE[] AS signed_flow, NULL::DOUBLE[] AS call_flow, NULL::DOUBLE[] AS put_flow,
        NULL::DOUBLE[] AS gamma_flow,
        NULL::DOUBLE[] AS call_bid, NULL::DOUBLE[] AS call_ask, NULL::DOUBLE[] AS put_bid, NULL::DOUBLE[] AS put_ask,
        NULL::DOUBLE[] AS call_iv, NULL::DOUBLE[] AS put_iv,
        NULL::DOUBLE[] AS call_volume, NULL::DOUBLE[] AS put_volume
    WHERE false
    UNION ALL BY NAME
    SELECT *
    FROM read_parquet(
        getvariable('lake_files'),
        union_by_name = true,
        hive_partitioning = true,
        hive_types = {'tier': VARCHAR, 'symbol': VARCHAR, 'date': DATE}
    )
)
