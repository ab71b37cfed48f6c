"""Classifiers of scikit-learn on tables with missing cells, and how classifiers are compared.

Every peer is chosen as pofx's model is: by the mean log-loss of the validation rows over all rates
of holes, once for a split, and then learned anew from training and validation rows together.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer, KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import StratifiedShuffleSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline

CLIP = 1e-4
"""No class is given less probability than this, so that a row costs at most 9.2 nats."""


SHOWN = "boosting, shown holes"
"""The peer that learns from training rows with holes of every rate."""


class Task(NamedTuple):
    """A table to classify: its inputs, its classes as codes, and which columns hold levels.

    `text` are the inputs that hold text, `few` those of few distinct whole numbers, which a
    classifier may take for numbers or for levels.
    """

    name: str
    inputs: pd.DataFrame
    classes: np.ndarray
    names: tuple[str, ...]
    text: tuple[str, ...]
    few: tuple[str, ...]

    def rows(self, index: np.ndarray) -> pd.DataFrame:
        return self.inputs.iloc[index].reset_index(drop=True)


class Split(NamedTuple):
    """Row numbers of three parts, and a uniform number for each cell of the table."""

    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    dice: np.ndarray

    @property
    def both(self) -> np.ndarray:
        return np.concatenate([self.train, self.valid])


def splits(task: Task, repeats: int, most_train: int, most_test: int) -> Iterator[Split]:
    """60 % of the rows to train, 20 % to validate, 20 % to test; by class, of at most so many."""
    n = len(task.classes)
    valid = test = min(n // 5, most_test)
    train = min(n - valid - test, most_train)
    for repeat in range(repeats):
        rng = np.random.RandomState(repeat)
        outer = StratifiedShuffleSplit(
            1, test_size=test, train_size=train + valid, random_state=rng
        )
        learned, tested = next(outer.split(task.classes, task.classes))
        classes = task.classes[learned]
        inner = StratifiedShuffleSplit(1, test_size=valid, train_size=train, random_state=rng)
        trained, judged = next(inner.split(classes, classes))
        dice = np.random.default_rng(repeat).random(task.inputs.shape)
        yield Split(learned[trained], learned[judged], tested, dice)


def with_holes(task: Task, split: Split, index: np.ndarray, rate: float) -> pd.DataFrame:
    """Those rows without the share `rate` of their cells; the holes of a rate are in the next's."""
    return task.rows(index).mask(split.dice[index] < rate)


def log_loss(probability: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """-log p(class) of each row in nats, probabilities clipped at CLIP and normalised again."""
    clipped = np.maximum(probability, CLIP)
    true_class = clipped[np.arange(len(classes)), classes] / clipped.sum(1)
    return -np.log(true_class)


class Columns(TransformerMixin, BaseEstimator):
    """Standardised numbers, and an indicator per level (one of two levels), NaN where missing."""

    def __init__(self, levels: Sequence[str]):
        self.levels = levels

    def fit(self, frame, y=None):
        numbers = frame.drop(columns=list(self.levels)).astype(float)
        self.mean_ = numbers.mean().fillna(0)
        self.scale_ = numbers.std(ddof=0).replace(0, 1).fillna(1)
        self.seen_ = {c: sorted(frame[c].dropna().unique()) for c in self.levels}
        return self

    def transform(self, frame):
        numbers = frame.drop(columns=list(self.levels)).astype(float)
        out = [((numbers - self.mean_) / self.scale_).to_numpy()]
        for column, seen in self.seen_.items():
            value = frame[column]
            known = value.isin(seen).to_numpy()
            for level in seen[:-1] if len(seen) == 2 else seen:
                out.append(np.where(known, (value == level).to_numpy(), np.nan)[:, None])
        return np.hstack(out)


class LevelCategories(TransformerMixin, BaseEstimator):
    """Numbers as they are and levels as pandas categories, what boosting takes natively."""

    def __init__(self, levels: Sequence[str]):
        self.levels = levels

    def fit(self, frame, y=None):
        self.seen_ = {c: sorted(frame[c].dropna().unique()) for c in self.levels}
        return self

    def transform(self, frame):
        return frame.assign(
            **{c: pd.Categorical(frame[c], categories=s) for c, s in self.seen_.items()}
        )


class Peer(NamedTuple):
    """A way to prepare inputs, given which of them hold levels, and classifiers to choose among."""

    name: str
    prepare: Callable[[Sequence[str]], TransformerMixin]
    models: dict[str, BaseEstimator]
    holes: bool = False


def peers(holes: bool) -> list[Peer]:
    """The peers; with `holes` also boosting that saw training rows with holes of every rate."""
    linear = {f"C={c:g}": LogisticRegression(C=c, max_iter=500) for c in (0.01, 0.1, 1, 10)}
    near = {f"k={k}": KNeighborsClassifier(k) for k in (5, 15, 50)}
    trees = {
        f"{n} trees, {leaves} leaves": HistGradientBoostingClassifier(
            max_iter=n,
            max_leaf_nodes=leaves,
            categorical_features="from_dtype",
            early_stopping=False,
            random_state=0,
        )
        for n in (30, 120)
        for leaves in (4, 16)
    }
    mean = SimpleImputer(keep_empty_features=True)
    regressed = IterativeImputer(Ridge(), max_iter=5, keep_empty_features=True, random_state=0)
    nearest = KNNImputer(n_neighbors=10, keep_empty_features=True)
    listed = [
        Peer("logistic, mean", lambda levels: make_pipeline(Columns(levels), mean), linear),
        Peer(
            "logistic, iterative", lambda levels: make_pipeline(Columns(levels), regressed), linear
        ),
        Peer("boosting", LevelCategories, trees),
        Peer("k nearest", lambda levels: make_pipeline(Columns(levels), nearest), near),
    ]
    return [*listed, Peer(SHOWN, LevelCategories, trees, True)] if holes else listed


class Choice(NamedTuple):
    """What the validation rows preferred of a peer's settings, and their mean log-loss."""

    name: str
    levels: tuple[str, ...]
    model: BaseEstimator
    loss: float


def choose(peer: Peer, task: Task, split: Split, rates: Sequence[float]) -> Choice:
    """The classifier, and few numbers as numbers or as levels, that validation rows prefer."""
    codings = {"": task.text}
    if task.few:
        codings["few as levels, "] = (*task.text, *task.few)
    tried = []
    for coding, levels in codings.items():
        ready, inputs, classes = _prepared(peer, levels, task, split, split.train, rates)
        held = [ready.transform(with_holes(task, split, split.valid, r)) for r in rates]
        valid_classes = task.classes[split.valid]
        for name, model in peer.models.items():
            learned = _learned(model, inputs, classes)
            loss = np.mean([log_loss(_proba(learned, h, task), valid_classes) for h in held])
            tried.append(Choice(coding + name, levels, model, float(loss)))
    return min(tried, key=lambda c: c.loss)


def posteriors(
    peer: Peer, choice: Choice, task: Task, split: Split, rates: Sequence[float]
) -> np.ndarray:
    """p(class) of the test rows at each rate, (rates, rows, classes)."""
    ready, inputs, classes = _prepared(peer, choice.levels, task, split, split.both, rates)
    learned = _learned(choice.model, inputs, classes)
    held = (ready.transform(with_holes(task, split, split.test, r)) for r in rates)
    return np.stack([_proba(learned, h, task) for h in held])


def _prepared(peer, levels, task, split, index, rates):
    """What prepares inputs, learned from these rows, and the rows prepared with their classes."""
    used = rates if peer.holes else (0.0,)
    frame = pd.concat([with_holes(task, split, index, r) for r in used], ignore_index=True)
    ready = peer.prepare(list(levels))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of the iterative imputer
        ready = clone(ready).fit(frame)
    return ready, ready.transform(frame), np.tile(task.classes[index], len(used))


def _learned(model, inputs, classes):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return clone(model).fit(inputs, classes)


def _proba(model, inputs, task):
    """p(class) of every class of the task, zero for those that training did not hold."""
    out = np.zeros((len(inputs), len(task.names)))
    out[:, model.classes_] = model.predict_proba(inputs)
    return out


class Difference(NamedTuple):
    """A mean paired difference and its standard error over rows."""

    mean: float
    stderr: float


def paired(a: np.ndarray, b: np.ndarray) -> Difference:
    """Mean of a - b over the rows of the table that were ever tested, (repeats, rows) each.

    A row counts once, with the mean of its repeats (NaN: not tested then): repeated splits share
    rows, so tests of one row are not independent. Only the rows' sampling is in the error.
    """
    row = rows_mean(a - b)
    return Difference(float(row.mean()), float(row.std(ddof=1) / np.sqrt(len(row))))


def rows_mean(values: np.ndarray) -> np.ndarray:
    """The mean of each row's repeats, of rows that were ever tested."""
    tested = ~np.isnan(values).all(0)
    return np.nanmean(values[:, tested], axis=0)
