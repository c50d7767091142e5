"""What goes to compiled code is what that code reads: dtype, shape and contiguity of every field, by its table."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

import bayes_softmax as bs
from bayes_softmax.density import callbacks, native
from bayes_softmax.density.scales import callbacks as scales_callbacks
from bayes_softmax.fitting.scales import prepare_hierarchy
from bayes_softmax.inference.laplace import laplace_whitening
from bayes_softmax.inference.newton import newton
from tests.cases import build
from tests.conftest import simulate

RECORDS = ["kernel", "rows", "whitening", "hyperprior", "conditional", "coordinates"]
DATA_FORMS = ["real weights", "weighted counts", "offset", "labels"]


def posterior(form: str = "offset") -> object:
    return build("student", "student", "zero-sum", form).log_density


def packers(form: str = "offset") -> dict[str, tuple[object, tuple, object]]:
    """Record, its table, and the function that packs it."""
    density = posterior(form)
    whitening = laplace_whitening(density, newton(density, np.zeros(density.dimension)))
    hierarchy = prepare_hierarchy(build("learned", "default", "zero-sum", form)._spec).density
    data, hyper, normal, whitened = hierarchy.base.data, hierarchy.hyper, hierarchy.normal, hierarchy.coordinates
    pack = scales_callbacks.pack_hierarchy
    return {
        "kernel": (density.data, native.KERNEL_FIELDS, callbacks.pack_data),
        "rows": (density.likelihood.parts[0].rows, native.ROW_FIELDS, native.part_numbers),
        "whitening": (whitening, native.WHITENING_FIELDS, lambda w: callbacks.pack_pointers(density.data, w)),
        "hyperprior": (hyper, scales_callbacks.HYPERPRIOR_FIELDS, lambda h: pack(data, h, normal, whitened)),
        "conditional": (normal, scales_callbacks.CONDITIONAL_FIELDS, lambda c: pack(data, hyper, c, whitened)),
        "coordinates": (whitened, scales_callbacks.COORDINATE_FIELDS, lambda w: pack(data, hyper, normal, w)),
    }


@pytest.mark.parametrize("name", RECORDS)
def test_tables_name_every_array_in_the_order_it_is_read(name: str) -> None:
    record, fields, _ = packers()[name]
    arrays = [key for key, value in record._asdict().items() if isinstance(value, np.ndarray)]
    assert arrays == [field.name for field in fields]


@pytest.mark.parametrize("name", RECORDS)
@pytest.mark.parametrize("form", ["offset", "real weights", "available"])
def test_every_field_is_refused_when_it_is_not_what_is_read(name: str, form: str) -> None:
    record, fields, pack = packers(form)[name]
    pack(record)
    kind = type(record).__name__
    for field, dtype, _shape in fields:
        array = getattr(record, field)
        other = np.int32 if dtype is np.int64 else np.int64
        swapped = [array.astype(np.dtype(dtype).newbyteorder())] if np.dtype(dtype).itemsize > 1 else []
        for wrong in (array.astype(other), array.tolist(), *swapped):
            with pytest.raises(TypeError, match=rf"{kind}\.{field} is .*, not [<>|]"):
                pack(record._replace(**{field: wrong}))
        with pytest.raises(ValueError, match=rf"{kind}\.\w+ has "):
            pack(record._replace(**{field: np.concatenate([array, array, np.zeros_like(array[:1])])[..., None]}))
        if array.size > 1:
            spread = np.empty((*array.shape, 2), dtype)[..., 0]
            spread[...] = array
            with pytest.raises(ValueError, match=rf"{kind}\.{field} is not C-contiguous"):
                pack(record._replace(**{field: spread}))


def test_read_only_arrays_are_read() -> None:
    record, fields, pack = packers()["kernel"]
    frozen = {field.name: getattr(record, field.name).copy() for field in fields}
    for array in frozen.values():
        array.flags.writeable = False
    assert len(pack(record._replace(**frozen))) == len(pack(record))


def test_a_density_cannot_be_made_of_misread_data() -> None:
    density = posterior()
    part = density.likelihood.parts[0]
    with pytest.raises(TypeError, match=r"RowData\.Z is <f4, not <f8"):
        replace(part, rows=part.rows._replace(Z=part.rows.Z.astype(np.float32)))
    with pytest.raises(ValueError, match=r"KernelData\.parts has parts of other than 3 features or 3 classes"):
        replace(
            density,
            data=density.data._replace(
                YZ=density.data.YZ[:, 1:].copy(),
                centre=density.data.centre[1:],
                family=density.data.family[1:],
                scale=density.data.scale[1:],
                df=density.data.df[1:],
            ),
        )
    with pytest.raises(TypeError, match=r"KernelData\.YZ is <f4, not <f8"):
        replace(density, data=density.data._replace(YZ=density.data.YZ.astype(np.float32)))


@pytest.mark.parametrize(
    "options",
    [
        {"prior": bs.StudentT(4, 2.5), "intercept": False},
        {"prior": bs.StudentT(4, 2), "intercept_prior": bs.StudentT(4, 2)},
        {"prior": bs.StudentT(np.int32(4), np.float32(2)), "intercept": False},
        {"prior": bs.Normal(2), "intercept_prior": bs.StudentT(3, 1)},
        {"prior": bs.Laplace(2), "intercept": False},
        {"prior": bs.Normal(bs.HalfStudentT(3, 1)), "intercept": False},
        {"prior": bs.R2D2(0.5, 2, 1)},
    ],
    ids=str,
)
def test_whole_numbers_are_parameters_like_others(options: dict) -> None:
    """The same draws, to the last bit, from priors of whole numbers and of floats."""

    def as_floats(value: object) -> object:
        if not hasattr(value, "__dataclass_fields__"):
            return value
        given = {n: getattr(value, n) for n in value.__dataclass_fields__}
        return type(value)(
            **{n: as_floats(v) if hasattr(v, "__dataclass_fields__") else float(v) for n, v in given.items()}
        )

    X, y = simulate(60, 2, 3)
    draws = [
        bs.SoftmaxRegression(X, y, **given).sample(draws=40, chains=2, random_seed=1, progressbar=False)._fitted.draws
        for given in (options, {name: as_floats(value) for name, value in options.items()})
    ]
    assert_allclose(*draws, rtol=0)


def test_intercept_only_with_a_student_prior_of_whole_degrees() -> None:
    y = ["a", "b", "a", "c", "b", "a"]
    model = bs.SoftmaxRegression(np.empty((6, 0)), y, intercept_prior=bs.StudentT(4, 2.0))
    post = model.sample(draws=50, tune=50, chains=2, random_seed=0, progressbar=False)
    assert np.isfinite(post._fitted.draws).all()


def _spread(a: np.ndarray) -> np.ndarray:
    return np.repeat(a, 2, axis=0)[::2]


def _frozen(a: np.ndarray) -> np.ndarray:
    a = a.copy()
    a.flags.writeable = False
    return a


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "strided": _spread,
    "reversed": lambda a: a[::-1].copy()[::-1],
    "byte-swapped": lambda a: a.astype(a.dtype.newbyteorder()),
    "read-only": _frozen,
    "whole": lambda a: a.astype(np.int32),
    "single": lambda a: a.astype(np.float32),
}


@pytest.mark.parametrize("form", ["labels", "counts"])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_layout_of_what_is_given_does_not_matter(layout: str, form: str) -> None:
    """Numbers that every dtype holds exactly: the same estimate and the same draws, and nothing is changed in place."""
    rng = np.random.default_rng(3)
    X, y = rng.integers(-3, 4, size=(40, 3)).astype(float), rng.integers(0, 3, 40)
    if form == "counts":
        y = rng.integers(0, 4, size=(40, 3)).astype(float)
        y[:, 0] += 1.0
    weights, offset = rng.integers(1, 4, 40).astype(float), rng.integers(-2, 3, size=(40, 3)).astype(float)
    change = LAYOUTS[layout]
    given = [change(X), change(y) if form == "counts" else y, change(weights), change(offset)]
    before = [a.copy() for a in given]
    fits = []
    for a, b, w, o in ((X, y, weights, offset), given):
        model = bs.SoftmaxRegression(a, b, weights=w, offset=o)
        fits.append((model.map(), model.sample(draws=30, tune=30, chains=1, random_seed=1, progressbar=False)))
    assert_allclose(fits[1][0].weights, fits[0][0].weights, rtol=0)
    assert_allclose(fits[1][1]._fitted.draws, fits[0][1]._fitted.draws, rtol=0)
    for a, b in zip(given, before, strict=True):
        assert a.dtype == b.dtype
        assert (a == b).all()
