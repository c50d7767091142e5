"""Notes on the data of a model, for its reader; they need no density."""

from bayes_softmax.answers.layers import layers_in_words
from bayes_softmax.core.checks import SHOWN, counted, listed, shortened, shown
from bayes_softmax.core.parameters import size_of
from bayes_softmax.core.protocols import Logits
from bayes_softmax.data.doubtful_levels import spelling_notes
from bayes_softmax.data.formula.encoder import FormulaEncoder
from bayes_softmax.data.missing import dropped_notes
from bayes_softmax.data.unused_classes import unused_notes
from bayes_softmax.display.brief import Brief, Names
from bayes_softmax.spec.custom.logits import OwnLogits
from bayes_softmax.spec.network.logits import NetworkLogits
from bayes_softmax.spec.specification import Specification


def notes_of(spec: Specification) -> tuple[str, ...]:
    """Notes on the data for the reader of a result."""
    notes = unused_notes(spec.summary) + spelling_notes(spec.schema.encoder, spec.summary)
    notes += dropped_notes(spec.summary.n_dropped)
    notes += spec.rows.notes
    if spec.summary.n_forced:
        notes.append(f"{counted(spec.summary.n_forced, 'row')} with a single class on offer count for nothing")
    if spec.streamed is None and spec.distinct.n_obs < spec.rows.n_obs:
        distinct = counted(spec.distinct.n_obs, "distinct one")
        notes.append(f"{spec.rows.n_obs} rows were collapsed to {distinct}, without loss")
    dropped = list(spec.schema.dropped_names)
    if isinstance(spec.schema.encoder, FormulaEncoder):
        dropped += spec.schema.encoder.one_level
    if dropped:
        notes.append(f"columns that do not vary were dropped: {listed(dropped)}")
    if isinstance(spec.logits, NetworkLogits) and not spec.summary.n_features:
        notes.append("without features the hidden units are constants, and so are the logits")
    if spec.priors.choice is not None:
        notes.append(str(spec.priors.choice))
    return tuple(notes)


def logits_lines(logits: Logits) -> tuple[str | Names, ...]:
    """A line on logits that are not linear."""
    if isinstance(logits, OwnLogits):
        sizes = [f"{name} {' x '.join(map(str, shape))}".strip() for name, shape in logits.shapes.items()]
        return (Names(f"logits by {logits.function.name}(x)", sizes),)
    if not isinstance(logits, NetworkLogits):
        return ()
    weights = counted(size_of(logits.shapes), "weight and bias", "weights and biases")
    return (f"{layers_in_words(logits)}, {weights}",)


def groups_lines(spec: Specification) -> tuple[str | Names, ...]:
    """A line on the groupings: levels and terms of each."""
    lines = []
    for effects in spec.groups:
        grouping = effects.grouping
        names = ", ".join(grouping.terms)
        lines.append(f"effects of {shortened(grouping.name, SHOWN)}: {counted(grouping.n_levels, 'level')}, {names}")
    return tuple(lines)


def brief_of(spec: Specification) -> Brief:
    """What a model is, in a few lines."""
    schema, design = spec.schema, spec.summary
    names = [shortened(name, SHOWN) for name in schema.feature_names]
    counts = [
        f"{shown(label)} {count:.10g}"
        for label, count in zip(schema.classes, design.class_counts().tolist(), strict=True)
    ]
    without = "" if schema.has_intercept else ", without an intercept"
    coding = () if isinstance(spec.logits, OwnLogits) else (f"coding: {schema.coding}{without}",)
    return Brief(
        f"SoftmaxRegression of {shown(schema.response_name)}: {len(schema.classes)} classes, "
        f"{counted(len(schema.feature_names), 'feature')}, {counted(spec.rows.n_obs, 'row')}",
        (
            Names("classes", counts),
            Names("features", names or ["none (intercept only)"]),
            *groups_lines(spec),
            *logits_lines(spec.logits),
            *coding,
        ),
        notes_of(spec),
    )
