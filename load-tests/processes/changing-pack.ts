// A pack that is another one with each number, for runs that reload rules.

/** The text of a pack file; its rule hits nothing that a load run sends. */
export const changingPack = (number: number) => `typology: reloaded
rules:
  - id: reloaded.one
    title: Changes with every reload
    mode: live
    when: merchant.id == "M-reloaded-${number}"
    outcome: review
    reason: reloaded
`
