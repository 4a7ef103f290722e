export { mayStandIn, type StandInPolicy, type StandInRefusal } from './policy.ts'
export { standIn } from './stand-in.ts'
