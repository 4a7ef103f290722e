// The door of card data: the branded PAN with its mask, the keys, what seals and tokenizes a card,
// and what finds a card number where none may be.

export * from './card-vault.ts'
export * from './identify-card.ts'
export * from './keys.ts'
export * from './pan.ts'
export * from './stray-card-number.ts'
