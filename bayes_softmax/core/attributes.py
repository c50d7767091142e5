"""Attributes that users of other packages look for, and what takes their place here."""

from collections.abc import Mapping
from typing import Any

COEFFICIENTS = "summary() is the table of coefficients, with standard errors and intervals"
OF_FITS: dict[str, str] = {
    "fit": "this is a fit; another is made by SoftmaxRegression(X, y).map(), .mle(), .laplace() or .sample()",
    "score": "evaluate(data) has the accuracy, the log loss and other scores",
    "predict_log_proba": "take the logarithm of predict_proba(data)",
    "classes_": "the class labels are .classes",
    "feature_names_in_": "the names are .feature_names",
    "plot": "bayes_softmax.plots has the pictures, as plots.forest(fit)",
    "loo": "leave-one-out is asked of draws, model.laplace().loo(), or evaluate(loo=True) of any fit",
    "idata": "there are draws in what model.laplace() and model.sample() return",
} | dict.fromkeys(("coef", "params", "bse", "conf_int", "pvalues", "tvalues", "to_frame", "table"), COEFFICIENTS)
OF_ESTIMATES: dict[str, str] = OF_FITS | {
    "coef_": f"the coefficients are .weights; {COEFFICIENTS}",
    "intercept_": "the intercept is .intercept",
    "n_iter_": "the number is .n_iterations",
    "llf": "it is .log_likelihood",
    "cov_params": "it is .covariance",
}
OF_DRAWS: dict[str, str] = OF_FITS | dict.fromkeys(
    ("coef_", "intercept_", "weights", "intercept", "posterior", "draws"),
    f"the draws are .idata['posterior']; {COEFFICIENTS}",
)
OF_MODELS: dict[str, str] = {
    "fit": "a model has its data, and .map(), .mle(), .laplace() and .sample() fit it; "
    "bayes_softmax.SoftmaxClassifier has scikit-learn's fit(X, y)",
} | dict.fromkeys(
    ("coef_", "intercept_", "classes_", "params", "conf_int", "score", "predict_log_proba"),
    "that is of a fit; fit first, as in model.map().summary()",
)


def get_missing(owner: object, name: str, hints: Mapping[str, str]) -> Any:
    """For ``__getattr__``: raise for an attribute that is not there, and say what takes its place if that is known."""
    if name in dir(type(owner)):  # a property failed, and not for want of this name: its own error is the one to see
        return object.__getattribute__(owner, name)
    text = f"{type(owner).__name__!r} object has no attribute {name!r}"
    raise AttributeError(f"{text}: {hints[name]}" if name in hints else text)
