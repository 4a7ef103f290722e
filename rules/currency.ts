// ISO 4217: letters, numeric code (DE49) and exponent of every active national currency. Funds
// codes, metals and test codes are left out: nobody pays with them. Source: ISO 4217 list one, with
// the amendments up to 2026 (XCG for ANG, ZWG for ZWL; BGN, HRK, SLL and CUC withdrawn).

export interface Currency {
  /** Three letters, `EUR`. */
  readonly code: string
  /** Three digits as in DE49, `978`. */
  readonly numeric: string
  /** Digits after the decimal point of the major unit: 2599 minor units are 25.99 when it is 2. */
  readonly exponent: number
}

const table = `
  AED784 AFN971 ALL008 AMD051 AOA973 ARS032 AUD036 AWG533 AZN944 BAM977 BBD052 BDT050
  BHD048 BIF108 BMD060 BND096 BOB068 BRL986 BSD044 BTN064 BWP072 BYN933 BZD084 CAD124
  CDF976 CHF756 CLP152 CNY156 COP170 CRC188 CUP192 CVE132 CZK203 DJF262 DKK208 DOP214
  DZD012 EGP818 ERN232 ETB230 EUR978 FJD242 FKP238 GBP826 GEL981 GHS936 GIP292 GMD270
  GNF324 GTQ320 GYD328 HKD344 HNL340 HTG332 HUF348 IDR360 ILS376 INR356 IQD368 IRR364
  ISK352 JMD388 JOD400 JPY392 KES404 KGS417 KHR116 KMF174 KPW408 KRW410 KWD414 KYD136
  KZT398 LAK418 LBP422 LKR144 LRD430 LSL426 LYD434 MAD504 MDL498 MGA969 MKD807 MMK104
  MNT496 MOP446 MRU929 MUR480 MVR462 MWK454 MXN484 MYR458 MZN943 NAD516 NGN566 NIO558
  NOK578 NPR524 NZD554 OMR512 PAB590 PEN604 PGK598 PHP608 PKR586 PLN985 PYG600 QAR634
  RON946 RSD941 RUB643 RWF646 SAR682 SBD090 SCR690 SDG938 SEK752 SGD702 SHP654 SLE925
  SOS706 SRD968 SSP728 STN930 SVC222 SYP760 SZL748 THB764 TJS972 TMT934 TND788 TOP776
  TRY949 TTD780 TWD901 TZS834 UAH980 UGX800 USD840 UYU858 UZS860 VED926 VES928 VND704
  VUV548 WST882 XAF950 XCD951 XCG532 XOF952 XPF953 YER886 ZAR710 ZMW967 ZWG924
`

const withoutMinorUnit = 'BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF'
const withThousandths = 'BHD IQD JOD KWD LYD OMR TND'

const byCode = new Map<string, Currency>()
const byNumeric = new Map<string, Currency>()
for (const entry of table.trim().split(/\s+/)) {
  const code = entry.slice(0, 3)
  const exponent = withoutMinorUnit.includes(code) ? 0 : withThousandths.includes(code) ? 3 : 2
  const currency: Currency = Object.freeze({ code, numeric: entry.slice(3), exponent })
  byCode.set(code, currency)
  byNumeric.set(currency.numeric, currency)
}

/** All active currencies, in order of their letters. */
export const CURRENCIES: readonly Currency[] = [...byCode.values()]

/** The currency with these letters, `EUR`; undefined when there is none. */
export function currencyByCode(code: string): Currency | undefined {
  return byCode.get(code)
}

/** The currency with this numeric code, `978` as in DE49; undefined when there is none. */
export function currencyByNumeric(numeric: string): Currency | undefined {
  return byNumeric.get(numeric)
}
