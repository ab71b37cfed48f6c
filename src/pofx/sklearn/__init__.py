"""Distributions as scikit-learn estimators, which accept missing cells and mixed columns."""

from pofx.sklearn.anomaly import AnomalyDetector
from pofx.sklearn.classifier import GenerativeClassifier
from pofx.sklearn.density import DensityEstimator
from pofx.sklearn.imputer import GenerativeImputer
from pofx.sklearn.latent import LatentTransformer
from pofx.sklearn.regressor import GenerativeRegressor

__all__ = [
    "AnomalyDetector",
    "DensityEstimator",
    "GenerativeClassifier",
    "GenerativeImputer",
    "GenerativeRegressor",
    "LatentTransformer",
]
