-- Which stored row is visible at (as_of, known_at): the one home of that rule.
--
-- A row describes the instant ts and became known at recorded_at. A later row of the same ts is a correction and
-- supersedes the whole row; of two with one recorded_at the last in (file name, row) order wins. So a row is visible
-- where ts <= as_of and recorded_at <= known_at < superseded_at. Rows without ts or recorded_at are never visible.
-- Nanoseconds are cut from ts and round recorded_at up to the microsecond, so that nothing is known too early.
--
-- params: files as_of known_at
--   files     the session's Parquet files, sorted by name
--   as_of     microseconds since the epoch, UTC, inclusive
--   known_at  microseconds since the epoch, UTC, inclusive
-- returns: one row per stored row, ordered by ts, recorded_at, file, row
--   ts             BIGINT   microseconds since the epoch, UTC
--   recorded_at    BIGINT   microseconds since the epoch, UTC
--   superseded_at  BIGINT   recorded_at of the next revision of ts, the largest BIGINT if there is none
--   file           INTEGER  position in files, from 0
--   row            BIGINT   row in that file, from 0
--   visible        BOOLEAN  whether it is visible at (as_of, known_at)
SELECT
    ts,
    recorded_at,
    superseded_at,
    file,
    row,
    ts <= $as_of AND recorded_at <= $known_at AND $known_at < superseded_at AS visible
FROM (
    SELECT
        ts,
        recorded_at,
        CASE
            WHEN lead(ts) OVER in_time = ts THEN lead(recorded_at) OVER in_time
            ELSE 9223372036854775807
        END AS superseded_at,
        file,
        row
    FROM (
        SELECT
            CASE WHEN typeof(ts) LIKE '%NS' THEN epoch_ns(ts) // 1000 ELSE epoch_us(ts::TIMESTAMPTZ) END AS ts,
            CASE WHEN typeof(recorded_at) LIKE '%NS' THEN (epoch_ns(recorded_at) + 999) // 1000
                ELSE epoch_us(recorded_at::TIMESTAMPTZ) END AS recorded_at,
            file_index::INTEGER AS file,
            file_row_number AS row
        FROM read_parquet($files, file_row_number = true, hive_partitioning = false)
        WHERE ts IS NOT NULL AND recorded_at IS NOT NULL
    )
    WINDOW in_time AS (ORDER BY ts, recorded_at, file, row)
)
ORDER BY ts, recorded_at, file, row
