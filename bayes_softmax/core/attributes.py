"""Attributes that users of other packages look for, and what takes their place here."""

from collections.abc import Mapping
from typing import Any

COEFFICIENTS = "summary() is the table of coefficients, with standard errors and intervals"
LOO = "loo() is its better successor: leave-one-out with a check of its own"
OF_FITS: dict[str, str] = {
    "fit": "this is a fit; another is made by SoftmaxRegression(X, y).map(), .mle(), .laplace() or .sample()",
    "score": "evaluate(data) has the accuracy, the log loss and other scores",
    "predict_log_proba": "take the logarithm of predict_proba(data)",
    "classes_": "the class labels are .classes",
    "feature_names_in_": "the names are .feature_names",
    "plot": "bayes_softmax.plots has the pictures, as plots.forest(fit)",
    "load": "bayes_softmax.load(path) reads a saved fit",
    "to_pickle": "save(path) writes the fit, and bayes_softmax.load(path) reads it",
    "confusion_matrix": "evaluate(data).confusion is the table, and plots.confusion(fit) its picture",
    "predict_draws": "there are draws in what model.laplace() and model.sample() return",
    "loo": "leave-one-out is asked of draws, model.laplace().loo(), or evaluate(loo=True) of any fit",
    "idata": "there are draws in what model.laplace() and model.sample() return",
    "ranef": "the effects of the levels of groups are in group_effects()",
    "random_effects": "the effects of the levels of groups are in group_effects()",
    "VarCorr": "the covariance of the levels' effects is in group_covariance()",
    "cov_re": "the covariance of the levels' effects is in group_covariance()",
    "icc": "intraclass correlations are in group_covariance()",
} | dict.fromkeys(("coef", "params", "bse", "conf_int", "pvalues", "tvalues", "to_frame", "table"), COEFFICIENTS)
OF_ESTIMATES: dict[str, str] = (
    OF_FITS
    | {
        "coef_": f"the coefficients are .weights; {COEFFICIENTS}",
        "intercept_": "the intercept is .intercept",
        "n_iter_": "the number is .n_iterations",
        "llf": "it is .log_likelihood",
        "aic": "evaluate(loo=True) estimates the log loss on new data, which AIC approximates",
        "bic": "model.laplace().log_evidence is the log marginal likelihood, which BIC approximates",
        "waic": "evaluate(loo=True) estimates the log loss on new data",
        "cov_params": "it is .covariance",
    }
    | dict.fromkeys(
        ("sample", "laplace"),
        "draws are made from the model, as in model.sample() or model.laplace()",
    )
)
OF_DRAWS: dict[str, str] = OF_FITS | dict.fromkeys(
    ("coef_", "intercept_", "weights", "intercept", "posterior", "draws"),
    f"the draws are .idata['posterior']; {COEFFICIENTS}",
)
OF_DRAWS |= {
    "waic": LOO,
    "sample": "these are draws; model.sample() makes others",
    "thin": "draws are not thinned; take post.idata.sel(draw=slice(None, None, 10))",
    "converged": "that is .diagnostics.ok",
    "rhat": "that is .diagnostics.max_rhat, and summary() has it for each coefficient",
    "compare": "bayes_softmax.compare_models({'a': a, 'b': b}) compares models, bayes_softmax.compare(a=a, b=b) tables",
} | dict.fromkeys(("plot_trace", "traceplot", "trace"), "bayes_softmax.plots.traces(post) shows the chains")
OF_MODELS: dict[str, str] = {
    "fit": "a model has its data, and .map(), .mle(), .laplace() and .sample() fit it; "
    "bayes_softmax.SoftmaxClassifier has scikit-learn's fit(X, y)",
    "load": "a model is not saved, its fits are: bayes_softmax.load(path) reads one",
} | dict.fromkeys(
    ("coef_", "intercept_", "classes_", "params", "conf_int", "score", "predict_log_proba"),
    "that is of a fit; fit first, as in model.map().summary()",
)


OF_ESTIMATORS: dict[str, str] = {
    "save": "that is of the fit: clf.result_.save(path), and bayes_softmax.load(path) reads it; or pickle it",
    "load": "bayes_softmax.load(path) reads what clf.result_.save(path) wrote; an estimator is pickled",
    "sample": "pass method='sample'; the draws are then clf.result_",
    "laplace": "pass method='laplace'; the draws are then clf.result_",
    "map": "that is method='map', the default; fit(X, y) returns the estimator, and clf.result_ is the estimate",
    "mle": "pass method='mle'; the estimate is then clf.result_",
    "result": "it is .result_, made by fit(X, y)",
} | dict.fromkeys(
    ("classes_", "coef_", "coef_names_", "intercept_", "n_iter_", "n_features_in_", "result_"), "call fit(X, y) first"
)


def get_missing(owner: object, name: str, hints: Mapping[str, str]) -> Any:
    """For ``__getattr__``: raise for an attribute that is not there, and say what takes its place if that is known."""
    if name in dir(type(owner)):  # a property failed, and not for want of this name: its own error is the one to see
        return object.__getattribute__(owner, name)
    text = f"{type(owner).__name__!r} object has no attribute {name!r}"
    raise AttributeError(f"{text}: {hints[name]}" if name in hints else text)
