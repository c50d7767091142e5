"""The heat map's numbers are the evaluation's, and its shares sum to one."""

import itertools

import matplotlib as mpl
import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.plots.confusion import cell_text, confusion_shares
from tests.conftest import simulate

mpl.use("Agg")


def numbers(picture: object) -> np.ndarray:
    """Numbers written in the cells, by row and column of the heat map."""
    (panel,) = picture.axes.values()  # type: ignore[attr-defined]
    n = len(panel.get_yticklabels())
    found = np.full((n, n), np.nan)
    for text in panel.texts:
        j, i = text.get_position()
        found[int(i), int(j)] = float(text.get_text().replace("<", "")) if text.get_text() else np.nan
    return found


def test_numbers_are_those_of_the_evaluation(posterior: bs.Posterior) -> None:
    evaluation = posterior.evaluate(loo=True)
    for picture in (bs.plots.confusion(evaluation), bs.plots.confusion(posterior, loo=True)):
        assert_allclose(numbers(picture), evaluation.confusion.to_numpy())
        (panel,) = picture.axes.values()
        assert [t.get_text() for t in panel.get_yticklabels()] == ["Adelie", "Chinstrap", "Gentoo"]
        assert [t.get_text() for t in panel.get_xticklabels()] == ["Adelie", "Chinstrap", "Gentoo"]
        assert_allclose(panel.get_images()[0].get_array(), evaluation.confusion.to_numpy())
        assert "leave-one-out" in picture.figure.get_suptitle()
        picture.close()


@pytest.mark.parametrize(("normalize", "axis"), [("observed", 1), ("predicted", 0), ("all", None)])
def test_shares_sum_to_one(posterior: bs.Posterior, normalize: str, axis: int | None) -> None:
    table = posterior.evaluate().confusion.to_numpy()
    shares = confusion_shares(table, normalize)
    assert_allclose(shares.sum(axis=axis), 1.0)
    picture = bs.plots.confusion(posterior, normalize=normalize)
    assert_allclose(numbers(picture), shares, atol=0.0101)
    picture.close()


def test_recall_and_precision_are_on_the_diagonal(posterior: bs.Posterior) -> None:
    table = posterior.evaluate().confusion
    recall = np.diag(table) / table.sum(axis=1)
    assert_allclose(np.diag(confusion_shares(table.to_numpy(), "observed")), recall)
    assert_allclose(np.diag(confusion_shares(table.to_numpy(), "predicted")), np.diag(table) / table.sum(axis=0))


def test_chosen_classes_in_their_order(posterior: bs.Posterior) -> None:
    table = posterior.evaluate().confusion
    picture = bs.plots.confusion(posterior, classes=["Gentoo", "Adelie"])
    assert_allclose(numbers(picture), table.loc[["Gentoo", "Adelie"], ["Gentoo", "Adelie"]].to_numpy())
    picture.close()


def test_a_class_without_rows_has_no_share() -> None:
    shares = confusion_shares(np.array([[2.0, 1.0], [0.0, 0.0]]), "observed")
    assert_allclose(shares[0], [2 / 3, 1 / 3])
    assert np.isnan(shares[1]).all()
    assert cell_text(np.nan, whole=False) == ""


def test_weights_and_ties_are_written_with_decimals() -> None:
    assert [cell_text(v, whole=True) for v in (0.0, 12.0, 2.5, 0.04, 123456.0)] == ["0", "12", "2.5", "0.04", "1.2e+05"]
    assert [cell_text(v, whole=False) for v in (0.0, 1.0, 0.004)] == ["0", "1.00", "<.01"]


def test_new_data_and_twelve_classes() -> None:
    X, codes = simulate(400, 3, 12)
    names = np.array([f"long_class_name_of_30_letters_{c}" for c in "ABCDEFGHIJKL"])
    fit = bs.SoftmaxRegression(X[:200], names[codes[:200]], classes=list(names)).map()
    picture = bs.plots.confusion(fit, X[200:], names[codes[200:]])
    assert_allclose(numbers(picture), fit.evaluate(X[200:], names[codes[200:]]).confusion.to_numpy())
    picture.figure.canvas.draw()
    (panel,) = picture.axes.values()
    boxes = [t.get_window_extent() for t in panel.get_xticklabels()]
    assert all(a.x1 <= b.x0 for a, b in itertools.pairwise(boxes))
    picture.close()


def test_arguments_of_the_wrong_kind(posterior: bs.Posterior, overlapping: bs.SoftmaxRegression) -> None:
    evaluation = posterior.evaluate()
    with pytest.raises(ValueError, match="data and y belong to a fit"):
        bs.plots.confusion(evaluation, [[1.0]])
    with pytest.raises(ValueError, match="loo belongs to a fit"):
        bs.plots.confusion(evaluation, loo=True)
    with pytest.raises(ValueError, match=r"normalize='observd' is not known.*did you mean 'observed'"):
        bs.plots.confusion(evaluation, normalize="observd")
    with pytest.raises(TypeError, match=r"evaluated: plots\.confusion shows a fit"):
        bs.plots.confusion(overlapping)
