// How easily fraud turns a purchase into money, by merchant category code (ISO 18245).

/** From everyday purchases to cash and near-cash; the index is the model's value. */
export const MCC_RISK_GROUPS = [
  'everyday',
  'other',
  'resold goods',
  'digital goods',
  'cash and near-cash',
] as const

const OTHER = 1

const CODES_BY_GROUP: ReadonlyArray<readonly [group: number, codes: readonly string[]]> = [
  // Groceries, fuel, restaurants, pharmacies, transit, utilities, tolls and parking.
  [0, ['4111', '4112', '4121', '4131', '4784', '4900', '5331', '5411', '5422', '5441', '5451']],
  [0, ['5462', '5499', '5541', '5542', '5811', '5812', '5813', '5814', '5912', '7523']],
  // Computers, electronics, jewellery, watches, cameras, mobile phones, designer goods.
  [2, ['4812', '5045', '5094', '5309', '5722', '5732', '5734', '5944', '5946', '5948', '5972']],
  // Downloads, games, streaming, top-ups, gift cards, dating: delivered at once, no address.
  [3, ['4814', '4816', '4899', '5815', '5816', '5817', '5818', '5947', '7273', '7994']],
  // Cash, quasi-cash and crypto, money transfer, securities, stored value, gambling.
  [4, ['4829', '6010', '6011', '6012', '6050', '6051', '6211', '6538', '6540', '7800', '7801']],
  [4, ['7802', '7995']],
]

const GROUP_BY_CODE: ReadonlyMap<string, number> = new Map(
  CODES_BY_GROUP.flatMap(([group, codes]) => codes.map((code) => [code, group] as const)),
)

/** Index into `MCC_RISK_GROUPS` of a category code; an unlisted code is `other`. */
export function mccRisk(mcc: string): number {
  return GROUP_BY_CODE.get(mcc) ?? OTHER
}
