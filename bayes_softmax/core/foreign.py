"""Argument names known from other packages, and what takes their place here."""

from typing import Final

# Names by what they are elsewhere: the argument that has that meaning here, if the function has it, with a remark.
_SAME: dict[str, tuple[str, ...]] = {
    "random_seed": ("seed", "seeds", "random_state", "prng_key", "rng_seed", "generator"),
    "draws": ("n_samples", "num_samples", "samples", "iter", "niter", "iter_sampling", "ndraws"),
    "tune": ("warmup", "num_warmup", "iter_warmup", "burn", "burnin", "burn_in", "n_tune"),
    "chains": ("n_chains", "num_chains", "nchains"),
    "cores": ("n_jobs", "njobs", "n_cores", "threads", "parallel_chains"),
    "target_accept": ("adapt_delta", "target_accept_prob"),
    "engine": ("nuts_sampler", "sampler", "backend", "algorithm", "step", "method"),
    "progressbar": ("progress_bar", "progress", "verbose", "silent", "quiet", "show_progress", "refresh"),
    "missing": ("na_action", "na", "dropna", "nan", "missing_values", "na_rm"),
    "max_iterations": ("max_iter", "maxiter", "maxit", "n_iter"),
    "learning_rate": ("lr", "step_size", "eta0"),
    "data": ("newdata", "new_data", "new", "df", "frame", "X_new", "newdat"),
    "features": ("variables", "feature", "columns", "terms", "names", "var_names", "focal"),
    "weights": ("sample_weight", "sample_weights", "freq_weights", "wts", "weight", "frequency_weights"),
    "offset": ("exposure", "offsets"),
    "feature_names": ("columns", "names", "exog_names"),
    "classes": ("levels", "categories", "labels", "class_names"),
    "cost": ("costs", "loss", "utility", "cost_matrix", "loss_matrix"),
    "vs": ("baseline", "reference", "ref", "base", "base_class", "pivot", "baseoutcome", "against"),
    "ci_kind": ("interval", "kind", "ci_method"),
    "intercept": ("fit_intercept", "add_constant"),
    "colors": ("palette", "color", "colours", "cmap"),
    "y": ("target", "labels", "response", "endog"),
    "X": ("exog", "features", "design"),
    "path": ("filename", "file", "fname"),
    "random_state": ("seed", "random_seed", "rng"),
    "max_iter": ("max_iterations", "maxiter", "maxit"),
    "n_jobs": ("cores", "njobs"),
    "method": ("fit_method", "inference", "estimator"),
    "at": ("datagrid", "condition", "conditional", "values"),
    "solver": ("optimizer", "method", "algorithm"),
    "scale": ("sd", "sigma", "std", "stddev", "b", "s"),
    "df": ("nu", "dof"),
}
_BY_MEANING: dict[str, tuple[tuple[tuple[str, ...], str], ...]] = {
    "prior": (
        (("C",), "C is the variance: prior=Normal(sqrt(C)), with intercept_prior=Flat()"),
        (("alpha", "lambda_", "reg_lambda", "l2", "l2_penalty"), "a penalty is a prior: Normal(1 / sqrt(penalty))"),
        (("penalty", "regularization", "l1", "l1_ratio"), "l2 is prior=Normal(scale), l1 is prior=Laplace(scale)"),
        (("priors", "prior_scale", "sigma"), "for example prior=Normal(1)"),
    ),
    "ci_prob": (
        (("ci", "level", "conf_level", "conf_int", "confidence", "prob", "hdi_prob", "cred_mass"), ""),
        (("interval_width", "width", "probs", "credible", "coverage"), ""),
        (("alpha",), "ci_prob is 1 - alpha"),
    ),
}
# (name given, argument meant): what else helps.
SAME: Final[dict[str, list[tuple[str, str]]]] = {}
for _own, _names in _SAME.items():
    for _name in _names:
        SAME.setdefault(_name, []).append((_own, ""))
for _own, _groups in _BY_MEANING.items():
    for _names, _remark in _groups:
        for _name in _names:
            SAME.setdefault(_name, []).append((_own, _remark))

_MODEL = "that is an argument of the model, as in SoftmaxRegression(X, y, {})"
_PRIOR = _MODEL.format("prior=Normal(1)")
# What takes the place of a name that no argument of the function matches.
INSTEAD: Final[dict[str, str]] = {
    "intercept": "a formula without intercept is 'y ~ 0 + x'",
    "fit_intercept": "a formula without intercept is 'y ~ 0 + x'",
    "class_weight": "rows have weights, and predict_proba(data, class_prior=...) takes other base rates",
    "tol": "there is no tolerance: the solver stops at a certified optimum, see .status",
    "gtol": "there is no tolerance: the solver stops at a certified optimum, see .status",
    "ftol": "there is no tolerance: the solver stops at a certified optimum, see .status",
    "family": "the family is always categorical, with a softmax link",
    "link": "the link is always the softmax",
    "multi_class": "the model is always multinomial",
    "warm_start": "a fit needs no start: its optimum is unique",
    "start": "a fit needs no start: its optimum is unique",
    "start_params": "a fit needs no start: its optimum is unique",
    "init": "chains start from the Laplace approximation",
    "initvals": "chains start from the Laplace approximation",
    "inits": "chains start from the Laplace approximation",
    "thin": "draws are not thinned; take post.idata.sel(draw=slice(None, None, 10))",
    "by": "for one group give its rows, as in effects(data=data[data['group'] == 'a'])",
    "C": f"{_PRIOR}; C is the variance, prior=Normal(sqrt(C))",
} | dict.fromkeys(("prior", "priors", "penalty", "alpha", "intercept_prior"), _PRIOR)
INSTEAD.update({name: _MODEL.format(f"{name}=...") for name in ("coding", "collapse", "constant", "missing", "offset")})

# How functions are called that are often called otherwise.
USAGE: Final[dict[str, str]] = {
    "compare_models": "give one mapping from name to posterior, as in compare_models({'a': a, 'b': b})",
    "contrast": "give two settings of variables, as in contrast({'member': 'yes'}, {'member': 'no'})",
    "decide": "give new rows and a frame of costs, a row for each decision and a column for each class",
    "load": "give the path of a saved fit, as in load('fit.nc')",
    "save": "give a path, as in save('fit.nc')",
    "Normal": "the mean is 0, so there is the scale alone: Normal(1)",
    "Laplace": "the centre is 0, so there is the scale alone: Laplace(1)",
    "StudentT": "the centre is 0, so there are the degrees of freedom and the scale: StudentT(4, 1)",
    "HalfNormal": "there is the scale alone: HalfNormal(1)",
    "HalfStudentT": "there are the degrees of freedom and the scale: HalfStudentT(3, 1)",
    "Flat": "it has no parameters: Flat()",
    "Jeffreys": "it has no parameters: Jeffreys()",
    "from_formula": "give a formula and a data frame, as in from_formula('species ~ bill_length_mm', data)",
    "SoftmaxClassifier": "the data go to fit(X, y)",
}
