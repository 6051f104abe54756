"""A small training run, as a researcher might write it: colours of staged slides predict a column of their records.

    python train.py <tier>/<staging> <root>/<project>/<run> --target imagery_stain

It reads ``images/`` and ``labels.csv`` of the staging, writes model and metrics into the run's folder, and the done-marker last.
"""

from __future__ import annotations

import argparse
import csv
import json
from pathlib import Path

import numpy as np
import openslide

THUMBNAIL_PIXELS = 128
BINS = 8
STEPS = 500
LEARNING_RATE = 0.5


def features(image: Path) -> np.ndarray:
    """Histograms of red, green and blue in a thumbnail: 3 x ``BINS`` shares."""
    with openslide.OpenSlide(image) as slide:
        pixels = np.asarray(slide.get_thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS)).convert("RGB"))
    shares = [np.histogram(pixels[..., channel], bins=BINS, range=(0, 256))[0] / pixels[..., 0].size for channel in range(3)]
    return np.concatenate(shares)


def labels(staging: Path, target: str) -> dict[str, str]:
    """The target of each slide number that has one."""
    with (staging / "labels.csv").open(newline="", encoding="utf-8") as stream:
        return {row["number"]: row[target] for row in csv.DictReader(stream) if row.get(target)}


def fit(inputs: np.ndarray, classes: np.ndarray, count: int) -> np.ndarray:
    """Weights of a softmax regression, ``(features + 1) x count``, by plain gradient descent."""
    inputs = np.hstack([inputs, np.ones((len(inputs), 1))])
    wanted = np.eye(count)[classes]
    weights = np.zeros((inputs.shape[1], count))
    for _ in range(STEPS):
        scores = np.exp(inputs @ weights)
        weights -= LEARNING_RATE * inputs.T @ (scores / scores.sum(axis=1, keepdims=True) - wanted) / len(inputs)
    return weights


def main() -> None:
    """Train, write, and say that it is done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("staging", type=Path)
    parser.add_argument("run", type=Path)
    parser.add_argument("--target", default="imagery_stain")
    arguments = parser.parse_args()
    known = labels(arguments.staging, arguments.target)
    images = {path.stem: path for path in sorted((arguments.staging / "images").iterdir()) if path.stem in known}
    names = sorted({known[number] for number in images})
    inputs = np.stack([features(path) for path in images.values()])
    classes = np.array([names.index(known[number]) for number in images])
    weights = fit(inputs, classes, len(names))
    guessed = (np.hstack([inputs, np.ones((len(inputs), 1))]) @ weights).argmax(axis=1)
    arguments.run.mkdir(parents=True, exist_ok=True)
    np.savez(arguments.run / "model.npz", weights=weights, names=np.array(names))
    metrics = {"slides": len(images), "classes": names, "accuracy": float((guessed == classes).mean())}
    (arguments.run / "metrics.json").write_text(json.dumps(metrics, indent=2))
    marker = {
        "message": f"accuracy {metrics['accuracy']:.2f} on {len(images)} slides",
        "staging": arguments.staging.name,
        "code": [str(Path(__file__).resolve().parent)],
        "parameters": {"target": arguments.target, "steps": STEPS, "learning_rate": LEARNING_RATE},
    }
    (arguments.run / "DONE").write_text(json.dumps(marker))


if __name__ == "__main__":
    main()
