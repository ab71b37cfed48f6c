"""Entropy and mutual information from samples, and a test of independence.

No model is fitted, unless `mutual_information` is called with a model to cross-fit.

>>> import numpy as np
>>> rng = np.random.default_rng(0)
>>> x = rng.normal(size=500)
>>> print(mutual_information(x, x + rng.normal(size=500)))  # true: 0.347
I(x; y) = 0.43 ± 0.05 nats   estimate, KSG, 3 neighbours, 500 rows
"""

from pofx.estimate.information import entropy, mutual_information
from pofx.estimate.permutation import IndependenceTest, independence_test

__all__ = ["IndependenceTest", "entropy", "independence_test", "mutual_information"]
