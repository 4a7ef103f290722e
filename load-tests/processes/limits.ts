// Limits of the process launchers.

/** Output of a child that is kept in memory for a failing test to show. */
export const logBytesMax = 8_388_608

/**
 * A child that has not said ready by then is broken. A cold start on two busy cores takes some 5 s.
 */
export const readyTimeoutMs = 60_000

/** After SIGTERM; the switch's own drain time is 15 s. Then SIGKILL. */
export const stopTimeoutMs = 30_000
