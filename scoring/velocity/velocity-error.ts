/**
 * Why velocity is missing. Stable codes:
 * - `velocity_timeout`: no answer within the deadline; whether events were appended is unknown
 * - `velocity_unreachable`: no connection, or the store refused; unknown as well
 * - `velocity_suspended`: not asked, since it failed too often a moment ago; nothing was appended
 * - `velocity_busy`: not asked, since too many calls are under way; nothing was appended
 * - `velocity_closed`: not asked after `close`
 */
export type VelocityErrorCode =
  | 'velocity_timeout'
  | 'velocity_unreachable'
  | 'velocity_suspended'
  | 'velocity_busy'
  | 'velocity_closed'

/** What `observe` and `publish` reject with, except for bugs. */
export class VelocityError extends Error {
  readonly code: VelocityErrorCode

  constructor(code: VelocityErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = 'VelocityError'
    this.code = code
  }
}
