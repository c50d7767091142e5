"""What fits of rows that are read in passes do otherwise than fits of rows in memory."""

from bayes_softmax.answers.source_rows import RowsOfSource
from bayes_softmax.answers.training import TrainingData, training_data
from bayes_softmax.separation.examination import Examination, what_is_open
from bayes_softmax.spec.specification import Specification


def training_of_model(spec: Specification) -> TrainingData | RowsOfSource:
    """The data of a fit, for its answers."""
    if spec.streamed is not None:
        return RowsOfSource(spec.streamed)
    return training_data(spec.design, spec.collapsed)


def examined(spec: Specification) -> Examination:
    """What the data leave open in the coefficients, where no optimum is certified."""
    return what_is_open(spec.design, spec.priors)
