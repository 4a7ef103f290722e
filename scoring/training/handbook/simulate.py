"""Other data of the same kind: the simulator that the Fraud Detection Handbook describes.

    python simulate.py SEED OUT.csv

Chapter 3, "Transaction data simulator": 5,000 customers and 10,000 terminals on a square of 100 by
100, terminals within 5 of a customer, 183 days from 2018-04-01; frauds of scenario 1 (amounts above
220), 2 (two terminals a day, for 28 days) and 3 (three customers a day, for 14 days: a third of
their transactions, five times the amount). Written from 2018-05-05 to 09-14, with its columns. The
Handbook's own file has other random numbers; a seed gives the same file again. Takes a minute.
"""

import csv
import datetime
import random
import sys

import numpy as np

CUSTOMERS, TERMINALS, DAYS, RADIUS = 5_000, 10_000, 183, 5
START = datetime.datetime(2018, 4, 1)
FIRST_DAY, LAST_DAY = 34, 166
DAY_SECONDS = 86_400
COLUMNS = [
    "TRANSACTION_ID", "TX_DATETIME", "CUSTOMER_ID", "TERMINAL_ID", "TX_AMOUNT",
    "TX_TIME_SECONDS", "TX_TIME_DAYS", "TX_FRAUD", "TX_FRAUD_SCENARIO",
]  # fmt: skip


def customers(seed):
    """Place, mean amount and transactions a day of each."""
    draw = np.random.RandomState(seed).uniform
    return [
        (draw(0, 100), draw(0, 100), draw(5, 100), draw(0, 4)) for _ in range(CUSTOMERS)
    ]


def transactions(seed):
    """(second, customer, terminal, amount) in order of time."""
    places = np.random.RandomState(seed + 1).uniform(0, 100, (TERMINALS, 2))
    rows = []
    for customer, (x, y, mean, per_day) in enumerate(customers(seed)):
        near = np.flatnonzero(((places - [x, y]) ** 2).sum(1) < RADIUS**2).tolist()
        if not near:
            continue
        own_seed = seed * 1_000_003 + customer
        numbers, choices = np.random.RandomState(own_seed % 2**32), random.Random(own_seed)
        for day in range(DAYS):
            for _ in range(numbers.poisson(per_day)):
                second = int(numbers.normal(DAY_SECONDS / 2, 20_000))
                if not 0 < second < DAY_SECONDS:
                    continue
                amount = numbers.normal(mean, mean / 2)
                if amount < 0:
                    amount = numbers.uniform(0, mean * 2)
                at = second + day * DAY_SECONDS
                rows.append((at, customer, choices.choice(near), round(amount, 2)))
    rows.sort(key=lambda row: row[0])
    return tuple(np.array(column) for column in zip(*rows))


def frauds(seed, seconds, customer, terminal, amounts):
    """The scenario of each, 0 for none. Raises the amounts of scenario 3 in place."""
    days = seconds // DAY_SECONDS
    scenario = np.where(amounts > 220, 1, 0)
    for day in range(days.max()):
        picked = np.random.RandomState(seed * 1000 + day).choice(TERMINALS, 2, replace=False)
        scenario[(days >= day) & (days < day + 28) & np.isin(terminal, picked)] = 2
    for day in range(days.max()):
        picked = np.random.RandomState(seed * 1000 + day).choice(CUSTOMERS, 3, replace=False)
        theirs = (days >= day) & (days < day + 14) & np.isin(customer, picked)
        rows = np.flatnonzero(theirs).tolist()
        stolen = random.Random(seed * 1000 + day).sample(rows, k=len(rows) // 3)
        amounts[stolen] *= 5
        scenario[stolen] = 3
    return scenario


def main():
    seed = int(sys.argv[1])
    seconds, customer, terminal, amounts = transactions(seed)
    scenario = frauds(seed, seconds, customer, terminal, amounts)
    days = seconds // DAY_SECONDS
    with open(sys.argv[2], "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in np.flatnonzero((days >= FIRST_DAY) & (days <= LAST_DAY)):
            at, kind = int(seconds[row]), int(scenario[row])
            time = START + datetime.timedelta(seconds=at)
            amount = round(float(amounts[row]), 2)
            writer.writerow(
                [row, time, customer[row], terminal[row], amount, at, days[row], int(kind > 0), kind]
            )


if __name__ == "__main__":
    main()
