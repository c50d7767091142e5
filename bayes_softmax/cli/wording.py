"""Messages of the package in the options of the command line: ``--drop-missing``, not ``missing='drop'``."""

import re

# What an argument with its value is called here.
WHOLE = {
    "missing='drop'": "--drop-missing",
    "missing='nan'": "--allow-missing",
    "constant='drop'": "--drop-constant",
    "loo=True": "--loo",
    "summary() ": "the table ",
    " (pd.to_numeric, after removing signs such as ',')": "",
    "; model.check_separation() names more": "",
    " (model.check_separation().pairs)": "",
    " (prior=None is the autoscaled default)": " (the default is one)",
    ": see .status": "",
    "prior=R2D2()": "--prior R2D2",
    ", and () is the linear model": "; without --hidden logits are linear",
    "with skip=True": "with --skip",
    "is for skip=True": "is for --skip",
    "in the formula, or pass groups=": "in the formula",
    "leave logits at None, or the groups out": "leave --hidden out, or the groups",
    "known or new": "known-or-new",
    "pass the observed classes as y": "the table needs the column of the observed classes",
}
OPTIONS = {
    "levels": "--levels",
    "prior": "--prior",
    "intercept_prior": "--intercept-prior",
    "group_prior": "--group-prior",
    "coding": "--coding",
    "classes": "--classes",
    "weights": "--weights",
    "offset": "--offset",
    "available": "--available",
    "formula": "--formula",
    "ci_prob": "--intervals",
    "random_seed": "--seed",
    "draws": "--draws",
    "chains": "--chains",
    "tune": "--tune",
    "vs": "--vs",
    "at": "--at",
    "per": "--per",
    "layers": "--layers",
    "restarts": "--restarts",
    "members": "--members",
}
OF_NETWORK = re.compile(r"^(hidden|activation)=")  # not where the network is written out
METHOD = re.compile(r"\b(?:model\.)?(map|mle|laplace|sample|ensemble)\((?:solver='[\w-]+')?\)")
NAMES = "|".join(sorted(OPTIONS, key=len, reverse=True))
VALUE = re.compile(rf"(?<![\w'.-])({NAMES})=(?='|\[|\(|[A-Z]\w*\(|None\b|-?\d)")
FIRST = re.compile(rf"(?<![\w'.-])({NAMES})(?=: | has | names | must | lacks | is not | leaves | was given)")


# And advice that a command has an option for.
ADVICE = {
    "predict": {"leave out such rows": "pass --allow-missing to leave their predictions empty"},
}


def in_options(message: str, command: str = "", data: str | None = None) -> str:
    """A message with the package's arguments replaced by the options of the command line.

    >>> in_options("row 3 is missing; pass missing='drop', or coding='reference'")
    'row 3 is missing; pass --drop-missing, or --coding reference'
    >>> in_options("prior names unknown feature 'x'; use model.map()")
    "--prior names unknown feature 'x'; use --method map"

    >>> in_options("data has no column 'x'", "predict", "new.csv")
    "'new.csv' has no column 'x'"

    ``command`` is the one that was run, on the file ``data``.
    """
    for words, option in (WHOLE | ADVICE.get(command, {})).items():
        message = message.replace(words, option)
    message = re.sub(r"\b(coding)='([\w-]+)'", r"--\1 \2", message)
    message = VALUE.sub(lambda found: f"{OPTIONS[found[1]]} ", message)
    if data is not None:
        message = re.sub(r"^data(?=:| has | is )", lambda _: repr(data), message)
    message = OF_NETWORK.sub(r"--\1 ", message)
    start = FIRST.match(message)
    if start is not None:
        message = f"{OPTIONS[start[1]]}{message[start.end() :]}"
    return METHOD.sub(r"--method \1", message)
