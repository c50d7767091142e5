"""The estimator inside scikit-learn's own: pipelines, grids, ensembles, calibration, other processes."""

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris, load_wine
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.inspection import partial_dependence, permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score, learning_curve
from sklearn.multiclass import OneVsOneClassifier, OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler

import bayes_softmax as bs

METHODS: dict[str, dict[str, Any]] = {
    "map": {},
    "mle": {"method": "mle"},
    "laplace": {"method": "laplace", "draws": 200, "random_state": 1},
    "sample": {"method": "sample", "draws": 50, "chains": 2, "random_state": 1},
}
IRIS, SPECIES = load_iris(return_X_y=True)


def test_grid_over_prior_scales_in_a_pipeline_on_wine() -> None:
    X, y = load_wine(return_X_y=True)
    scales = [0.01, 0.1, 0.3, 1.0, 3.0]
    ours = GridSearchCV(
        make_pipeline(StandardScaler(), bs.SoftmaxClassifier(intercept_prior=bs.Flat())),
        {"softmaxclassifier__prior": [bs.Normal(s) for s in scales]},
        scoring="neg_log_loss",
    ).fit(X, y)
    theirs = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression(tol=1e-10, max_iter=10_000)),
        {"logisticregression__C": [s**2 for s in scales]},
        scoring="neg_log_loss",
    ).fit(X, y)
    np.testing.assert_allclose(ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], atol=1e-6)
    assert ours.best_params_ == {"softmaxclassifier__prior": bs.Normal(scales[theirs.best_index_])}
    assert ours.best_score_ > -0.1
    assert ours.best_estimator_[-1].result_.summary().notna().to_numpy().any()


def test_grid_over_priors_codings_and_methods() -> None:
    grid = {
        "prior": [None, bs.Normal(1), bs.StudentT(4, 1), bs.Laplace(1), {"x0": bs.Normal(1), "x2": bs.Normal(3)}],
        "coding": ["zero-sum", "reference"],
        "intercept_prior": [None, bs.Normal(2)],
    }
    search = GridSearchCV(bs.SoftmaxClassifier(), grid, cv=3).fit(IRIS, SPECIES)
    scores = search.cv_results_["mean_test_score"]
    assert len(scores) == 20
    assert (scores > 0.9).all()
    assert clone(search.best_estimator_).get_params() == search.best_estimator_.get_params()


@pytest.mark.filterwarnings("ignore::bayes_softmax.NotReliableWarning", "ignore::bayes_softmax.NotConvergedWarning")
@pytest.mark.parametrize("method", METHODS)
def test_cross_validation(method: str) -> None:
    classifier = bs.SoftmaxClassifier(**METHODS[method])
    assert cross_val_score(classifier, IRIS, SPECIES).mean() > 0.94
    P = cross_val_predict(classifier, IRIS, SPECIES, method="predict_proba")
    np.testing.assert_allclose(P.sum(axis=1), 1.0)


def test_calibration_ensembles_and_reductions_to_two_classes() -> None:
    classifier = bs.SoftmaxClassifier()
    for composed in (
        CalibratedClassifierCV(classifier),
        CalibratedClassifierCV(classifier, method="isotonic", cv=3),
        CalibratedClassifierCV(classifier, method="temperature"),
        StackingClassifier(
            [("ours", classifier), ("theirs", LogisticRegression(max_iter=1000))], final_estimator=classifier
        ),
        VotingClassifier([("ours", classifier), ("wide", bs.SoftmaxClassifier(bs.Normal(5)))], voting="soft"),
        BaggingClassifier(classifier, n_estimators=4, random_state=0),
        OneVsRestClassifier(classifier),
    ):
        P = composed.fit(IRIS, SPECIES).predict_proba(IRIS)
        np.testing.assert_allclose(P.sum(axis=1), 1.0)
        assert composed.score(IRIS, SPECIES) > 0.9
    assert OneVsOneClassifier(classifier).fit(IRIS, SPECIES).score(IRIS, SPECIES) > 0.9


def test_inspection_and_curves() -> None:
    frame = load_iris(as_frame=True).data.assign(constant=1.0)
    classifier = bs.SoftmaxClassifier().fit(frame, SPECIES)
    importance = permutation_importance(classifier, frame, SPECIES, n_repeats=3, random_state=0).importances_mean
    assert importance.argmax() in (2, 3)
    assert importance[4] == 0
    curve = partial_dependence(classifier, frame, [2], grid_resolution=5)["average"]
    assert curve.shape == (3, 5)
    assert (np.diff(curve[2]) > 0).all()
    sizes, _, test = learning_curve(bs.SoftmaxClassifier(), IRIS, SPECIES, shuffle=True, random_state=0)
    assert len(sizes) == len(test)
    assert test[-1].mean() > 0.9


def test_transformers_before_it(penguins: pd.DataFrame) -> None:
    X, y = penguins.drop(columns="species"), penguins["species"]
    encode = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["island", "sex"]), remainder=StandardScaler()
    ).set_output(transform="pandas")
    pipeline = make_pipeline(encode, bs.SoftmaxClassifier()).fit(X, y)
    assert pipeline.score(X, y) > 0.98
    assert "onehotencoder__sex_male" in pipeline[-1].feature_names_in_
    assert "onehotencoder__sex_male" in pipeline[-1].result_.feature_names
    sparse_bins = make_pipeline(KBinsDiscretizer(5, quantile_method="averaged_inverted_cdf"), bs.SoftmaxClassifier())
    assert cross_val_score(sparse_bins, IRIS, SPECIES).mean() > 0.9
    # With factors as they are: the fold's own dummy coding, in frames that scikit-learn cut.
    assert cross_val_score(bs.SoftmaxClassifier(), X, y).mean() > 0.95
    assert permutation_importance(pipeline, X, y, n_repeats=2, random_state=0).importances_mean.shape == (X.shape[1],)


def test_metadata_routing_passes_weights() -> None:
    weights = np.random.default_rng(0).integers(0, 3, len(IRIS)).astype(float)
    with sklearn.config_context(enable_metadata_routing=True):
        classifier = bs.SoftmaxClassifier().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        pipeline = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), classifier)
        pipeline.fit(IRIS, SPECIES, sample_weight=weights)
        scores = cross_val_score(classifier, IRIS, SPECIES, params={"sample_weight": weights})
    direct = bs.SoftmaxClassifier().fit(StandardScaler().fit_transform(IRIS), SPECIES, weights)
    np.testing.assert_allclose(pipeline[-1].coef_, direct.coef_)
    assert scores.mean() > 0.9


@pytest.mark.filterwarnings("ignore::bayes_softmax.NotReliableWarning", "ignore::bayes_softmax.NotConvergedWarning")
def test_pickled_to_another_process(tmp_path: Path) -> None:
    fitted = {name: bs.SoftmaxClassifier(**options).fit(IRIS, SPECIES) for name, options in METHODS.items()}
    expected = {name: classifier.predict_proba(IRIS) for name, classifier in fitted.items()}
    for name, classifier in pickle.loads(pickle.dumps(fitted)).items():
        np.testing.assert_array_equal(classifier.predict_proba(IRIS), expected[name])
    joblib.dump((fitted, IRIS), tmp_path / "there.joblib")
    code = (
        "import joblib, warnings\n"
        "warnings.simplefilter('ignore')\n"
        "fitted, X = joblib.load('there.joblib')\n"
        "joblib.dump({name: classifier.predict_proba(X) for name, classifier in fitted.items()}, 'back.joblib')\n"
        "for classifier in fitted.values():\n"
        "    classifier.result_.effects(), classifier.result_.summary(), repr(classifier.result_)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    for name, P in joblib.load(tmp_path / "back.joblib").items():
        np.testing.assert_array_equal(P, expected[name])


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_folds_in_other_processes_and_threads(backend: str) -> None:
    classifier = bs.SoftmaxClassifier(method="laplace", draws=200, random_state=1, prior=bs.Normal(1))
    here = cross_val_score(classifier, IRIS, SPECIES, scoring="neg_log_loss")
    with joblib.parallel_config(backend):
        there = cross_val_score(classifier, IRIS, SPECIES, scoring="neg_log_loss", n_jobs=2)
    np.testing.assert_array_equal(here, there)
