// Reading and writing a 20-field authorization, in text and in bytes, beside npm `iso_8583` on the same
// message; and framing it.

import { createFraming, defaultFraming } from '#switch'
import { measure } from '../measure.ts'
import { ascii, encoded, npmCases, ourCases } from './iso8583-codecs.ts'

const framing = createFraming(defaultFraming)
const payload = encoded(ascii)
const framed = framing.encode(payload)
if (!framed.ok) throw new Error(framed.problem.message)
const frame = framed.bytes
let frames = 0
const splitter = framing.createSplitter(
  () => {
    frames++
  },
  (problem) => {
    throw new Error(problem.message)
  },
)

await measure([
  ...npmCases,
  ...ourCases,
  { name: 'iso8583 frame', run: () => framing.encode(payload) },
  {
    name: 'iso8583 split one frame',
    run: () => {
      splitter.push(frame)
      return frames
    },
  },
])
