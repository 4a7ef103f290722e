"""Trains the risk model from an exported matrix and writes a model folder.

    python train.py --matrix FOLDER --out FOLDER --name switchyard-trees --version 1

Reads what `matrix.ts` writes. Gradient-boosted trees (XGBoost: its float32 thresholds survive the
export unchanged) on the first 60% of the period, calibration and bands on the next 15%, metrics on
the last 25%. Writes model.onnx, manifest.json, model-card.md and its two
pictures.
"""

import argparse
import hashlib
import json
import math
from datetime import datetime, timezone
from pathlib import Path

import matplotlib
import numpy as np
import onnx
import onnxruntime
import xgboost
from onnxmltools import convert_xgboost
from onnxmltools.convert.common.data_types import FloatTensorType
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score
from sklearn.metrics import precision_recall_curve, roc_curve

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402 (only after the choice of a backend without a screen)

TRAIN_SHARE = 0.60
VALIDATION_SHARE = 0.15
PARITY_VECTORS = 64

# What a decision costs, in minor units; the bands minimize the sum on the validation period.
COSTS = {
    "chargebackFee": 2_000,  # beside the amount itself, for every fraud that goes through
    "review": 500,  # an analyst's time, for every reviewed transaction
    "reviewSaves": 0.50,  # share of a fraud's loss that a review in time still saves
    "declinedGenuine": 12_000,  # margin and goodwill lost with an honest customer
}


def read_matrix(folder):
    info = json.loads((folder / "matrix.json").read_text())
    width = len(info["featureNames"])
    features = np.fromfile(folder / "features.f32", dtype="<f4").reshape(-1, width)
    kinds = np.fromfile(folder / "kinds.u8", dtype=np.uint8)
    times = np.fromfile(folder / "times.f64", dtype="<f8")
    amounts = np.fromfile(folder / "amounts.f64", dtype="<f8")
    assert len(features) == len(kinds) == len(times) == len(amounts) == info["rows"]
    assert np.all(np.diff(times) >= 0), "rows must be in the order of arrival"
    return info, features, kinds, times, amounts


def split_by_time(times):
    """Masks of the three periods. No row is trained on that is later than any it is judged by."""
    start, end = times[0], times[-1]
    first = start + TRAIN_SHARE * (end - start)
    second = first + VALIDATION_SHARE * (end - start)
    return times < first, (times >= first) & (times < second), times >= second


def fit(features, labels, args):
    model = xgboost.XGBClassifier(
        n_estimators=args.trees,
        max_depth=args.depth,
        learning_rate=args.learning_rate,
        min_child_weight=5,
        subsample=0.8,
        colsample_bytree=0.5,
        reg_lambda=5.0,
        gamma=0.1,
        tree_method="hist",
        eval_metric="logloss",
        random_state=args.seed,
        n_jobs=args.threads,
    )
    return model.fit(features, labels)


def calibrate(margins, labels):
    """Platt scaling: slope and offset of the raw score, by maximum likelihood."""
    logistic = LogisticRegression(C=1e6).fit(margins.reshape(-1, 1), labels)
    return float(logistic.coef_[0, 0]), float(logistic.intercept_[0])


def to_onnx(model, width, slope, offset):
    """The exporter's own graph, with the calibration folded into leaves and base value."""
    exported = convert_xgboost(
        model, initial_types=[("features", FloatTensorType([None, width]))], target_opset=15
    )
    [node] = exported.graph.node
    assert node.op_type == "TreeEnsembleClassifier"
    names = [attribute.name for attribute in node.attribute]
    assert "base_values" in names and "class_weights" in names
    weigh_nodes(model, node)
    for attribute in node.attribute:
        if attribute.name == "class_weights":
            attribute.floats[:] = [slope * weight for weight in attribute.floats]
        if attribute.name == "base_values":
            attribute.floats[:] = [slope * base + offset for base in attribute.floats]
    onnx.checker.check_model(exported)
    return exported.SerializeToString()


def weigh_nodes(model, node):
    """How much of training went through each node, for contributions: the exporter leaves 1."""
    covers = {}
    dumps = model.get_booster().get_dump(with_stats=True, dump_format="json")
    for tree, text in enumerate(dumps):
        nodes = [json.loads(text)]
        for each in nodes:
            covers[tree, each["nodeid"]] = each["cover"]
            nodes.extend(each.get("children", []))
    ids = {each.name: each.ints for each in node.attribute}
    for attribute in node.attribute:
        if attribute.name == "nodes_hitrates":
            places = zip(ids["nodes_treeids"], ids["nodes_nodeids"])
            attribute.floats[:] = [covers[place] for place in places]


def node_count(model_bytes):
    [node] = onnx.load_from_string(model_bytes).graph.node
    return next(len(each.ints) for each in node.attribute if each.name == "nodes_nodeids")


def run_onnx(model_bytes, features):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        model_bytes, options, providers=["CPUExecutionProvider"]
    )
    [scores] = session.run(["probabilities"], {"features": features})
    return scores[:, 1].astype(np.float64)


def total_cost(scores, fraud, losses, review, decline):
    declined = scores >= decline
    reviewed = (scores >= review) & ~declined
    cost = losses[~reviewed & ~declined & fraud].sum()
    cost += COSTS["review"] * reviewed.sum()
    cost += (1 - COSTS["reviewSaves"]) * losses[reviewed & fraud].sum()
    return cost + COSTS["declinedGenuine"] * (declined & ~fraud).sum()


def choose_bands(scores, fraud, amounts):
    """Thresholds of least cost on a grid that people can remember."""
    losses = np.nan_to_num(amounts, nan=0.0) + COSTS["chargebackFee"]
    grid = [0.05, 0.08, *np.round(np.arange(0.1, 1, 0.05), 2).tolist()]
    candidates = [(low, high) for low in grid for high in grid if low < high]
    best = min(candidates, key=lambda each: total_cost(scores, fraud, losses, *each))
    names = ["low", "elevated", "high"]
    return [{"name": name, "from": start} for name, start in zip(names, [0.0, *best])]


def measure(scores, kinds, kind_names, bands):
    fraud = kinds > 0
    starts = [band["from"] for band in bands[1:]]
    genuine_scores = scores[~fraud]
    by_kind = []
    for index, kind in enumerate(kind_names[1:], start=1):
        of_kind = scores[kinds == index]
        if len(of_kind) == 0:
            continue
        truth = np.r_[np.zeros(len(genuine_scores)), np.ones(len(of_kind))]
        all_scores = np.r_[genuine_scores, of_kind]
        by_kind.append(
            {
                "kind": kind,
                "rows": len(of_kind),
                "rocAuc": float(roc_auc_score(truth, all_scores)),
                "averagePrecision": float(average_precision_score(truth, all_scores)),
                "recalls": [float((of_kind >= start).mean()) for start in starts],
            }
        )
    return {
        "rows": len(scores),
        "fraudRows": int(fraud.sum()),
        "rocAuc": float(roc_auc_score(fraud, scores)),
        "averagePrecision": float(average_precision_score(fraud, scores)),
        "brierScore": float(brier_score_loss(fraud, scores)),
        "logLoss": float(log_loss(fraud, np.clip(scores, 1e-7, 1 - 1e-7))),
        "bands": [
            {
                "name": band["name"],
                "precision": float(fraud[scores >= band["from"]].mean()),
                "recall": float((scores[fraud] >= band["from"]).mean()),
                "flaggedShare": float((scores >= band["from"]).mean()),
            }
            for band in bands[1:]
        ],
        "kinds": by_kind,
    }


def parity_vectors(features, scores, kinds, kind_names, rng):
    """Inputs that reach many leaves: some of each kind, the extremes, random ones, and the empty."""
    rows = {}
    for index, kind in enumerate(kind_names):
        chosen = rng.permutation(np.flatnonzero(kinds == index))[:6]
        rows.update({int(row): f"{kind}-{n}" for n, row in enumerate(chosen)})
    order = np.argsort(scores)
    rows.update({int(row): f"highest-{n}" for n, row in enumerate(order[-4:])})
    rows.update({int(row): f"lowest-{n}" for n, row in enumerate(order[:4])})
    for row in rng.permutation(len(features)):
        if len(rows) >= PARITY_VECTORS - 1:
            break
        rows.setdefault(int(row), f"random-{len(rows)}")
    inputs = [features[row] for row in rows] + [np.full(features.shape[1], np.nan, np.float32)]
    return np.stack(inputs), [*rows.values(), "all-missing"]


def baseline(name, values, digits):
    """Deciles for the population stability index; equal edges fall together."""
    known = values[np.isfinite(values)].astype(np.float64)
    edges = []
    if len(known) > 0:
        quantiles = np.quantile(known, np.arange(0.1, 0.95, 0.1))
        edges = sorted({float(f"{edge:.{digits}g}") for edge in quantiles})
    # A bin holds what is at or below its upper edge and above the edge before.
    counts = np.bincount(np.searchsorted(edges, known, side="left"), minlength=len(edges) + 1)
    shares = counts / max(1, len(known))
    missing = 1 - len(known) / max(1, len(values))
    return {
        "name": name,
        "edges": edges,
        "shares": [round(float(share), 6) for share in shares],
        "missingShare": round(float(missing), 6),
    }


def plain(values):
    """float32 numbers as the shortest decimals that read back to the same float32; NaN is null."""
    return [None if math.isnan(value) else float(str(value)) for value in values]


def card_text(manifest, info, importance):
    """The model card. The numbers are the manifest's own."""
    metrics, training = manifest["testMetrics"], manifest["training"]
    bands = manifest["bands"]
    lines = [
        f"# Model card: {manifest['name']} {manifest['version']}",
        "",
        "Gives the probability that an authorization is fraud, from the values of "
        "`scoring/features.ts`.",
        "",
        "## Data",
        "",
        "**Generated, not real.** `scoring/training/generate.ts` plays a population of customers,"
        " cards, devices, terminals and",
        "merchants with six kinds of fraud among them. The metrics below say how well the model"
        " finds the frauds of that game;",
        "they say nothing about real traffic. Before it decides about real money, train it again"
        " on your own labelled history.",
        "",
        f"- {info['rows']:,} transactions, {info['fraudRows']:,} of them fraud "
        f"({info['fraudRows'] / info['rows']:.2%}); generator: `{json.dumps(info['source'])}`",
        f"- split by time: {training['trainRows']:,} rows to train, "
        f"{training['validationRows']:,} to calibrate and set bands, {metrics['rows']:,} to test",
        "- velocity started empty, and again from nothing in between; for some rows it did not"
        " answer: unknown cards are no fraud",
        f"- SHA-256 of the matrix: `{manifest['dataSha256']}`",
        "",
        "## Model",
        "",
        f"- {training['algorithm']}: {training['trees']} trees, depth at most {training['depth']}, "
        f"{training['nodes']:,} nodes, {len(manifest['featureNames'])} features",
        f"- Platt calibration folded into the leaves: slope {training['calibration']['slope']:.4f},"
        f" offset {training['calibration']['offset']:.4f}",
        f"- checked: {len(manifest['parity'])} parity vectors with ONNX Runtime"
        f" {training['onnxruntime']}'s own output",
        "",
        "## Test metrics",
        "",
        f"On {metrics['rows']:,} rows later than all that training saw, {metrics['fraudRows']:,} of"
        " them fraud.",
        "",
        "| ROC AUC | average precision | Brier score | log loss |",
        "|---|---|---|---|",
        f"| {metrics['rocAuc']:.4f} | {metrics['averagePrecision']:.4f} "
        f"| {metrics['brierScore']:.5f} | {metrics['logLoss']:.5f} |",
        "",
        "By kind of fraud, each against all genuine rows; recall at the start of a band:",
        "",
        "| kind | rows | ROC AUC | average precision | "
        + " | ".join(f"recall {band['name']}" for band in bands[1:])
        + " |",
        "|---|---|---|---|" + "---|" * len(bands[1:]),
    ]
    for kind in metrics["kinds"]:
        recalls = " | ".join(f"{recall:.3f}" for recall in kind["recalls"])
        lines.append(
            f"| {kind['kind']} | {kind['rows']} | {kind['rocAuc']:.4f} "
            f"| {kind['averagePrecision']:.4f} | {recalls} |"
        )
    lines += ["", "![ROC](roc.png) ![Precision and recall](precision-recall.png)"]
    lines += ["", "## Bands", ""]
    lines += band_lines(bands, metrics, training["costs"])
    lines += ["", "## What it looks at most", "", "Share of the total gain in training:", ""]
    lines += [f"- {name}: {share:.1%}" for name, share in importance[:12]]
    return "\n".join([*lines, ""])


def band_lines(bands, metrics, costs):
    lines = [
        "`elevated` is meant for review, `high` for decline; the rules of `rules/packs/model.yaml`"
        " decide. Thresholds of least cost",
        "in the validation period, with these assumed costs in minor units and shares:",
        f"`{json.dumps(costs)}`",
        "",
        "| band | from | precision | recall | of all rows |",
        "|---|---|---|---|---|",
        f"| {bands[0]['name']} | 0 | | | |",
    ]
    for band, measured in zip(bands[1:], metrics["bands"]):
        lines.append(
            f"| {band['name']} | {band['from']} | {measured['precision']:.3f} "
            f"| {measured['recall']:.3f} | {measured['flaggedShare']:.3%} |"
        )
    return lines


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--matrix", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--name", default="switchyard-trees")
    parser.add_argument("--version", default="1")
    parser.add_argument("--trees", type=int, default=120)
    parser.add_argument("--depth", type=int, default=6)
    parser.add_argument("--learning-rate", type=float, default=0.15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def describe(args, info, model_bytes):
    return {
        "algorithm": f"XGBoost {xgboost.__version__}",
        "trees": args.trees,
        "depth": args.depth,
        "nodes": node_count(model_bytes),
        "learningRate": args.learning_rate,
        "seed": args.seed,
        "onnxruntime": onnxruntime.__version__,
        "costs": COSTS,
        "source": info["source"],
    }


def shares_of_gain(model, names):
    gains = model.get_booster().get_score(importance_type="total_gain")
    total = sum(gains.values())
    shares = [(names[int(key[1:])], gain / total) for key, gain in gains.items()]
    return sorted(shares, key=lambda each: -each[1])


def draw(path, title, axes, lines, diagonal=None):
    """One small picture of curves; `lines` are (x, y, label)."""
    figure, plot = pyplot.subplots(figsize=(4.8, 3.6), dpi=100)
    for x, y, label in lines:
        plot.plot(x, y, label=label, linewidth=1.2)
    if diagonal is not None:
        plot.plot([0, 1], diagonal, color="0.7", linewidth=0.8, linestyle="--")
    plot.set(title=title, xlabel=axes[0], ylabel=axes[1], xlim=(0, 1), ylim=(0, 1.02))
    plot.grid(color="0.9", linewidth=0.6)
    plot.legend(fontsize=7, loc="lower center" if diagonal is None else "lower right")
    figure.tight_layout()
    figure.savefig(path, metadata={"Software": None})
    pyplot.close(figure)


def thinned(x, y, points=400):
    """Every curve has thousands of steps; a picture shows some hundred."""
    keep = np.unique(np.linspace(0, len(x) - 1, points).astype(int))
    return np.asarray(x)[keep], np.asarray(y)[keep]


def draw_curves(folder, scores, kinds, kind_names):
    """ROC and precision-recall curves of the test rows: all fraud, and each kind."""
    fraud = kinds > 0
    groups = [("all fraud", fraud, np.ones(len(scores), dtype=bool))]
    for index, kind in enumerate(kind_names[1:], start=1):
        if (kinds == index).any():
            groups.append((kind.replace("_", " "), kinds == index, ~fraud | (kinds == index)))
    roc, precision = [], []
    for label, truth, rows in groups:
        false_rate, true_rate, _ = roc_curve(truth[rows], scores[rows])
        roc.append((*thinned(false_rate, true_rate), label))
        exactness, recall, _ = precision_recall_curve(truth[rows], scores[rows])
        precision.append((recall, exactness, label))
    axes = ("genuine flagged, share", "fraud found, share")
    draw(folder / "roc.png", "ROC, test period", axes, roc, diagonal=[0, 1])
    axes = ("fraud found, share (recall)", "of those flagged, fraud (precision)")
    draw(folder / "precision-recall.png", "Precision and recall, test period", axes, precision)


def write_folder(folder, model_bytes, manifest, card):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "model.onnx").write_bytes(model_bytes)
    (folder / "manifest.json").write_text(json.dumps(manifest, indent=1, allow_nan=False) + "\n")
    (folder / "model-card.md").write_text(card)


def main():
    args = arguments()
    info, features, kinds, times, amounts = read_matrix(args.matrix)
    fraud = kinds > 0
    train, validation, test = split_by_time(times)
    model = fit(features[train], fraud[train], args)
    margins = model.predict(features[validation], output_margin=True)
    slope, offset = calibrate(margins, fraud[validation])
    model_bytes = to_onnx(model, features.shape[1], slope, offset)

    scores = run_onnx(model_bytes, features)
    expected = 1 / (1 + np.exp(-(slope * model.predict(features[test], output_margin=True) + offset)))
    assert np.abs(scores[test] - expected).max() < 1e-5, "ONNX and XGBoost differ"

    bands = choose_bands(scores[validation], fraud[validation], amounts[validation])
    rng = np.random.default_rng(args.seed)
    inputs, names = parity_vectors(
        features[test], scores[test], kinds[test], info["kinds"], rng
    )
    parity = [
        {"name": name, "inputs": plain(row), "score": float(score)}
        for name, row, score in zip(names, inputs, run_onnx(model_bytes, inputs))
    ]
    # Live decisions without velocity are not held against the baseline, so it leaves them out, too.
    answered = validation & ~np.isnan(features[:, info["featureNames"].index("card_count_7d")])
    manifest = {
        "format": 1,
        "name": args.name,
        "version": args.version,
        "createdAt": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "modelSha256": hashlib.sha256(model_bytes).hexdigest(),
        "featureNames": info["featureNames"],
        "positiveClass": 1,
        "bands": bands,
        "training": {
            **describe(args, info, model_bytes),
            "trainRows": int(train.sum()),
            "validationRows": int(validation.sum()),
            "calibration": {"slope": slope, "offset": offset},
        },
        "dataSha256": info["sha256"],
        "testMetrics": measure(scores[test], kinds[test], info["kinds"], bands),
        "parity": parity,
        "psiBaseline": {
            "score": baseline("score", scores[answered], 3),
            "features": [
                baseline(name, features[answered][:, column], 6)
                for column, name in enumerate(info["featureNames"])
            ],
        },
    }
    card = card_text(manifest, info, shares_of_gain(model, info["featureNames"]))
    write_folder(args.out, model_bytes, manifest, card)
    draw_curves(args.out, scores[test], kinds[test], info["kinds"])


if __name__ == "__main__":
    main()
