"""The model as a scikit-learn estimator; this room is loaded when it is first asked for, as it needs scikit-learn."""
