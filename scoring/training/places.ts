// Where the generated people live and shop: real cities, so that distances and speeds are real.

export interface City {
  readonly name: string
  readonly country: string
  readonly latitude: number
  readonly longitude: number
  readonly timeZone: string
  /** Hours ahead of UTC in winter; the generator does not follow summer time. */
  readonly utcOffsetHours: number
  /** Share of the customers, relative. */
  readonly weight: number
}

function city(
  name: string,
  country: string,
  latitude: number,
  longitude: number,
  timeZone: string,
  utcOffsetHours: number,
  weight: number,
): City {
  return { name, country, latitude, longitude, timeZone, utcOffsetHours, weight }
}

export const CITIES: readonly City[] = [
  city('Berlin', 'DE', 52.52, 13.4, 'Europe/Berlin', 1, 20),
  city('Hamburg', 'DE', 53.55, 9.99, 'Europe/Berlin', 1, 12),
  city('Munich', 'DE', 48.14, 11.58, 'Europe/Berlin', 1, 12),
  city('Cologne', 'DE', 50.94, 6.96, 'Europe/Berlin', 1, 8),
  city('Paris', 'FR', 48.86, 2.35, 'Europe/Paris', 1, 12),
  city('Lyon', 'FR', 45.76, 4.84, 'Europe/Paris', 1, 4),
  city('Madrid', 'ES', 40.42, -3.7, 'Europe/Madrid', 1, 7),
  city('Rome', 'IT', 41.9, 12.5, 'Europe/Rome', 1, 6),
  city('Amsterdam', 'NL', 52.37, 4.9, 'Europe/Amsterdam', 1, 6),
  city('Vienna', 'AT', 48.21, 16.37, 'Europe/Vienna', 1, 5),
  city('Warsaw', 'PL', 52.23, 21.01, 'Europe/Warsaw', 1, 4),
  city('London', 'GB', 51.51, -0.13, 'Europe/London', 0, 5),
  city('Lisbon', 'PT', 38.72, -9.14, 'Europe/Lisbon', 0, 2),
  city('New York', 'US', 40.71, -74.01, 'America/New_York', -5, 2),
  city('Istanbul', 'TR', 41.01, 28.98, 'Europe/Istanbul', 3, 1),
  city('Bangkok', 'TH', 13.76, 100.5, 'Asia/Bangkok', 7, 0.6),
  city('Sao Paulo', 'BR', -23.55, -46.63, 'America/Sao_Paulo', -3, 0.6),
  city('Lagos', 'NG', 6.52, 3.38, 'Africa/Lagos', 1, 0.4),
]
