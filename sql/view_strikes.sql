-- The view `strikes`: the snapshots in long form, one row per snapshot and strike; legacy v1 rows have none.
--
-- A value that is not known is null, also where it is stored as NaN.
--
-- params:
-- returns:
--   tier          VARCHAR      raw or 1m
--   symbol        VARCHAR
--   date          DATE         the session, New York
--   ts            TIMESTAMPTZ  the instant described, UTC
--   recorded_at   TIMESTAMPTZ  when it became known, UTC
--   spot          DOUBLE       USD
--   strike        DOUBLE       USD
--   gex           DOUBLE       USD of delta per 1 % move
--   dex           DOUBLE       USD of delta
--   vex           DOUBLE       USD of delta per vol point
--   chex          DOUBLE       USD of delta per calendar day
--   call_oi       DOUBLE       contracts
--   put_oi        DOUBLE       contracts
--   oi            DOUBLE       contracts: the sum of the sides where both are known, else the stored total
--   signed_flow   DOUBLE       delta-dollars since the previous snapshot
--   call_flow     DOUBLE       signed contracts since the previous snapshot
--   put_flow      DOUBLE       signed contracts since the previous snapshot
--   gamma_flow    DOUBLE       gamma-dollars since the previous snapshot
--   call_bid      DOUBLE       USD
--   call_ask      DOUBLE       USD
--   put_bid       DOUBLE       USD
--   put_ask       DOUBLE       USD
--   call_iv       DOUBLE       per sqrt(year); 0 is the limit
--   put_iv        DOUBLE       per sqrt(year); 0 is the limit
--   call_volume   DOUBLE       contracts, cumulative in the session
--   put_volume    DOUBLE       contracts, cumulative in the session
CREATE TEMP VIEW strikes AS
SELECT
    tier, symbol, date, ts, recorded_at, spot, strike,
    CASE WHEN NOT isnan(gex) THEN gex END AS gex,
    CASE WHEN NOT isnan(dex) THEN dex END AS dex,
    CASE WHEN NOT isnan(vex) THEN vex END AS vex,
    CASE WHEN NOT isnan(chex) THEN chex END AS chex,
    CASE WHEN NOT isnan(call_oi) THEN call_oi END AS call_oi,
    CASE WHEN NOT isnan(put_oi) THEN put_oi END AS put_oi,
    CASE WHEN NOT isnan(call_oi + put_oi) THEN call_oi + put_oi WHEN NOT isnan(oi) THEN oi END AS oi,
    CASE WHEN NOT isnan(signed_flow) THEN signed_flow END AS signed_flow,
    CASE WHEN NOT isnan(call_flow) THEN call_flow END AS call_flow,
    CASE WHEN NOT isnan(put_flow) THEN put_flow END AS put_flow,
    CASE WHEN NOT isnan(gamma_flow) THEN gamma_flow END AS gamma_flow,
    CASE WHEN NOT isnan(call_bid) THEN call_bid END AS call_bid,
    CASE WHEN NOT isnan(call_ask) THEN call_ask END AS call_ask,
    CASE WHEN NOT isnan(put_bid) THEN put_bid END AS put_bid,
    CASE WHEN NOT isnan(put_ask) THEN put_ask END AS put_ask,
    CASE WHEN NOT isnan(call_iv) THEN call_iv END AS call_iv,
    CASE WHEN NOT isnan(put_iv) THEN put_iv END AS put_iv,
    CASE WHEN NOT isnan(call_volume) THEN call_volume END AS call_volume,
    CASE WHEN NOT isnan(put_volume) THEN put_volume END AS put_volume
FROM (
    SELECT
        tier, symbol, date, ts, recorded_at, spot,
        unnest(strike) AS strike,
        unnest(gex) AS gex, unnest(dex) AS dex, unnest(vex) AS vex, unnest(chex) AS chex,
        unnest(call_oi) AS call_oi, unnest(put_oi) AS put_oi, unnest(oi) AS oi,
        unnest(signed_flow) AS signed_flow, unnest(call_flow) AS call_flow, unnest(put_flow) AS put_flow,
        unnest(gamma_flow) AS gamma_flow,
        unnest(call_bid) AS call_bid, unnest(call_ask) AS call_ask,
        unnest(put_bid) AS put_bid, unnest(put_ask) AS put_ask,
        unnest(call_iv) AS call_iv, unnest(put_iv) AS put_iv,
        unnest(call_volume) AS call_volume, unnest(put_volume) AS put_volume
    FROM snapshots
    WHERE strike IS NOT NULL
)
