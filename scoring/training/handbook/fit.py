"""Fits the models of `model evaluate` and writes their scores of the test rows.

    python fit.py FOLDER

FOLDER holds jobs.json, a list of {name, algorithm, columns, matrix, train, test, scores}: names of
files with raw little-endian arrays: matrix float32 rows by columns, train and test uint32 row
numbers; labels.u8 has one byte a row. Each job's scores are written as float32, one a test row.
"""

import json
import sys
from pathlib import Path

import numpy as np
import xgboost
from sklearn.ensemble import RandomForestClassifier


def handbook_xgboost():
    # The library's settings at the time of the Handbook; later versions estimate the base score
    # and choose histograms unless told.
    return xgboost.XGBClassifier(random_state=0, n_jobs=1, tree_method="exact", base_score=0.5)


def handbook_forest():
    return RandomForestClassifier(random_state=0, n_jobs=1)


def own_trees():
    """Many small steps on shares of rows and columns: a week holds few frauds to learn from."""
    return xgboost.XGBClassifier(
        n_estimators=200,
        max_depth=5,
        learning_rate=0.05,
        min_child_weight=5,
        subsample=0.8,
        colsample_bytree=0.5,
        reg_lambda=5,
        tree_method="hist",
        base_score=0.01,
        random_state=0,
        n_jobs=1,
    )


ALGORITHMS = {"xgboost": handbook_xgboost, "forest": handbook_forest, "own": own_trees}


def main():
    folder = Path(sys.argv[1])
    labels = np.fromfile(folder / "labels.u8", dtype=np.uint8)
    for job in json.loads((folder / "jobs.json").read_text()):
        print(f"fitting {job['name']}", file=sys.stderr, flush=True)
        matrix = np.fromfile(folder / job["matrix"], dtype="<f4").reshape(-1, job["columns"])
        train = np.fromfile(folder / job["train"], dtype="<u4")
        test = np.fromfile(folder / job["test"], dtype="<u4")
        model = ALGORITHMS[job["algorithm"]]().fit(matrix[train], labels[train])
        model.predict_proba(matrix[test])[:, 1].astype("<f4").tofile(folder / job["scores"])


if __name__ == "__main__":
    main()
