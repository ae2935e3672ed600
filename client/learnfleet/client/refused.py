"""Names of the trainer that a notebook may use and the service cannot: they say why, where they are used."""

from __future__ import annotations

from typing import NoReturn

_HERE = "`from learnfleet.trainer import *` has it, on this machine"
_BY_REASON = {
    f"boxes need a loss of your own, and no code travels to a server; {_HERE}": "ObjectItemList ObjectCategoryList "
    "bb_pad_collate",
    f"the service trains on pictures alone; {_HERE}": "LanguageModelData LSTMLanguageModel language_model_learner",
    "data in this machine's memory are not on the server: describe folders, tables or lists of files there by "
    f"`ImageDataBunch` or `ImageList`; {_HERE}": "DataBunch",
    "a network in this machine's memory is not on the server: `cnn_learner` and `unet_learner` make one there, of "
    f"architectures that are registered with the workers by their name; {_HERE}": "Learner simple_cnn create_cnn_model",
    "no code travels to a server: the callbacks and metrics that there are go by their names, and your own once they "
    f"are installed on the workers (an entry point in `learnfleet.callbacks` or `learnfleet.metrics`); {_HERE}": (
        "Callback LearnerCallback TrackerCallback HookCallback AverageMetric add_metrics"
    ),
    f"the network is on the server: `learn.summary()` says what it is made of; {_HERE}": "hook_output hook_outputs "
    "model_sizes",
}
REFUSED = {name: why for why, names in _BY_REASON.items() for name in names.split()}


class Refused:
    """Stands for such a name. Whatever is done with it is a TypeError that says why."""

    def __init__(self, name: str) -> None:
        self._name = name

    def _refuse(self) -> NoReturn:
        raise TypeError(f"{self._name}: {REFUSED[self._name]}")

    def __call__(self, *_: object, **__: object) -> NoReturn:
        self._refuse()

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("__"):  # what Python itself looks for
            raise AttributeError(name)
        self._refuse()

    def __mro_entries__(self, _: tuple[object, ...]) -> NoReturn:
        self._refuse()

    def __repr__(self) -> str:
        return f"<{self._name}: {REFUSED[self._name]}>"
