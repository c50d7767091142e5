"""All of scikit-learn's own checks, with none left out where the method is deterministic."""

import os
import subprocess
import sys
from typing import Any

import pytest
from sklearn.utils.estimator_checks import check_estimator, estimator_checks_generator, parametrize_with_checks

import bayes_softmax as bs

WEIGHTS = {f"check_sample_weight_equivalence_on_{kind}_data" for kind in ("dense", "sparse")}


@pytest.fixture(autouse=True)
def arrays_of_other_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without it scikit-learn skips its check of array namespaces."""
    monkeypatch.setenv("SCIPY_ARRAY_API", "1")


def results(estimator: Any) -> tuple[set[str], set[str]]:
    """Names of the checks that passed, and of the others."""
    found = check_estimator(estimator, on_fail=None, on_skip=None)
    passed = {r["check_name"] for r in found if r["status"] == "passed"}
    return passed, {r["check_name"] for r in found if r["status"] != "passed"}


@parametrize_with_checks(
    [
        bs.SoftmaxClassifier(),
        bs.SoftmaxClassifier(coding="full"),
        bs.SoftmaxClassifier(coding="reference", prior=bs.Normal(2)),
    ]
)
def test_every_check_of_scikit_learn(estimator: Any, check: Any) -> None:
    check(estimator)


def test_no_check_is_skipped_or_expected_to_fail() -> None:
    code = (
        "import warnings; warnings.simplefilter('error')\n"
        "import collections, bayes_softmax as bs\n"
        "from sklearn.utils.estimator_checks import check_estimator\n"
        "results = check_estimator(bs.SoftmaxClassifier())\n"
        "print(len(results), dict(collections.Counter(r['status'] for r in results)))"
    )
    environment = os.environ | {"SCIPY_ARRAY_API": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=environment, timeout=300
    )
    assert done.returncode == 0, done.stderr
    n = len(list(estimator_checks_generator(bs.SoftmaxClassifier())))
    assert n > 60
    assert done.stdout.strip() == f"{n} {{'passed': {n}}}"


@pytest.mark.filterwarnings("ignore::bayes_softmax.NotConvergedWarning")
def test_maximum_likelihood_passes_where_there_is_one() -> None:
    # The two others have more features than rows: no estimate is determined, and each solver's last iterate differs.
    passed, others = results(bs.SoftmaxClassifier(method="mle"))
    assert others == WEIGHTS
    assert len(passed) > 55


@pytest.mark.filterwarnings("ignore::bayes_softmax.NotReliableWarning")
@pytest.mark.parametrize(
    "estimator",
    [
        bs.SoftmaxClassifier(method="laplace", draws=400),
        bs.SoftmaxClassifier(method="sample", draws=60, tune=60, chains=1, engine="nuts"),
    ],
    ids=["laplace", "sample"],
)
def test_draws_pass_but_for_random_numbers(estimator: Any) -> None:
    # With more features than rows the draws depend on a basis of the rows: weights and repeated rows agree only in
    # distribution, as test_weights_are_repeated_rows shows.
    passed, others = results(estimator)
    assert others <= WEIGHTS
    assert len(passed) > 55
