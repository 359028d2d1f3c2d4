"""Trains the linear model of classify-default and writes `../src/weights.txt`.

Standard library only, fixed seed: the same input gives the same file. Reads
`$TURNPIKE_SHARED_DATA/tasks/dev.jsonl` (default `../shared/data` beside the checkout) and
`extra.jsonl` beside this file; prints the macro-F1 of a five-fold cross-validation first.

    python3 plugins/classify-default/train/train.py
"""

import json
import math
import os
import pathlib
import random

from features import BUCKETS, FNV_OFFSET, bucket, features, mix

TASKS = ["agent", "chat", "code", "data-analysis", "extraction", "reasoning", "summarization",
         "translation", "writing"]
SEED = 20250601
EPOCHS = 18
RATE = 4.0
DECAY = 2e-4
FOLDS = 5
# Weights are printed as one character each: 0..92 around 46, in steps of 1 / SCALE.
ZERO, SCALE, FIRST_CHAR = 46, 5.5, 33
BUCKETS_PER_LINE = 10

# Words that tell the task by themselves begin with a weight, because the data are few.
PRIOR = 4.0
CUES = {
    "agent": "book schedule remind order call search find open send turn play flights weather",
    "chat": "hi hello hey thanks thank you feel recommend opinion explain who why pretend act "
            "imagine role character conversation difference how what tell",
    "code": "code function python java javascript typescript rust sql html css react bug error "
            "implement class api compile script program def return docker git regex array",
    "data-analysis": "csv dataset column correlation regression outliers mean deviation dataframe "
                     "pandas distribution feature features",
    "extraction": "extract identify json list entities parse fields classify evaluate names "
                  "mentioned named csv",
    "reasoning": "prove solve calculate options many much total probability equation logic "
                 "puzzle true false integral triangle number sum answer",
    "summarization": "summarize summarise summary condense tldr abstract meeting transcript "
                     "recap",
    "translation": "translate translation english french german spanish japanese korean italian "
                   "portuguese russian chinese traduce traduis \u00fcbersetze render say",
    "writing": "write poem story essay blog email post letter paragraph rewrite draft compose "
               "article lyrics roleplay dialogue speech scene headline headlines character fiction "
               "novel haiku slogan script fanfic caption creative proofread",
}

HERE = pathlib.Path(__file__).resolve().parent


def read():
    shared = os.environ.get("TURNPIKE_SHARED_DATA", HERE.parents[2] / ".." / "shared" / "data")
    sources = [pathlib.Path(shared) / "tasks" / "dev.jsonl", HERE / "extra.jsonl"]
    for source in sources:
        with open(source, encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                yield features(row["prompt"]), TASKS.index(row["task"])


def logits(weights, found):
    norm = 1 / math.sqrt(len(found))
    return [sum(weights[f][t] for f in found) * norm for t in range(len(TASKS))]


def train(rows, seed):
    dice = random.Random(seed)
    weights = [[0.0] * len(TASKS) for _ in range(BUCKETS)]
    for task, cues in CUES.items():
        for cue in cues.split():
            weights[bucket(mix(FNV_OFFSET, cue.encode()))][TASKS.index(task)] += PRIOR
    counts = [sum(task == t for _, task in rows) for t in range(len(TASKS))]
    # Rare tasks count for more, so that a small class is not given up.
    share = [math.sqrt(len(rows) / (len(TASKS) * max(count, 1))) for count in counts]
    for epoch in range(EPOCHS):
        dice.shuffle(rows)
        rate = RATE / (1 + epoch / 8)
        for found, task in rows:
            raw = logits(weights, found)
            top = max(raw)
            odds = [math.exp(value - top) for value in raw]
            total = sum(odds)
            norm = rate * share[task] / math.sqrt(len(found))
            steps = [norm * ((t == task) - odds[t] / total) for t in range(len(TASKS))]
            for f in found:
                row = weights[f]
                for t, step in enumerate(steps):
                    row[t] += step - rate * DECAY * row[t]
    return weights


def predict(weights, found):
    raw = logits(weights, found)
    return raw.index(max(raw))


def cross_validate(rows):
    dice = random.Random(SEED)
    rows = rows[:]
    dice.shuffle(rows)
    pairs = []
    for fold in range(FOLDS):
        held = rows[fold::FOLDS]
        rest = [row for index, row in enumerate(rows) if index % FOLDS != fold]
        weights = train(rest, SEED + fold)
        pairs += [(task, predict(weights, found)) for found, task in held]
    scores = []
    for t, name in enumerate(TASKS):
        hit = sum(a == t and b == t for a, b in pairs)
        wrong = sum((a == t) != (b == t) for a, b in pairs)
        scores.append(2 * hit / max(2 * hit + wrong, 1))
        print(f"{name:14} F1 {scores[-1]:.3f}  n {sum(a == t for a, _ in pairs)}")
    print(f"macro-F1 {sum(scores) / len(scores):.3f} over {len(pairs)} prompts, {FOLDS} folds")


def write(weights):
    lines = []
    for first in range(0, BUCKETS, BUCKETS_PER_LINE):
        line = ""
        for row in weights[first:first + BUCKETS_PER_LINE]:
            for value in row:
                line += chr(FIRST_CHAR + max(0, min(92, round(value * SCALE) + ZERO)))
        lines.append(line)
    (HERE.parent / "src" / "weights.txt").write_text("\n".join(lines) + "\n", encoding="ascii")


def main():
    rows = list(read())
    cross_validate(rows)
    write(train(rows[:], SEED))


if __name__ == "__main__":
    main()
